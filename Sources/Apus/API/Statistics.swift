// Figures about a database: what it holds, level by level, and what it has done since it was opened.

/// A picture of a database at one moment.
public struct Statistics: Sendable {
    public struct Latency: Sendable {
        public var p50: Duration
        public var p99: Duration
        public var p999: Duration
        public var maximum: Duration
        /// How many took longer than the bound before and at most this long; bounds double from 1 µs on, and bounds
        /// that nothing falls under are left out.
        public var histogram: [(bound: Duration, count: UInt64)] = []
    }

    public struct Level: Sendable {
        /// 0 is where flushes go; the last holds most.
        public var number: Int
        public var tables: Int
        public var byteCount: UInt64
        public var entries: UInt64
        public var deletions: UInt64
        /// How urgently the level needs compaction: due from 1.
        public var score: Double
        /// Bytes of tables and blob files written to the level since the database was opened.
        public var bytesWritten: UInt64
        /// The same for each byte that the user wrote to the keyspace; 0 if there was none.
        public var writeAmplification: Double
        /// Bytes of this level and those above for each byte of this one: what a scan of the level's keys reads more
        /// than it holds.
        public var spaceAmplification: Double
    }

    public struct Keyspace: Sendable {
        public var name: String
        public var levels: [Level]
        public var blobFiles: Int
        public var blobByteCount: UInt64
        /// Bytes in blob files that nothing refers to any more.
        public var blobGarbageByteCount: UInt64
        /// Entries that are in memory only (and in the log).
        public var unflushedEntries: Int
        public var memtableByteCount: Int
        /// Bytes that must be compacted before every level is within its target.
        public var compactionDebt: UInt64
        /// Sorted runs that a point lookup may have to look into: memtables, level-0 tables, occupied levels.
        public var readAmplification: Int
        /// Bytes on disk for each byte of the last level: 1.0 = nothing is stored twice.
        public var spaceAmplification: Double
        /// Keys and values as the caller gave them, since the database was opened.
        public var userBytesWritten: UInt64
        /// Bytes written to log, tables and blob files for each of them; 0 if there was none.
        public var writeAmplification: Double

        public var tableByteCount: UInt64 { levels.reduce(0) { $0 + $1.byteCount } }
        public var entries: UInt64 { levels.reduce(UInt64(unflushedEntries)) { $0 + $1.entries } }
    }

    public var keyspaces: [Keyspace] = []

    // MARK: Since the database was opened

    public var reads: UInt64 = 0
    public var commits: UInt64 = 0
    public var entriesWritten: UInt64 = 0
    /// Keys and values as the caller gave them.
    public var userBytesWritten: UInt64 = 0
    public var flushes: UInt64 = 0
    public var flushedBytes: UInt64 = 0
    public var compactions: UInt64 = 0
    public var compactionBytesRead: UInt64 = 0
    public var compactionBytesWritten: UInt64 = 0
    public var stalls: UInt64 = 0
    public var stallTime: Duration = .zero
    public var syncs: UInt64 = 0
    public var syncLatency = Latency(p50: .zero, p99: .zero, p999: .zero, maximum: .zero)

    // MARK: Memory and log

    public var cacheHits: UInt64 = 0
    public var cacheMisses: UInt64 = 0
    public var cacheByteCount = 0
    public var cacheCapacity = 0
    public var memtableByteCount = 0
    public var logSegments = 0
    public var logByteCount: UInt64 = 0
    public var openSnapshots = 0
    /// The newest sequence number: entries ever written.
    public var lastSequence: UInt64 = 0

    /// Of all block reads, the share that needed no disk; 1 if there was none.
    public var cacheHitRate: Double {
        cacheHits + cacheMisses == 0 ? 1 : Double(cacheHits) / Double(cacheHits + cacheMisses)
    }

    /// Bytes written to log and tables for each byte that the user wrote.
    public var writeAmplification: Double {
        guard userBytesWritten > 0 else { return 0 }
        return Double(userBytesWritten + flushedBytes + compactionBytesWritten) / Double(userBytesWritten)
    }
}
