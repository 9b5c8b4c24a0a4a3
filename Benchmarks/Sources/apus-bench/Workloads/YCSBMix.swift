// The core workloads A to F of YCSB: shares of operations, and how keys are chosen (Cooper et al., "Benchmarking Cloud
// Serving Systems with YCSB", SoCC 2010; YCSB's workloads/workloada to workloadf).

struct YCSBMix: Sendable {
    enum Step {
        case read
        case update
        case insert
        case scan
        case readModifyWrite
    }

    /// Which existing entries are popular.
    enum Choice {
        /// Scattered over the key space.
        case zipfian
        /// Those that were inserted last.
        case latest
    }

    /// Per cent; what is left of a hundred are read-modify-writes.
    let reads: Int
    let updates: Int
    let inserts: Int
    let scans: Int
    let choice: Choice
    let summary: String

    static let longestScan = 100

    static let a = YCSBMix(50, 50, 0, 0, .zipfian, "YCSB A: 50 % gets, 50 % updates, Zipfian")
    static let b = YCSBMix(95, 5, 0, 0, .zipfian, "YCSB B: 95 % gets, 5 % updates, Zipfian")
    static let c = YCSBMix(100, 0, 0, 0, .zipfian, "YCSB C: gets, Zipfian")
    static let d = YCSBMix(95, 0, 5, 0, .latest, "YCSB D: 95 % gets of what is new, 5 % insertions")
    static let e = YCSBMix(
        0,
        0,
        5,
        95,
        .zipfian,
        "YCSB E: 95 % scans of 1 to \(longestScan) entries, 5 % insertions, a tenth as many operations"
    )
    static let f = YCSBMix(50, 0, 0, 0, .zipfian, "YCSB F: 50 % gets, 50 % read-modify-writes, Zipfian")

    private init(_ reads: Int, _ updates: Int, _ inserts: Int, _ scans: Int, _ choice: Choice, _ summary: String) {
        self.reads = reads
        self.updates = updates
        self.inserts = inserts
        self.scans = scans
        self.choice = choice
        self.summary = summary
    }

    @inline(__always)
    func step(_ random: inout RandomSource) -> Step {
        var drawn = random.next(below: 100)
        if drawn < reads { return .read }
        drawn -= reads
        if drawn < updates { return .update }
        drawn -= updates
        if drawn < inserts { return .insert }
        drawn -= inserts
        return drawn < scans ? .scan : .readModifyWrite
    }
}
