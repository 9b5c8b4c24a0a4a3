// What the engine tells an observer while it works.

/// Something the engine did in the background, or something that went wrong there.
public enum Event: Sendable {
    /// Memtables of a keyspace became tables.
    case flush(Work)
    /// Tables were merged, moved a level down, or dropped whole.
    case compaction(Work)
    /// Writers were slowed down or stopped for this long because compaction or flushes fell behind.
    case stall(keyspace: String, duration: Duration)
    /// A background job failed. Out of space: it is tried again. Anything else: see `ApusError.Kind.failed`.
    case error(ApusError)

    /// One finished background job.
    public struct Work: Sendable {
        public var keyspace: String
        /// The level that received the output.
        public var level: Int
        public var inputTables: Int
        public var outputTables: Int
        public var bytesRead: UInt64
        public var bytesWritten: UInt64
        public var duration: Duration
    }
}
