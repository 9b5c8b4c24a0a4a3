// What can be measured. A workload is a kind and a number of threads, written `kind` or `kind@threads`.

enum WorkloadKind: String, CaseIterable, Codable, Sendable {
    case fillseq
    case fillrandom
    case fillbatch
    case fillsync
    case overwrite
    case deleterandom
    case readrandom
    case readmissing
    case readhot
    case seekrandom
    case readseq
    case readreverse

    var summary: String {
        switch self {
        case .fillseq: "puts every key once, in order, into an empty database"
        case .fillrandom: "puts every key once, in random order, into an empty database"
        case .fillbatch: "as fillrandom, \(Self.batchEntryCount) entries per atomic batch; latencies are per batch"
        case .fillsync: "as fillrandom with a hundredth of the entries, each put synced to disk"
        case .overwrite: "puts random keys into a full database"
        case .deleterandom: "deletes random keys from a full database"
        case .readrandom: "gets random keys"
        case .readmissing: "gets random keys that are not there but lie between those that are"
        case .readhot: "gets keys by a Zipfian distribution (0.99), the hot ones scattered over the key space"
        case .seekrandom: "opens a cursor, seeks a random key, reads the \(Self.entriesAfterSeek) entries after it"
        case .readseq: "reads all entries in order; latencies are means of \(Self.scanLap) entries"
        case .readreverse: "reads all entries backwards; latencies are means of \(Self.scanLap) entries"
        }
    }

    static let batchEntryCount = 1_000
    static let entriesAfterSeek = 10
    /// A step of a scan can cost less than reading the clock, so scans read it once for this many.
    static let scanLap = 16

    /// Begins with every key in the database, else with none.
    var startsFull: Bool {
        switch self {
        case .fillseq, .fillrandom, .fillbatch, .fillsync: false
        case .overwrite, .deleterandom, .readrandom, .readmissing, .readhot, .seekrandom, .readseq, .readreverse: true
        }
    }

    var writes: Bool {
        switch self {
        case .fillseq, .fillrandom, .fillbatch, .fillsync, .overwrite, .deleterandom: true
        case .readrandom, .readmissing, .readhot, .seekrandom, .readseq, .readreverse: false
        }
    }

    var durability: Durability { self == .fillsync ? .durable : .relaxed }

    /// The entries in the database when a run of `entries` is over, before deletions.
    func finalEntryCount(of entries: Int) -> Int {
        self == .fillsync ? min(entries, max(100, entries / 100)) : entries
    }
}

struct Workload: Hashable, Codable, Sendable, CustomStringConvertible {
    var kind: WorkloadKind
    /// Nil: as many as `--threads` says.
    var threads: Int?

    var description: String { threads.map { "\(kind.rawValue)@\($0)" } ?? kind.rawValue }

    static let standard = WorkloadKind.allCases.map { Workload(kind: $0) } + [Workload(kind: .readrandom, threads: 2)]

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
            self.threads = threads
        }
    }

    static let threadRange = 1...64
}
