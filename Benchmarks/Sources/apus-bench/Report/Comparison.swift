// Measurements put side by side: what was measured under the same conditions, per workload and per engine.

/// What must be equal for figures to be compared, beside the workload.
struct Conditions: Hashable {
    var entries: Int
    var keyBytes: Int
    var valueBytes: Int
    var memoryBudget: Int
    var isCold: Bool

    init(_ measurement: Measurement) {
        entries = measurement.entries
        keyBytes = measurement.keyBytes
        valueBytes = measurement.valueBytes
        // `recovery` has a budget of its own; it stands beside the others nevertheless.
        memoryBudget = measurement.askedMemoryBudget
        isCold = measurement.isCold
    }

    /// How many times the budget for buffers and caches the data are.
    var dataPerMemory: Double { Double(entries * (keyBytes + valueBytes)) / Double(memoryBudget) }

    var title: String {
        let size = dataPerMemory
        let fit =
            size <= 0.75
            ? "data fit the cache" : "data are \(size.formatted(fractionDigits: size < 3 ? 1 : 0)) × the memory budget"
        let start = isCold ? "page cache dropped" : fit
        return "\(Double(entries).formatted(fractionDigits: 0)) entries, values of "
            + "\(Double(valueBytes).formatted(fractionDigits: 0)) B, \(memoryBudget >> 20) MiB: \(start)"
    }
}

/// One engine at one workload: all repetitions.
struct EngineSummary {
    var engine: String
    var runs: [Measurement]
    var speed: Spread

    init?(engine: String, runs: [Measurement]) {
        guard let speed = Spread(runs.map(\.opsPerSecond)) else { return nil }
        self.engine = engine
        self.runs = runs
        self.speed = speed
    }

    /// Nil when no run has that figure.
    func median(_ value: (Measurement) -> Double?) -> Double? {
        Spread(runs.compactMap(value))?.median
    }
}

/// One workload: all engines, in the order in which they ran.
struct WorkloadComparison {
    var workload: String
    var engines: [EngineSummary]

    /// How many times as fast Apus is; nil for Apus itself and where either was not measured.
    func apusRatio(to engine: String) -> Double? {
        guard engine != Engine.apus.rawValue, let apus = summary(of: Engine.apus.rawValue),
            let other = summary(of: engine), other.speed.median > 0
        else { return nil }
        return apus.speed.median / other.speed.median
    }

    func summary(of engine: String) -> EngineSummary? {
        engines.first { $0.engine == engine }
    }
}

/// Everything measured under one set of conditions.
struct ConditionsComparison {
    var conditions: Conditions
    var workloads: [WorkloadComparison]

    var engines: [String] { workloads.flatMap { $0.engines.map(\.engine) }.distinct() }

    static func all(in measurements: [Measurement]) -> [ConditionsComparison] {
        grouped(measurements, by: Conditions.init).map { conditions, runs in
            ConditionsComparison(
                conditions: conditions,
                workloads: grouped(runs, by: \.workload).map { workload, runs in
                    WorkloadComparison(
                        workload: workload,
                        engines: grouped(runs, by: \.engine).compactMap { EngineSummary(engine: $0, runs: $1) }
                    )
                }
            )
        }
    }

    /// In the order in which the groups first appear.
    private static func grouped<Key: Hashable>(
        _ measurements: [Measurement],
        by key: (Measurement) -> Key
    ) -> [(Key, [Measurement])] {
        let groups = Dictionary(grouping: measurements, by: key)
        return measurements.map(key).distinct().map { ($0, groups[$0] ?? []) }
    }
}

extension Array where Element: Hashable {
    /// Each element once, where it first appears.
    func distinct() -> [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
