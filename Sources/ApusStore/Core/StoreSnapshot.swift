// Every collection at one moment.

public import Apus

/// Reads every collection as it was when the snapshot was taken. See `Store.snapshot()`.
///
/// While it lives, compaction keeps what it sees: release it when done, or let it go out of scope.
public final class StoreSnapshot: StoreReader, Sendable {
    public let store: Store
    /// The engine's snapshot behind it, for keyspaces of the application's own.
    public let snapshot: Snapshot

    init(store: Store, snapshot: Snapshot) {
        self.store = store
        self.snapshot = snapshot
    }

    public var time: UInt64 { snapshot.time }

    /// Reads after it throw `closed`. Idempotent.
    public func release() {
        snapshot.release()
    }

    public func get(_ key: some ByteRepresentable, in keyspace: Keyspace) throws(ApusError) -> [UInt8]? {
        try snapshot.get(key, in: keyspace)
    }

    public func withValue<Result>(
        for key: some ByteRepresentable, in keyspace: Keyspace, _ body: (RawSpan) throws -> Result
    ) throws -> Result? {
        try snapshot.withValue(for: key, in: keyspace, body)
    }

    public func contains(_ key: some ByteRepresentable, in keyspace: Keyspace) throws(ApusError) -> Bool {
        try snapshot.contains(key, in: keyspace)
    }

    public func scan(
        _ range: KeyRange, in keyspace: Keyspace, reversed: Bool, limit: Int,
        _ body: (_ key: RawSpan, _ value: RawSpan) throws -> ScanStep
    ) throws {
        try snapshot.scan(range, in: keyspace, reversed: reversed, limit: limit, body)
    }
}
