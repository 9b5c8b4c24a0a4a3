// What can be measured: what each workload does, where it starts, how much of it there is.

enum WorkloadKind: String, CaseIterable, Codable, Sendable {
    case fillseq
    case fillrandom
    case fillbatch
    case fillsync
    case fillsustained
    case bulkload
    case overwrite
    case overwritesustained
    case deleterandom
    case deleterange
    case readrandom
    case readmissing
    case readhot
    case multiget
    case seekrandom
    case readseq
    case readreverse
    case readwhilewriting
    case ycsbA = "ycsb-a"
    case ycsbB = "ycsb-b"
    case ycsbC = "ycsb-c"
    case ycsbD = "ycsb-d"
    case ycsbE = "ycsb-e"
    case ycsbF = "ycsb-f"
    case open
    case recovery

    var summary: String {
        switch self {
        case .fillseq: "puts every key once, in order, into an empty database"
        case .fillrandom: "puts every key once, in random order, into an empty database"
        case .fillbatch: "as fillrandom, \(Self.batchEntryCount) entries per atomic batch; latencies are per batch"
        case .fillsync: "as fillrandom with a hundredth of the entries, each put synced to disk"
        case .fillsustained: "as fillrandom with \(Self.sustainedFactor) times the entries: what stalls do to p99.9"
        case .bulkload: "loads sorted entries by the engine's fastest way; latencies are per \(Self.batchEntryCount)"
        case .overwrite: "puts random keys into a full database"
        case .overwritesustained:
            "as overwrite with \(Self.overwriteFactor) times the operations: write amplification in the long run"
        case .deleterandom: "deletes random keys from a full database"
        case .deleterange: "deletes ranges of \(Self.keysPerRange) keys from a full database, a thousandth as many"
        case .readrandom: "gets random keys"
        case .readmissing: "gets random keys that are not there but lie between those that are"
        case .readhot: "gets keys by a Zipfian distribution (0.99), the hot ones scattered over the key space"
        case .multiget: "gets \(Self.keysPerMultiGet) random keys at once; operations are keys, latencies per call"
        case .seekrandom: "opens a cursor, seeks a random key, reads the \(Self.entriesAfterSeek) entries after it"
        case .readseq: "reads all entries in order; latencies are means of \(Self.scanLap) entries"
        case .readreverse: "reads all entries backwards; latencies are means of \(Self.scanLap) entries"
        case .readwhilewriting:
            "readrandom beside one more thread that overwrites \(Self.writerBytesPerSecond >> 20) MiB a second"
        case .ycsbA, .ycsbB, .ycsbC, .ycsbD, .ycsbE, .ycsbF: mix?.summary ?? ""
        case .open: "opens a full database that was closed cleanly, and gets one entry; \(Self.openings) times"
        case .recovery: "opens a database whose process was killed with 64 MiB in the log, and gets one entry"
        }
    }

    static let batchEntryCount = 1_000
    static let keysPerMultiGet = 100
    static let keysPerRange = 100
    static let entriesAfterSeek = 10
    static let sustainedFactor = 10
    static let overwriteFactor = 4
    static let openings = 5
    /// Of the writer in readwhilewriting. At full speed it would have the faster engine write more beside its readers.
    static let writerBytesPerSecond = 2 << 20
    static let writerBurst = 20
    /// Keys and values in the log that `recovery` starts from.
    static let recoveredByteCount = 64 << 20
    /// A step of a scan can cost less than reading the clock, so scans read it once for this many.
    static let scanLap = 16

    enum Start {
        case empty
        /// Every key is in the database, which came to rest and was closed.
        case full
        /// A process that filled the database was killed.
        case crashed
    }

    var start: Start {
        switch self {
        case .fillseq, .fillrandom, .fillbatch, .fillsync, .fillsustained, .bulkload: .empty
        case .recovery: .crashed
        default: .full
        }
    }

    /// Changes entries.
    var writes: Bool {
        switch self {
        case .readrandom, .readmissing, .readhot, .multiget, .seekrandom, .readseq, .readreverse, .ycsbC, .open,
            .recovery:
            false
        default: true
        }
    }

    /// Reads entries in the timed part, which then starts with warm caches.
    var reads: Bool {
        switch self {
        case .readrandom, .readmissing, .readhot, .multiget, .seekrandom, .readseq, .readreverse, .readwhilewriting:
            true
        default: mix != nil
        }
    }

    /// Measures opening, not operations on an open database.
    var opens: Bool { self == .open || self == .recovery }

    /// Changes files even if no entry, so that it needs a database of its own.
    var needsOwnDatabase: Bool { writes || opens }

    /// One thread for each engine's sake: LMDB and WiredTiger load in bulk by one writer, and opening is one call.
    var isSingleThreaded: Bool { opens || self == .bulkload }

    var durability: Durability { self == .fillsync ? .durable : .relaxed }

    var mix: YCSBMix? {
        switch self {
        case .ycsbA: .a
        case .ycsbB: .b
        case .ycsbC: .c
        case .ycsbD: .d
        case .ycsbE: .e
        case .ycsbF: .f
        default: nil
        }
    }

    // MARK: How much of it

    /// The entries in the database when a run of `entries` is over, but for deletions and insertions.
    func databaseEntryCount(of entries: Int, valueByteCount: Int) -> Int {
        switch self {
        case .fillsync: min(entries, max(100, entries / 100))
        case .fillsustained: entries * Self.sustainedFactor
        case .recovery: max(1, min(entries, Self.recoveredByteCount / (KeyBuffer.byteCount + valueByteCount)))
        default: entries
        }
    }

    /// Operations on a database of `entries`. Cold reads stop before most of the database has been read: each touches
    /// a page that is not in memory.
    func operationCount(of entries: Int, valueByteCount: Int, isCold: Bool) -> Int {
        let count =
            switch self {
            case .deleterange: max(1, entries / 1_000)
            case .overwritesustained: entries * Self.overwriteFactor
            case .ycsbE: max(1, entries / 10)
            case .open: Self.openings
            case .recovery: 1
            default: entries
            }
        guard isCold, reads, !isScan else { return count }
        let pages = entries * (KeyBuffer.byteCount + valueByteCount) / 4_096
        return min(count, max(100, pages / 4))
    }

    var isScan: Bool { self == .readseq || self == .readreverse }

    /// Entries of one timed step.
    var entriesPerStep: Int {
        switch self {
        case .fillbatch, .bulkload: Self.batchEntryCount
        case .multiget: Self.keysPerMultiGet
        default: 1
        }
    }
}
