// The whole database at one moment: every keyspace, one sequence number.

import ApusIO
import Synchronization

/// Reads every keyspace as it was when the snapshot was taken.
///
/// While a snapshot lives, compaction keeps what it sees; release it when done (or let it go out of scope). Of keyspaces
/// with `CompactionStyle.fifo` the oldest entries go all the same.
public final class Snapshot: Sendable {
    public let database: Database
    let pin: SnapshotList.Pin
    private let isReleased = Atomic(false)

    init(database: Database, pin: SnapshotList.Pin) {
        self.database = database
        self.pin = pin
    }

    deinit { release() }

    /// Number of entries ever written when the snapshot was taken: later snapshots have larger numbers.
    public var sequence: UInt64 { pin.sequence.rawValue }

    /// When the snapshot was taken, by `Database.time`: what had expired by then it does not see.
    public var time: UInt64 { pin.time }

    /// Lets compaction drop what only this snapshot sees. Reads after it throw `closed`. Idempotent.
    public func release() {
        if isReleased.exchange(true, ordering: .acquiringAndReleasing) { return }
        database.engine.structure.withLock { $0.snapshots.remove(pin) }
    }

    /// The value of `key`, copied; nil if there was none.
    public func get(_ key: some ByteRepresentable, in keyspace: Keyspace) throws(ApusError) -> [UInt8]? {
        let reader = try reader(keyspace)
        return try key.withBytes { (key) throws(ApusError) in try reader.get(key) }
    }

    /// Calls `body` with the value of `key` where it lies; nil if there was none. See `Keyspace.withValue`.
    @inlinable
    public func withValue<Key: ByteRepresentable & ~Copyable & ~Escapable, Result>(
        for key: borrowing Key, in keyspace: Keyspace, _ body: (RawSpan) throws -> Result
    ) throws -> Result? {
        var outcome: Swift.Result<Result, any Error>?
        try key.withBytes { (key) throws(ApusError) in
            try withValueBytes(key, in: keyspace) { (value) throws(ApusError) in
                do { outcome = .success(try body(value.bytes)) } catch { outcome = .failure(error) }
            }
        }
        return try outcome?.get()
    }

    /// The values of several keys, in the order asked for. See `Keyspace.get(_:)`.
    @inlinable
    public func get(_ keys: [some ByteRepresentable], in keyspace: Keyspace) throws(ApusError) -> [[UInt8]?] {
        try getValues(of: KeyList(keys), in: keyspace)
    }

    /// Calls `body` with the index and value of each key where it lies. See `Keyspace.withValues`.
    @inlinable
    public func withValues(
        for keys: [some ByteRepresentable], in keyspace: Keyspace,
        _ body: (_ index: Int, _ value: RawSpan?) throws -> Void
    ) throws {
        try visitValues(of: KeyList(keys), in: keyspace, body)
    }

    public func contains(_ key: some ByteRepresentable, in keyspace: Keyspace) throws(ApusError) -> Bool {
        let reader = try reader(keyspace)
        return try key.withBytes { (key) throws(ApusError) in try reader.contains(key) }
    }

    /// See `Keyspace.scan`.
    public func scan(
        _ range: KeyRange = .all, in keyspace: Keyspace, reversed: Bool = false, limit: Int = .max,
        _ body: (_ key: RawSpan, _ value: RawSpan) throws -> ScanStep
    ) throws {
        try reader(keyspace).scan(range, reversed: reversed, limit: limit, passingErrorsOf: body)
    }

    /// See `Keyspace.entries`.
    public func entries(
        _ range: KeyRange = .all, in keyspace: Keyspace, reversed: Bool = false, limit: Int = .max
    ) throws(ApusError) -> [Entry] {
        try reader(keyspace).entries(range, reversed: reversed, limit: limit)
    }

    /// A cursor over the keyspace as the snapshot sees it; stays valid when the snapshot is released.
    public func makeCursor(_ range: KeyRange = .all, in keyspace: Keyspace) throws(ApusError) -> Cursor {
        try reader(keyspace).makeCursor(range)
    }

    @usableFromInline
    func withValueBytes(
        _ key: UnsafeRawBufferPointer, in keyspace: Keyspace,
        _ body: (UnsafeRawBufferPointer) throws(ApusError) -> Void
    ) throws(ApusError) {
        try reader(keyspace).withValue(key, body)
    }

    @usableFromInline
    func getValues(of keys: KeyList, in keyspace: Keyspace) throws(ApusError) -> [[UInt8]?] {
        try reader(keyspace).get(keys)
    }

    @usableFromInline
    func visitValues(
        of keys: KeyList, in keyspace: Keyspace, _ body: (Int, RawSpan?) throws -> Void
    ) throws {
        try reader(keyspace).withValues(keys) { index, value in
            try body(index, value)
            return .next
        }
    }

    private func reader(_ keyspace: Keyspace) throws(ApusError) -> KeyspaceReader {
        try keyspace.checkOpen()
        try database.check(keyspace)
        if isReleased.load(ordering: .acquiring) { throw ApusError(.closed, "the snapshot was released") }
        return KeyspaceReader(
            keyspace: keyspace, view: keyspace.tree.retainedView(), snapshot: pin.sequence, time: pin.time)
    }
}

extension Database {
    /// Number of entries ever written: the `sequence` of a snapshot that were taken now.
    public var sequence: UInt64 { engine.visibleSequence.rawValue }

    /// The smallest `sequence` at which anyone reads now or will read: that of the oldest snapshot or transaction that is
    /// open, or else of one that were taken now. What was deleted before it nobody can see any more, so a layer above may
    /// drop what it keeps in memory for it.
    public var oldestReadSequence: UInt64 {
        engine.structure.withLock { $0.snapshots.oldestSequence(or: engine.visibleSequence) }.rawValue
    }
}
