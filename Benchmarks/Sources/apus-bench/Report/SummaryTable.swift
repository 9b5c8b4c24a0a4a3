// The measurements as a table for people: medians over the repetitions, their spread, and how Apus compares.

struct SummaryTable {
    let measurements: [Measurement]

    /// One block per workload, in the order in which they ran.
    func lines() -> [String] {
        ConditionsComparison.all(in: measurements).flatMap { comparison in
            [comparison.conditions.title, ""] + comparison.workloads.flatMap { block(for: $0) }
        }
    }

    private static let header = [
        "", "ops/s", "spread", "p50 µs", "p99", "p99.9", "max", "CPU s", "settle s", "write amp", "space amp",
        "RSS MiB", "Apus ÷ it",
    ]

    private func block(for workload: WorkloadComparison) -> [String] {
        var rows = [Self.header]
        rows[0][0] = workload.workload
        for engine in workload.engines { rows.append(row(engine, ratio: workload.apusRatio(to: engine.engine))) }
        return Self.aligned(rows) + [""]
    }

    private func row(_ summary: EngineSummary, ratio: Double?) -> [String] {
        func cell(_ digits: Int, _ value: (Measurement) -> Double?) -> String {
            summary.median(value).map { $0.formatted(fractionDigits: digits) } ?? "–"
        }
        return [
            summary.engine,
            summary.speed.median.formatted(fractionDigits: 0),
            summary.speed.description,
            cell(2, \.p50),
            cell(2, \.p99),
            cell(1, \.p999),
            cell(0, \.max),
            cell(2, \.cpuSeconds),
            cell(2, \.settleSeconds),
            cell(2, \.writeAmplification),
            cell(2, \.spaceAmplification),
            cell(0, \.peakResidentMiB),
            ratio.map { "\($0.formatted(fractionDigits: 2)) ×" } ?? "–",
        ]
    }

    /// The first column to the left, all others to the right.
    static func aligned(_ rows: [[String]]) -> [String] {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
        return rows.map { row in
            row.enumerated().map { column, text in
                let padding = String(repeating: " ", count: widths[column] - text.count)
                return column == 0 ? text + padding : padding + text
            }.joined(separator: "  ")
        }
    }
}
