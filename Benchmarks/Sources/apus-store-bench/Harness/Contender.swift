// One engine in one work: what it does in a run, and what came of it.

/// What a run gave.
struct Sample {
    /// Appended to the name of the work, for works that have several results: "the writer", "the reader".
    var part: String? = nil
    var operations: Int
    var seconds: Double
    /// What else was measured: bytes, recall, …
    var figures: [String: Double] = [:]
}

struct Contender {
    var engine: String
    /// How many times as fast as this one the first contender of the work has to be.
    var target: Double?
    /// Run before each run, outside the measured time, with the number of the run from 0.
    var prepare: (Int) throws -> Void
    var measure: (Int) throws -> [Sample]

    /// - Parameters:
    ///   - prepare: brings about what a run needs (a fresh database, cold caches), outside the measured time.
    ///   - run: does the work of one run, and returns how many operations that were. All of it is timed.
    init(
        _ engine: String, target: Double? = nil, prepare: @escaping (Int) throws -> Void = { _ in },
        run: @escaping (Int) throws -> Int
    ) {
        self.init(engine, target: target, prepare: prepare) { index in
            var operations = 0
            let seconds = try secondsOf { operations = try run(index) }
            return [Sample(operations: operations, seconds: seconds)]
        }
    }

    /// For runs that take the time themselves, or have several results or further figures.
    init(
        _ engine: String, target: Double? = nil, prepare: @escaping (Int) throws -> Void = { _ in },
        measure: @escaping (Int) throws -> [Sample]
    ) {
        self.engine = engine
        self.target = target
        self.prepare = prepare
        self.measure = measure
    }
}

/// How long `body` takes.
func secondsOf(_ body: () throws -> Void) rethrows -> Double {
    let time = try ContinuousClock().measure(body)
    return Double(time.components.seconds) + Double(time.components.attoseconds) / 1e18
}
