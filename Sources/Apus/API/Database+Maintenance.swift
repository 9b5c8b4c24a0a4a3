// What operators do with a database: flush, compact, sync, verify, look at figures.

import ApusIO

extension Database {
    /// Writes every memtable to tables and waits for it. Nothing needs it for durability; it shortens the next open
    /// after a crash.
    public func flush() throws(ApusError) {
        try engine.checkWritable()
        try engine.flush()
    }

    /// Brings every entry of `range` in every keyspace down to the last level and drops what no reader needs any more.
    /// Waits until that is done.
    public func compact(_ range: KeyRange = .all) throws(ApusError) {
        try range.check()
        try engine.checkWritable()
        try engine.compact(range, only: nil)
    }

    /// Makes every commit so far durable, the relaxed ones too.
    public func synchronize() throws(ApusError) {
        try engine.checkWritable()
        try engine.synchronize()
    }

    /// Reads every byte of every file and checks checksums, order, level invariants, and the manifest against the
    /// directory. Throws nothing for what it finds: that is in the report.
    public func verify() throws(ApusError) -> VerificationReport {
        try engine.checkOpen()
        return try engine.verify()
    }

    /// Figures of every keyspace and level, and of the database as a whole, since it was opened.
    public var statistics: Statistics {
        engine.statistics()
    }
}

extension Keyspace {
    /// See `Database.compact(_:)`, for one keyspace.
    public func compact(_ range: KeyRange = .all) throws(ApusError) {
        try range.check()
        try checkOpen()
        try engine.checkWritable()
        try engine.compact(range, only: tree)
    }
}
