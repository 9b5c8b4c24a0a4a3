// The measurements as a table for people: medians over the repetitions, their spread, and how Apus compares.

struct SummaryTable {
    let measurements: [Measurement]

    /// One block per workload, in the order in which they ran.
    func lines() -> [String] {
        var workloads: [String] = []
        for measurement in measurements where !workloads.contains(measurement.workload) {
            workloads.append(measurement.workload)
        }
        return workloads.flatMap { block(for: $0) }
    }

    private static let header = [
        "", "ops/s", "spread", "p50 µs", "p99", "p99.9", "max", "CPU s", "settle s", "write amp", "space amp",
        "RSS MiB", "Apus ÷ it",
    ]

    private func block(for workload: String) -> [String] {
        let runs = measurements.filter { $0.workload == workload }
        var engines: [String] = []
        for run in runs where !engines.contains(run.engine) { engines.append(run.engine) }
        let apusSpeed = median(runs.filter { $0.engine == Engine.apus.rawValue }.map(\.opsPerSecond))
        var rows = [Self.header]
        rows[0][0] = workload
        for engine in engines {
            rows.append(row(engine, runs.filter { $0.engine == engine }, apusSpeed: apusSpeed))
        }
        return Self.aligned(rows) + [""]
    }

    private func row(_ engine: String, _ runs: [Measurement], apusSpeed: Double?) -> [String] {
        func cell(_ digits: Int, _ value: (Measurement) -> Double?) -> String {
            median(runs.compactMap(value)).map { $0.formatted(fractionDigits: digits) } ?? "–"
        }
        let speeds = runs.map(\.opsPerSecond)
        let speed = median(speeds) ?? 0
        let lowest = (speeds.min() ?? 0) / speed - 1
        let highest = (speeds.max() ?? 0) / speed - 1
        let ratio = engine == Engine.apus.rawValue ? nil : apusSpeed.map { $0 / speed }
        return [
            engine,
            speed.formatted(fractionDigits: 0),
            "-\((-lowest * 100).formatted(fractionDigits: 0)) +\((highest * 100).formatted(fractionDigits: 0)) %",
            cell(2, \.p50),
            cell(2, \.p99),
            cell(1, \.p999),
            cell(0, \.max),
            cell(2, \.cpuSeconds),
            cell(2, \.settleSeconds),
            cell(2, \.writeAmplification),
            cell(2, \.spaceAmplification),
            cell(0) { $0.peakResidentBytes.map { Double($0) / Double(1 << 20) } },
            ratio.map { "\($0.formatted(fractionDigits: 2)) ×" } ?? "–",
        ]
    }

    private func median(_ values: [Double]) -> Double? {
        guard !values.isEmpty else { return nil }
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
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

extension Double {
    /// Plain decimal digits, thousands apart: 1234567.8 with no fraction digits is "1,234,568".
    func formatted(fractionDigits: Int) -> String {
        guard isFinite, magnitude < 1e15 else { return "–" }
        let scale = (0..<fractionDigits).reduce(1) { scale, _ in scale * 10 }
        let scaled = Int((magnitude * Double(scale)).rounded())
        var whole = String(scaled / scale)
        var position = whole.count - 3
        while position > 0 {
            whole.insert(",", at: whole.index(whole.startIndex, offsetBy: position))
            position -= 3
        }
        let sign = self < 0 && scaled > 0 ? "-" : ""
        guard fractionDigits > 0 else { return sign + whole }
        let fraction = String(scaled % scale)
        return sign + whole + "." + String(repeating: "0", count: fractionDigits - fraction.count) + fraction
    }
}
