// The measurements as one HTML page that needs nothing else: no scripts, no network, plots as SVG inside it.

struct HTMLReport {
    let measurements: [Measurement]

    var text: String {
        let comparisons = ConditionsComparison.all(in: measurements)
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <title>Apus benchmarks</title>
            <style>\(HTMLStyle.css)</style>
            </head>
            <body>
            <h1>Apus beside other engines</h1>
            \(circumstances)
            \(contents(comparisons))
            \(comparisons.enumerated().map { section($1, number: $0 + 1) }.joined(separator: "\n"))
            </body>
            </html>

            """
    }

    private var circumstances: String {
        let facts = Circumstances(measurements: measurements)
        var parts = facts.machines.map { "<p>\(HTML.escaped($0)).</p>" }
        parts.append(
            "<p>Medians of \(facts.repetitions) runs. Thin lines in bars reach from the slowest to the fastest run. "
                + "Marks of latencies are p50, p99, p99.9 and the maximum, from large to small. The times sign (×) "
                + "says how many times as fast Apus is.</p>"
        )
        parts += (facts.buildNotices + facts.warnings).map { "<p class=\"notice\">\(HTML.escaped($0))</p>" }
        let rows = facts.engines.map {
            "<tr><th>\(HTML.escaped($0.engine))</th><td>\(HTML.escaped($0.version))</td>"
                + "<td>\(HTML.escaped($0.build ?? "with this tool"))</td><td>\(HTML.escaped($0.compression))</td></tr>"
        }
        parts.append(
            "<table><tr><th>engine</th><th>version</th><th>library's build</th><th>compression</th></tr>"
                + rows.joined() + "</table>"
        )
        return parts.joined(separator: "\n")
    }

    private func contents(_ comparisons: [ConditionsComparison]) -> String {
        guard comparisons.count > 1 else { return "" }
        let items = comparisons.enumerated().map { index, comparison in
            "<li><a href=\"#c\(index + 1)\">\(HTML.escaped(comparison.conditions.title))</a></li>"
        }
        return "<ul>\(items.joined())</ul>"
    }

    private func section(_ comparison: ConditionsComparison, number: Int) -> String {
        """
        <section id="c\(number)">
        <h2>\(HTML.escaped(comparison.conditions.title))</h2>
        \(settings(comparison))
        \(ratios(comparison))
        <div class="cards">
        \(comparison.workloads.map { WorkloadCard(comparison: $0).html }.joined(separator: "\n"))
        </div>
        </section>
        """
    }

    private func settings(_ comparison: ConditionsComparison) -> String {
        let items = comparison.engines.flatMap { engine in
            Circumstances.settings(of: engine, in: comparison).map {
                "<li><b>\(HTML.escaped(engine))</b>: \(HTML.escaped($0))</li>"
            }
        }
        return "<details><summary>Settings</summary><ul>\(items.joined())</ul></details>"
    }

    /// A table of how many times as fast Apus is, workloads down and peers across.
    private func ratios(_ comparison: ConditionsComparison) -> String {
        let peers = comparison.engines.filter { $0 != Engine.apus.rawValue }
        guard !peers.isEmpty, comparison.engines.count > peers.count else { return "" }
        let rows = comparison.workloads.map { workload in
            let cells = peers.map { peer in
                guard let ratio = workload.apusRatio(to: peer) else { return "<td>–</td>" }
                return "<td class=\"\(Self.kind(ofRatio: ratio))\">\(ratio.formatted(fractionDigits: 2)) ×</td>"
            }
            return "<tr><th>\(HTML.escaped(workload.workload))</th>\(cells.joined())</tr>"
        }
        let head = peers.map { "<th>\(HTML.escaped($0))</th>" }.joined()
        return "<div class=\"wide\"><table class=\"figures\"><caption>Operations per second, Apus ÷ peer</caption>"
            + "<tr><th></th>\(head)</tr>\(rows.joined())</table></div>"
    }

    private static func kind(ofRatio ratio: Double) -> String {
        ratio >= 2 ? "faster2" : ratio >= 1 ? "faster" : ratio >= 0.5 ? "slower" : "slower2"
    }
}
