// The measurements as Markdown, for a README: one table per set of conditions.

struct MarkdownReport {
    let measurements: [Measurement]

    var text: String {
        let circumstances = Circumstances(measurements: measurements)
        var lines = circumstances.machines.map { "Machine: \($0)." }
        lines.append("")
        lines.append(
            "Operations per second: medians of \(circumstances.repetitions) runs, how far the slowest and the fastest "
                + "were from it, and how many times as fast Apus is."
        )
        lines.append("")
        for engine in circumstances.engines {
            let build = engine.build.map { ", \($0)" } ?? ""
            lines.append("- \(engine.engine) \(engine.version): compression \(engine.compression)\(build)")
        }
        for remark in circumstances.buildNotices + circumstances.warnings { lines += ["", "**\(remark)**"] }
        for comparison in ConditionsComparison.all(in: measurements) { lines += table(comparison) }
        return lines.joined(separator: "\n") + "\n"
    }

    private func table(_ comparison: ConditionsComparison) -> [String] {
        let engines = comparison.engines
        var lines = ["", "### \(Self.capitalised(comparison.conditions.title))", ""]
        lines.append("| workload | " + engines.joined(separator: " | ") + " |")
        lines.append("|---|" + engines.map { _ in "---:|" }.joined())
        for workload in comparison.workloads {
            let cells = engines.map { cell(workload, $0) }
            lines.append("| \(workload.workload) | " + cells.joined(separator: " | ") + " |")
        }
        lines += ["", "<details><summary>Settings</summary>", ""]
        for engine in engines {
            for settings in Circumstances.settings(of: engine, in: comparison) {
                lines.append("- \(engine): \(settings)")
            }
        }
        return lines + ["", "</details>"]
    }

    private func cell(_ workload: WorkloadComparison, _ engine: String) -> String {
        guard let summary = workload.summary(of: engine) else { return "–" }
        let speed = "\(summary.speed.median.formatted(fractionDigits: 0)) (\(summary.speed.description))"
        guard let ratio = workload.apusRatio(to: engine) else { return speed }
        return "\(speed) **\(ratio.formatted(fractionDigits: 2)) ×**"
    }

    private static func capitalised(_ text: String) -> String {
        text.prefix(1).uppercased() + text.dropFirst()
    }
}
