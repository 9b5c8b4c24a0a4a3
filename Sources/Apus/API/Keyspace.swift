// A named keyspace: an LSM tree of its own inside a database, and the calls that write one entry. Reads are in
// Keyspace+Read.swift.

import ApusIO

/// An ordered map from byte keys to byte values, one of any number in a database.
///
/// Keys ascend by unsigned bytes, always; `KeyCoder` builds keys that give every other order. A keyspace is a light
/// reference; it keeps its database open.
public final class Keyspace: Sendable {
    public let database: Database
    let tree: Tree

    public var name: String { tree.name }

    /// That of the database, which keeps it alive: most calls borrow it, and count no reference.
    private let borrowedEngine: Unmanaged<Engine>
    var engine: Engine { borrowedEngine.takeUnretainedValue() }

    init(database: Database, tree: Tree) {
        self.database = database
        self.tree = tree
        borrowedEngine = Unmanaged.passUnretained(database.engine)
    }

    /// Throws `closed` if the database is closed or the keyspace dropped.
    @inline(__always)
    func checkOpen() throws(ApusError) {
        try withEngine { (engine) throws(ApusError) in try engine.checkOpen() }
        if tree.isDropped { throw ApusError(.closed, "keyspace \"\(tree.name)\" was dropped") }
    }

    /// Calls `body` with the engine, which the database keeps alive, and the keyspace that: no reference is counted.
    @inline(__always)
    func withEngine<Result>(_ body: (Engine) throws(ApusError) -> Result) throws(ApusError) -> Result {
        try borrowedEngine.withBorrowed(body)
    }

    // MARK: Writing one entry

    /// Sets `key` to `value`.
    ///
    /// - Parameters:
    ///   - key: 1 byte to 64 KiB.
    ///   - value: up to 1 GiB; empty values are values.
    ///   - expiry: when the entry disappears; as the keyspace says by default.
    ///   - durability: the database's default if nil.
    /// - Throws: `ApusError`: `invalidArgument` for a key or value outside its limits, `outOfSpace`, `readOnly`,
    ///   `closed`, or `failed` after an earlier failed sync.
    @inlinable
    public func put<Key: ByteRepresentable & ~Copyable & ~Escapable, Value: ByteRepresentable & ~Copyable & ~Escapable>(
        _ key: borrowing Key, _ value: borrowing Value, expiry: Expiry = .automatic, durability: Durability? = nil
    ) throws(ApusError) {
        try key.withBytes { (key) throws(ApusError) in
            try value.withBytes { (value) throws(ApusError) in
                try putBytes(key, value, expiry: expiry, durability: durability)
            }
        }
    }

    @usableFromInline
    func putBytes(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, expiry: Expiry, durability: Durability?
    ) throws(ApusError) {
        if Limits.keyByteCount.contains(key.count), value.count <= Engine.largestSingleValue,
            tree.expiryTime(expiry) == 0
        {
            let entry = SingleEntry(kind: .value, keyspace: tree.id, key: key, payload: value)
            if try commitAlone(entry, durability: durability) { return }
        }
        var batch = WriteBatch()
        batch.putBytes(key, value, in: self, expiry: expiry)
        try database.commit(&batch, durability: durability, validate: nil)
    }

    /// Removes `key`; no error if it is absent.
    @inlinable
    public func delete<Key: ByteRepresentable & ~Copyable & ~Escapable>(
        _ key: borrowing Key, durability: Durability? = nil
    ) throws(ApusError) {
        try key.withBytes { (key) throws(ApusError) in try deleteBytes(key, durability: durability) }
    }

    @inline(__always)
    private func commitAlone(_ entry: SingleEntry, durability: Durability?) throws(ApusError) -> Bool {
        try withEngine { (engine) throws(ApusError) in
            try engine.commitAlone(entry, in: tree, durability: durability ?? engine.options.durability)
        }
    }

    @usableFromInline
    func deleteBytes(_ key: UnsafeRawBufferPointer, durability: Durability?) throws(ApusError) {
        if Limits.keyByteCount.contains(key.count) {
            let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
            let entry = SingleEntry(kind: .deletion, keyspace: tree.id, key: key, payload: nothing)
            if try commitAlone(entry, durability: durability) { return }
        }
        var batch = WriteBatch()
        batch.deleteBytes(key, in: self)
        try database.commit(&batch, durability: durability, validate: nil)
    }

    /// Removes every key in `range`. Costs one entry, however many keys there are.
    @inlinable
    public func deleteRange<Key: ByteRepresentable>(
        _ range: Range<Key>, durability: Durability? = nil
    ) throws(ApusError) {
        try deleteRange(from: range.lowerBound, to: range.upperBound, durability: durability)
    }

    /// Removes every key from `start` (inclusive) to `end` (exclusive).
    @inlinable
    public func deleteRange<
        Start: ByteRepresentable & ~Copyable & ~Escapable, End: ByteRepresentable & ~Copyable & ~Escapable
    >(from start: borrowing Start, to end: borrowing End, durability: Durability? = nil) throws(ApusError) {
        var batch = WriteBatch()
        batch.deleteRange(from: start, to: end, in: self)
        try database.commit(&batch, durability: durability, validate: nil)
    }

    /// Merges `operand` into the value of `key` by the keyspace's merge operator, without reading it first.
    @inlinable
    public func merge<
        Key: ByteRepresentable & ~Copyable & ~Escapable, Operand: ByteRepresentable & ~Copyable & ~Escapable
    >(
        _ key: borrowing Key, _ operand: borrowing Operand, expiry: Expiry = .automatic, durability: Durability? = nil
    ) throws(ApusError) {
        var batch = WriteBatch()
        batch.merge(key, operand, in: self, expiry: expiry)
        try database.commit(&batch, durability: durability, validate: nil)
    }

    /// Merges a 64-bit integer: for keyspaces with the `.add` operator.
    @inlinable
    public func merge<Key: ByteRepresentable & ~Copyable & ~Escapable>(
        _ key: borrowing Key, _ amount: Int64, expiry: Expiry = .automatic, durability: Durability? = nil
    ) throws(ApusError) {
        var batch = WriteBatch()
        batch.merge(key, amount, in: self, expiry: expiry)
        try database.commit(&batch, durability: durability, validate: nil)
    }
}

// MARK: - Asynchronous forms

extension Keyspace {
    /// Sets `key` to `value`; suspends until the commit is done and blocks no thread of the caller's executor.
    public func put(
        _ key: some ByteRepresentable, _ value: some ByteRepresentable, expiry: Expiry = .automatic,
        durability: Durability? = nil
    ) async throws(ApusError) {
        var batch = WriteBatch()
        batch.put(key, value, in: self, expiry: expiry)
        try await database.commit(batch, durability: durability)
    }

    /// Removes `key`; suspends until the commit is done.
    public func delete(_ key: some ByteRepresentable, durability: Durability? = nil) async throws(ApusError) {
        var batch = WriteBatch()
        batch.delete(key, in: self)
        try await database.commit(batch, durability: durability)
    }

    /// Merges `operand` into the value of `key`; suspends until the commit is done.
    public func merge(
        _ key: some ByteRepresentable, _ operand: some ByteRepresentable, expiry: Expiry = .automatic,
        durability: Durability? = nil
    ) async throws(ApusError) {
        var batch = WriteBatch()
        batch.merge(key, operand, in: self, expiry: expiry)
        try await database.commit(batch, durability: durability)
    }
}
