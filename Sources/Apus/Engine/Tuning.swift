// Every size that the engine chooses by itself. Users do not see it; tests make the values tiny, so that a few hundred
// entries reach every level and every code path.

struct Tuning: Sendable {
    /// A memtable of this size is sealed and flushed.
    var writeBufferByteCount: Int
    /// Sealed memtables of one tree that may wait for their flush before writers wait too.
    var maximumSealedMemtables = 2
    /// Uncompressed size at which a table's data block is closed.
    var blockByteCount = 4 << 10
    var levels = LevelPolicy()
    /// Compactions that run at once. Each is given a thread by the scheduler.
    var maximumCompactions = 1
    /// Merging a keyspace into one sorted run may cost so many bytes for each sorted run that a seek has looked into
    /// besides the first. Asked once in so many seeks, so none is merged for fewer.
    var byteCountPerWastedSeek = 1 << 10
    var leastWastedSeeks = 1_000
    /// Level-0 tables at which writers are slowed down, and stopped.
    var levelZeroSlowdown = 24
    var levelZeroStop = 40
    /// Compaction debt in bytes at which writers are slowed down, and slowed down most.
    var debtSlowdown: UInt64 = 8 << 30
    var debtStop: UInt64 = 64 << 30
    /// Preallocated size of a log segment.
    var logSegmentByteCount: UInt64
    /// Log bytes kept for unflushed entries before the oldest memtable is flushed to let go of them.
    var logByteCount: UInt64
    /// Values from here on that their keyspace separates go to a blob file when they are committed, not to the log.
    var leastValueByteCount = 4 << 10
    /// A synced commit does so only with that much altogether: it has to sync two files then.
    var leastSyncedValuesByteCount = 256 << 10
    /// How large such a blob file grows before its memtable is sealed.
    var valueFileByteCount: UInt64
    /// Manifest size at which it is written anew.
    var manifestByteCount: UInt64 = 256 << 10

    /// Every new version of a keyspace is verified before it becomes durable (see Verify/Invariants.swift). It costs
    /// reading all of it: in a build with APUS_CHECKS=1 always, else where a test wants it.
    var checksVersions: Bool = {
        #if APUS_CHECKS
        true
        #else
        false
        #endif
    }()

    private let memoryBudget: Int

    /// What the engine uses for a memory budget. An active memtable and two sealed ones take at most 9/16 of it; the
    /// block cache has the rest, and whatever memtables leave free.
    init(memoryBudget: Int) {
        self.memoryBudget = memoryBudget
        writeBufferByteCount = Swift.min(Swift.max(memoryBudget * 3 / 16, 128 << 10), 256 << 20)
        // Who has little memory has little to write, and no use for files that are mostly room.
        logSegmentByteCount = UInt64(Swift.min(Swift.max(memoryBudget / 4, 1 << 20), 64 << 20))
        logByteCount = UInt64(Swift.max(writeBufferByteCount * 4, 64 << 20))
        valueFileByteCount = logByteCount
    }

    /// What the block cache may use while memtables use `memtables` bytes.
    func cacheByteCount(memtables: Int) -> Int {
        Swift.max(memoryBudget / 4, memoryBudget - memtables - memoryBudget / 16)
    }
}

extension Options {
    /// Sizes at which a megabyte goes through as many log segments, manifests, tables and levels as gigabytes do
    /// otherwise: for tools of this package that test the engine from outside.
    package mutating func makeSmall() {
        var small = Tuning(memoryBudget: memoryBudget)
        small.writeBufferByteCount = 64 << 10
        small.blockByteCount = 1 << 10
        small.levels.ratio = 4
        small.levels.baseByteCount = 256 << 10
        small.levels.tableByteCount = 64 << 10
        small.leastWastedSeeks = 50
        small.logSegmentByteCount = 128 << 10
        small.logByteCount = 512 << 10
        small.leastValueByteCount = 2 << 10
        small.leastSyncedValuesByteCount = 16 << 10
        small.valueFileByteCount = 256 << 10
        small.manifestByteCount = 4 << 10
        tuning = small
    }
}
