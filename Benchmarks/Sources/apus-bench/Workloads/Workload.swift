// A workload as it is written on the command line: a kind and a number of threads, `kind` or `kind@threads`.

struct Workload: Hashable, Codable, Sendable, CustomStringConvertible {
    var kind: WorkloadKind
    /// Nil: as many as `--threads` says.
    var threads: Int?

    var description: String { threads.map { "\(kind.rawValue)@\($0)" } ?? kind.rawValue }

    /// Every kind, and with more threads those for which that is the point.
    static let standard = WorkloadKind.allCases.flatMap { kind in
        switch kind {
        case .fillsync: [1, 8, 16].map { Workload(kind: kind, threads: $0) }
        case .readrandom: [1, 2].map { Workload(kind: kind, threads: $0) }
        default: [Workload(kind: kind)]
        }
    }

    init(kind: WorkloadKind, threads: Int? = nil) {
        self.kind = kind
        self.threads = threads
    }

    init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        guard let kind = WorkloadKind(rawValue: String(parts[0])) else { return nil }
        self.kind = kind
        if parts.count == 2 {
            guard let threads = Int(parts[1]), Self.threadRange.contains(threads) else { return nil }
            if kind.isSingleThreaded && threads != 1 { return nil }
            self.threads = threads
        }
    }

    static let threadRange = 1...64

    /// As many threads as the workload says itself, else `standard`; one if it cannot have more.
    func threadCount(standard: Int) -> Int {
        kind.isSingleThreaded ? 1 : threads ?? standard
    }
}
