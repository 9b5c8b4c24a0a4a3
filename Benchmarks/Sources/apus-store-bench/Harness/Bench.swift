// What a suite measures with: engines in turn, run by run, so that whatever else the machine does meets all of them alike,
// and the median of the runs of each.

final class Bench {
    let suite: String
    let repetitions: Int
    /// What the suite multiplies its numbers by.
    let size: Double
    /// For the databases of this suite. Removed at the end.
    let folder: BenchFolder
    private let works: [String]
    private let engines: [String]
    private let report: (Row) -> Void

    init(
        suite: String, repetitions: Int, size: Double, works: [String], engines: [String], folder: BenchFolder,
        report: @escaping (Row) -> Void
    ) {
        self.suite = suite
        self.repetitions = repetitions
        self.size = size
        self.works = works
        self.engines = engines
        self.folder = folder
        self.report = report
    }

    /// `count` at the size asked for, at least 1.
    func scaled(_ count: Int) -> Int { max(1, Int(Double(count) * size)) }

    /// Whether the work is asked for: for setting up what only it needs.
    func wants(_ work: String) -> Bool {
        works.isEmpty || works.contains { work.contains($0) }
    }

    /// Whether the engine is asked for.
    func wants(engine: String) -> Bool {
        engines.isEmpty || engines.contains { engine.contains($0) }
    }

    /// Measures the contenders in turn, as often as repetitions are asked for, each run beginning with another one, and
    /// reports a row for each. The first one is what the others are compared with: ApusStore.
    func compare(_ work: String, _ contenders: [Contender]) throws {
        let contenders = contenders.filter { wants(engine: $0.engine) }
        guard wants(work), !contenders.isEmpty else { return }
        var samples = contenders.map { _ in [[Sample]]() }
        for run in 0..<repetitions {
            for offset in contenders.indices {
                let index = (offset + run) % contenders.count
                try contenders[index].prepare(run)
                samples[index].append(try contenders[index].measure(run))
            }
        }
        guard let parts = samples.first?.first else { return }
        for part in parts.indices {
            let medians = try samples.map { try Self.median(of: $0, part: part, work: work) }
            for (contender, median) in zip(contenders, medians) {
                report(
                    Row(
                        suite: suite, work: parts[part].part.map { "\(work), \($0)" } ?? work, engine: contender.engine,
                        operations: median.operations, seconds: median.seconds,
                        ratio: median.secondsPerOperation / medians[0].secondsPerOperation,
                        target: contender.target, figures: median.figures))
            }
        }
    }

    private static func median(of runs: [[Sample]], part: Int, work: String) throws -> Sample {
        let samples = try runs.map { run in
            guard part < run.count else { throw BenchFailure("\(work): the engines do not have the same results") }
            return run[part]
        }
        var median = samples.sorted { $0.secondsPerOperation < $1.secondsPerOperation }[samples.count / 2]
        for name in median.figures.keys {
            let values = samples.compactMap { $0.figures[name] }.sorted()
            median.figures[name] = values[values.count / 2]
        }
        return median
    }
}

extension Sample {
    var secondsPerOperation: Double { seconds / Double(max(operations, 1)) }
}
