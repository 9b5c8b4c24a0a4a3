// What a user may choose. Few on purpose: the engine tunes itself, and an option must earn its place by a benchmark in
// which two workloads want different values.

public import Logging

/// When a commit counts as done.
public enum Durability: Sendable, Hashable {
    /// On stable storage before the call returns. Survives power loss.
    case durable
    /// In the operating system before the call returns, on stable storage within `Options.syncInterval`.
    /// Survives a crash of the process; a power loss may take the last moments, always as a suffix of commit order.
    case relaxed
}

/// How a database is opened.
public struct Options: Sendable {
    // MARK: Behaviour

    /// Create the database if the directory is absent or empty.
    public var createIfMissing = true
    /// Open without the right to write: nothing in the directory changes, and other readers may have it open too.
    public var isReadOnly = false
    /// The durability of commits that do not name one.
    public var durability: Durability = .durable
    /// How long a relaxed commit may wait for stable storage.
    public var syncInterval: Duration = .seconds(1)
    /// Merge operators beside the built-in ones, found again by name when a keyspace is reopened.
    public var mergeOperators: [any MergeOperator] = []

    // MARK: Resources

    /// Bytes of memory for write buffers, cached blocks, indexes and filters together. At least 1 MiB.
    public var memoryBudget = 256 << 20

    // MARK: Watching

    /// Receives messages about opening, recovery, stalls and failures.
    public var logger = Logger(label: "apus", factory: { _ in SwiftLogNoOpLogHandler() })
    /// Called after flushes, compactions, stalls and errors, on the thread that did the work, while commits and other
    /// work may wait for it: return quickly, and call nothing of the database, which would wait for itself.
    public var onEvent: (@Sendable (Event) -> Void)?

    /// Sizes that tests make tiny, so that every level and code path is reached with little data.
    var tuning: Tuning?

    public init() {}

    public init(memoryBudget: Int = 256 << 20, durability: Durability = .durable) {
        self.memoryBudget = memoryBudget
        self.durability = durability
    }
}

/// How the tables of a keyspace are compressed.
public enum Compression: Sendable, Hashable {
    case none
    /// Fast everywhere. The default.
    case lz4
    /// LZ4 in the upper levels, zstd in the last one, where nine tenths of the data are.
    case lz4ThenZstd
    /// Smallest.
    case zstd
}

/// What happens to tables as they grow old.
public enum CompactionStyle: Sendable, Hashable {
    /// Sorted levels, each ten times larger than the one above. For everything that is read by key.
    case leveled
    /// Tables are dropped whole, oldest first, above a size or age: for journals and caches.
    case fifo(maximumByteCount: Int, maximumAge: Duration? = nil)
}

/// How one keyspace keeps its entries. Given when the keyspace is created, remembered in the database.
public struct KeyspaceOptions: Sendable {
    public var compression: Compression = .lz4
    /// Entries disappear this long after they were written, unless an entry has an expiry of its own.
    public var timeToLive: Duration?
    /// What `merge` does in this keyspace.
    public var mergeOperator: (any MergeOperator)?
    public var compaction: CompactionStyle = .leveled
    /// Bits per key of the Bloom filters; 0 for none. 10 bits give about 1 % false positives.
    public var filterBitsPerKey = 10
    /// Values of at least this many bytes go to blob files, which compaction does not rewrite; nil for never. They are
    /// written once, at their commit if it is relaxed or large. The cache keeps those up to 32 KiB that are read; a larger
    /// one costs a call of the system each time.
    public var valueSeparationThreshold: Int? = 4 << 10
    /// Never logged: contents may vanish in a crash, and then vanish whole. For caches.
    public var isEphemeral = false

    public init() {}

    public init(
        compression: Compression = .lz4, timeToLive: Duration? = nil, mergeOperator: (any MergeOperator)? = nil,
        compaction: CompactionStyle = .leveled, filterBitsPerKey: Int = 10,
        valueSeparationThreshold: Int? = 4 << 10, isEphemeral: Bool = false
    ) {
        self.compression = compression
        self.timeToLive = timeToLive
        self.mergeOperator = mergeOperator
        self.compaction = compaction
        self.filterBitsPerKey = filterBitsPerKey
        self.valueSeparationThreshold = valueSeparationThreshold
        self.isEphemeral = isEphemeral
    }
}

/// When an entry that is written expires.
public enum Expiry: Sendable, Hashable {
    /// After the keyspace's time to live, if it has one; else never. For a merge: as the state it is merged into.
    case automatic
    case never
    case after(Duration)
    /// Milliseconds since 1970-01-01 UTC.
    case at(milliseconds: UInt64)
}
