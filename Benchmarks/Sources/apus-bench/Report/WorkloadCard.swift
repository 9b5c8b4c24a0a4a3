// One workload's part of the HTML page: plots of throughput, latency, amplification and memory, and all figures.

struct WorkloadCard {
    let comparison: WorkloadComparison

    var html: String {
        let summary = Workload(comparison.workload)?.kind.summary ?? ""
        var figures = [figure("Operations per second", throughput.svg), figure("Latency", latency.svg)]
        for plot in [writeAmplification, spaceAmplification, memory, debt]
        where plot.bars.contains(where: { $0.value > 0 }) {
            figures.append(figure(plot.title, plot.svg))
        }
        return """
            <article>
            <h3>\(HTML.escaped(comparison.workload))</h3>
            <p>\(HTML.escaped(summary))</p>
            <div class="plots">\(figures.joined(separator: "\n"))</div>
            <details><summary>All figures</summary><div class="wide">\(table)</div></details>
            </article>
            """
    }

    private func figure(_ title: String, _ svg: String) -> String {
        "<figure><figcaption>\(HTML.escaped(title))</figcaption>\(svg)</figure>"
    }

    private var throughput: BarPlot {
        BarPlot(
            title: "\(comparison.workload): operations per second",
            bars: comparison.engines.map { engine in
                BarPlot.Bar(
                    label: engine.engine,
                    value: engine.speed.median,
                    range: engine.speed.lowest...engine.speed.highest,
                    remark: comparison.apusRatio(to: engine.engine).map { "\($0.formatted(fractionDigits: 2)) ×" }
                        ?? "",
                    isApus: engine.engine == Engine.apus.rawValue
                )
            }
        )
    }

    private var latency: LatencyPlot {
        LatencyPlot(
            title: "\(comparison.workload): latency",
            rows: comparison.engines.map { engine in
                LatencyPlot.Row(
                    label: engine.engine,
                    percentiles: [
                        engine.median(\.p50), engine.median(\.p99), engine.median(\.p999), engine.median(\.max),
                    ]
                    .compactMap { $0 },
                    isApus: engine.engine == Engine.apus.rawValue
                )
            }
        )
    }

    private var writeAmplification: BarPlot { bars("Write amplification", \.writeAmplification) }
    private var spaceAmplification: BarPlot { bars("Space amplification", \.spaceAmplification) }
    private var memory: BarPlot { bars("Peak memory, MiB", \.peakResidentMiB) }
    private var debt: BarPlot { bars("Seconds until at rest", \.settleSeconds) }

    private func bars(_ title: String, _ value: (Measurement) -> Double?) -> BarPlot {
        BarPlot(
            title: title,
            bars: comparison.engines.compactMap { engine in
                engine.median(value).map {
                    BarPlot.Bar(label: engine.engine, value: $0, isApus: engine.engine == Engine.apus.rawValue)
                }
            },
            format: { $0.formatted(fractionDigits: $0 < 10 ? 2 : $0 < 100 ? 1 : 0) }
        )
    }

    private static let columns: [(title: String, digits: Int, value: @Sendable (Measurement) -> Double?)] = [
        ("p50 µs", 2, { $0.p50 }), ("p99 µs", 2, { $0.p99 }), ("p99.9 µs", 1, { $0.p999 }), ("max µs", 0, { $0.max }),
        ("CPU s", 2, { $0.cpuSeconds }), ("seconds", 2, { $0.seconds }), ("settle s", 2, { $0.settleSeconds }),
        ("pending MiB", 1, { $0.pendingBytes.map { Double($0) / Double(1 << 20) } }),
        ("write amp.", 2, { $0.writeAmplification }), ("space amp.", 2, { $0.spaceAmplification }),
        ("peak MiB", 0, { $0.peakResidentMiB }),
    ]

    private var table: String {
        let head = ["", "ops/s", "spread"] + Self.columns.map(\.title)
        let rows = comparison.engines.map { engine in
            let cells = Self.columns.map { column in
                engine.median(column.value).map { $0.formatted(fractionDigits: column.digits) } ?? "–"
            }
            let all = [engine.speed.median.formatted(fractionDigits: 0), engine.speed.description] + cells
            return "<tr><th>\(HTML.escaped(engine.engine))</th>" + all.map { "<td>\($0)</td>" }.joined() + "</tr>"
        }
        return "<table class=\"figures\"><tr>" + head.map { "<th>\(HTML.escaped($0))</th>" }.joined() + "</tr>"
            + rows.joined() + "</table>"
    }
}
