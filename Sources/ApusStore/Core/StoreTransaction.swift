// A transaction over all collections: the engine's transaction, and what is to happen once it has been committed.

public import Apus

/// A unit of work over any number of collections that behaves as if it ran alone. See `Store.transaction`.
///
/// Collections take one as `in:` of their writes and reads. Use it in one thread at a time, and only inside the closure
/// that it was given to: after it reads throw `closed`, and writes are forgotten.
public final class StoreTransaction: StoreReader {
    public let store: Store
    /// The engine's transaction behind it, for keyspaces of the application's own.
    public let transaction: Transaction
    @exclusivity(unchecked) private var endActions: [(_ isCommitted: Bool) -> Void] = []
    @exclusivity(unchecked) private var isOver = false

    @usableFromInline
    init(store: Store, transaction: Transaction) {
        self.store = store
        self.transaction = transaction
    }

    /// Runs `action` once, after the transaction has been committed; never if it fails. The place for effects outside the
    /// database, because the closure of a transaction may run several times.
    public func onCommit(_ action: @escaping () -> Void) {
        onEnd { isCommitted in if isCommitted { action() } }
    }

    /// Runs `action` once, when it is known whether the transaction, or the part of it since the latest savepoint that
    /// was kept, has been committed: for what has to be taken back otherwise.
    func onEnd(_ action: @escaping (_ isCommitted: Bool) -> Void) {
        endActions.append(action)
    }

    @usableFromInline
    func end(isCommitted: Bool) {
        isOver = true
        // Actions may ask for more of them.
        while !endActions.isEmpty {
            let actions = endActions
            endActions = []
            for action in actions { action(isCommitted) }
        }
    }

    /// The engine keeps nothing for a transaction that is over: what is read in it would be neither then nor now.
    private func checkOpen() throws(ApusError) {
        if isOver { throw ApusError(.closed, "the transaction is over") }
    }

    // MARK: Reading

    public var time: UInt64 { transaction.time }

    /// The value of `key`: the transaction's own latest, else that of its beginning. The commit fails with `conflict`,
    /// and the closure runs again, if another commit changes the key first.
    public func get(_ key: some ByteRepresentable, in keyspace: Keyspace) throws(ApusError) -> [UInt8]? {
        try checkOpen()
        return try transaction.get(key, in: keyspace)
    }

    public func withValue<Result>(
        for key: some ByteRepresentable, in keyspace: Keyspace, _ body: (RawSpan) throws -> Result
    ) throws -> Result? {
        try checkOpen()
        return try transaction.withValue(for: key, in: keyspace, body)
    }

    /// Calls `body` with the index and value of each key until it returns `.stop`: see `Transaction.withValues`.
    func withValues(
        for keys: [UnsafeRawBufferPointer], in keyspace: Keyspace,
        _ body: (_ index: Int, _ value: RawSpan?) throws -> ScanStep
    ) throws {
        try checkOpen()
        try transaction.withValues(for: keys, in: keyspace, body)
    }

    public func contains(_ key: some ByteRepresentable, in keyspace: Keyspace) throws(ApusError) -> Bool {
        try checkOpen()
        return try transaction.contains(key, in: keyspace)
    }

    /// The range walked counts as read. What `body` itself writes the scan does not see.
    public func scan(
        _ range: KeyRange, in keyspace: Keyspace, reversed: Bool, limit: Int,
        _ body: (_ key: RawSpan, _ value: RawSpan) throws -> ScanStep
    ) throws {
        try checkOpen()
        try transaction.scan(range, in: keyspace, reversed: reversed, limit: limit, body)
    }

    // MARK: Writing

    public func put(
        _ key: some ByteRepresentable, _ value: some ByteRepresentable, in keyspace: Keyspace,
        expiry: Expiry = .automatic
    ) {
        transaction.put(key, value, in: keyspace, expiry: expiry)
    }

    public func delete(_ key: some ByteRepresentable, in keyspace: Keyspace) {
        transaction.delete(key, in: keyspace)
    }

    /// Removes every key from `start` up to, and not including, `end`.
    public func deleteRange(from start: some ByteRepresentable, to end: some ByteRepresentable, in keyspace: Keyspace) {
        transaction.deleteRange(from: start, to: end, in: keyspace)
    }

    public func merge(
        _ key: some ByteRepresentable, _ operand: some ByteRepresentable, in keyspace: Keyspace,
        expiry: Expiry = .automatic
    ) {
        transaction.merge(key, operand, in: keyspace, expiry: expiry)
    }

    public func merge(_ key: some ByteRepresentable, _ amount: Int64, in keyspace: Keyspace) {
        transaction.merge(key, amount, in: keyspace)
    }

    // MARK: Savepoints

    /// A point that `rollBack(to:)` returns to.
    public struct Savepoint: Sendable {
        fileprivate let savepoint: Transaction.Savepoint
        fileprivate let endActionCount: Int
    }

    /// Marks the writes so far.
    public func savepoint() -> Savepoint {
        Savepoint(savepoint: transaction.savepoint(), endActionCount: endActions.count)
    }

    /// Forgets the writes, and the actions for the commit, since `savepoint` was taken. See `Transaction.rollBack(to:)`.
    public func rollBack(to savepoint: Savepoint) throws(ApusError) {
        try transaction.rollBack(to: savepoint.savepoint)
        let undone = endActions[savepoint.endActionCount...]
        endActions.removeSubrange(savepoint.endActionCount...)
        for action in undone { action(false) }
    }
}
