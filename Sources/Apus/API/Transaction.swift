// Serializable transactions, optimistic: reads see one snapshot plus the transaction's own writes and are remembered;
// at commit, alone in the commit pipeline, it is checked that nothing read has changed since (backward validation:
// Kung and Robinson, "On Optimistic Methods for Concurrency Control", TODS 1981). Nothing is locked meanwhile.

import ApusIO

/// A unit of work that behaves as if it ran alone.
///
/// Made by `Database.transaction(_:)`, which commits it and runs the closure again if another commit interfered. Use it
/// in one thread at a time, and only inside the closure.
public final class Transaction {
    public let database: Database
    private let snapshot: Snapshot
    private var batch = WriteBatch()
    private var overlay: TransactionOverlay?
    private var reads = ReadSet()
    /// Savepoints that can still be returned to, by number, oldest first.
    private var savepoints: [Int] = []
    private var lastSavepoint = 0
    private let token = Token()

    /// Tells the savepoints of one transaction from those of another.
    fileprivate final class Token: Sendable {}

    init(database: Database) throws(ApusError) {
        self.database = database
        snapshot = try database.snapshot()
    }

    /// When the transaction began, by `Database.time`: what had expired by then it does not see.
    public var time: UInt64 { snapshot.time }

    /// The `sequence` of the snapshot that the transaction reads.
    public var sequence: UInt64 { snapshot.sequence }

    // MARK: Writing

    public func put(
        _ key: some ByteRepresentable, _ value: some ByteRepresentable, in keyspace: Keyspace,
        expiry: Expiry = .automatic
    ) {
        batch.put(key, value, in: keyspace, expiry: expiry)
    }

    public func delete(_ key: some ByteRepresentable, in keyspace: Keyspace) {
        batch.delete(key, in: keyspace)
    }

    public func deleteRange(_ range: Range<some ByteRepresentable>, in keyspace: Keyspace) {
        batch.deleteRange(range, in: keyspace)
    }

    /// Removes every key from `start` up to, and not including, `end`: for bounds that are bytes.
    public func deleteRange(from start: some ByteRepresentable, to end: some ByteRepresentable, in keyspace: Keyspace) {
        batch.deleteRange(from: start, to: end, in: keyspace)
    }

    public func merge(
        _ key: some ByteRepresentable, _ operand: some ByteRepresentable, in keyspace: Keyspace,
        expiry: Expiry = .automatic
    ) {
        batch.merge(key, operand, in: keyspace, expiry: expiry)
    }

    public func merge(_ key: some ByteRepresentable, _ amount: Int64, in keyspace: Keyspace) {
        batch.merge(key, amount, in: keyspace)
    }

    // MARK: Reading

    /// The value of `key`: the transaction's own latest, else the snapshot's. The commit fails with `conflict` if
    /// another commit changes the key first.
    public func get(_ key: some ByteRepresentable, in keyspace: Keyspace) throws(ApusError) -> [UInt8]? {
        try check(keyspace)
        return try key.withBytes { (key) throws(ApusError) in
            reads.add(key: key, in: keyspace.tree)
            guard let own = try overlayIfNeeded(keyspace) else { return try reader(keyspace).get(key) }
            // What the transaction has not touched, or has plainly set or deleted, needs no merging cursor.
            if own.newestRangeDeletion(covering: key, atMost: .max) == .zero {
                guard let newest = own.find(key, .first) else { return try reader(keyspace).get(key) }
                if newest.trailer.kind == .value { return [UInt8](newest.payload) }
                if newest.trailer.kind == .deletion { return nil }
            }
            let cursor = try visibleCursor(
                KeyRange(lower: [UInt8](key), upper: [UInt8](key) + [0]), keyspace)
            try cursor.seekToFirst()
            return cursor.isValid ? [UInt8](try cursor.value()) : nil
        }
    }

    public func contains(_ key: some ByteRepresentable, in keyspace: Keyspace) throws(ApusError) -> Bool {
        try get(key, in: keyspace) != nil
    }

    /// See `Keyspace.scan`. The range walked counts as read, up to the entry where the scan was stopped: an entry that
    /// another commit adds to it is a conflict. What `body` itself writes the scan does not see.
    public func scan(
        _ range: KeyRange = .all, in keyspace: Keyspace, reversed: Bool = false, limit: Int = .max,
        _ body: (_ key: RawSpan, _ value: RawSpan) throws -> ScanStep
    ) throws {
        let cursor = try scanCursor(range, keyspace)
        guard limit > 0 else { return }
        defer { noteWalk(of: cursor, range, reversed, keyspace) }
        try KeyspaceReader.walk(cursor, reversed: reversed, limit: limit, body)
    }

    /// See `Keyspace.entries`.
    public func entries(
        _ range: KeyRange = .all, in keyspace: Keyspace, reversed: Bool = false, limit: Int = .max
    ) throws(ApusError) -> [Entry] {
        let cursor = try scanCursor(range, keyspace)
        guard limit > 0 else { return [] }
        defer { noteWalk(of: cursor, range, reversed, keyspace) }
        return try KeyspaceReader.collect(cursor, reversed: reversed, limit: limit)
    }

    private func scanCursor(_ range: KeyRange, _ keyspace: Keyspace) throws(ApusError) -> VisibleCursor {
        try check(keyspace)
        try range.check()
        return try visibleCursor(range, keyspace)
    }

    /// Notes what a walk has read: the range up to the entry that the cursor still stands on, all of it if the cursor
    /// came to its end, or failed.
    private func noteWalk(of cursor: VisibleCursor, _ range: KeyRange, _ reversed: Bool, _ keyspace: Keyspace) {
        var walked = range
        if cursor.isValid {
            if reversed { walked.lower = [UInt8](cursor.key) } else { walked.upper = [UInt8](cursor.key) + [0] }
        }
        reads.add(range: walked, in: keyspace.tree)
    }

    // MARK: Savepoints

    /// A point that `rollBack(to:)` returns to.
    public struct Savepoint: Sendable {
        fileprivate let position: WriteBatch.Position
        fileprivate let number: Int
        fileprivate let token: Token
    }

    /// Marks the writes so far.
    public func savepoint() -> Savepoint {
        lastSavepoint += 1
        savepoints.append(lastSavepoint)
        return Savepoint(position: batch.position, number: lastSavepoint, token: token)
    }

    /// Forgets the writes since `savepoint` was taken; what was read since still counts as read. The savepoint itself
    /// stays; later ones are gone.
    ///
    /// - Throws: `invalidArgument` if the savepoint is gone or belongs to another transaction; nothing changes then.
    public func rollBack(to savepoint: Savepoint) throws(ApusError) {
        guard savepoint.token === token, let index = savepoints.firstIndex(of: savepoint.number) else {
            throw ApusError(
                .invalidArgument, "the savepoint is not one of this transaction, or an earlier one was rolled back to")
        }
        savepoints.removeSubrange((index + 1)...)
        batch.truncate(to: savepoint.position)
        overlay = nil
    }

    // MARK: Ending

    func commit(durability: Durability?) throws(ApusError) {
        defer { snapshot.release() }
        if let error = batch.error { throw error }
        // Reads alone are serializable as they are: all of them saw one snapshot.
        guard !batch.isEmpty else { return }
        let reads = reads
        let engine = database.engine
        let sequence = snapshot.pin.sequence
        try database.commit(&batch, durability: durability) { () throws(ApusError) in
            try reads.validate(since: sequence, engine: engine)
        }
    }

    func cancel() {
        snapshot.release()
    }

    // MARK: Internals

    private func check(_ keyspace: Keyspace) throws(ApusError) {
        try keyspace.checkOpen()
        try database.check(keyspace)
    }

    private func reader(_ keyspace: Keyspace) throws(ApusError) -> KeyspaceReader {
        KeyspaceReader(
            keyspace: keyspace, view: keyspace.tree.retainedView(), snapshot: snapshot.pin.sequence,
            time: snapshot.pin.time)
    }

    /// The transaction's own writes, readable; nil if it wrote nothing to the keyspace.
    private func overlayIfNeeded(_ keyspace: Keyspace) throws(ApusError) -> Memtable? {
        guard batch.trees.contains(where: { $0 === keyspace.tree }) else { return nil }
        if let error = batch.error { throw error }
        if overlay == nil { overlay = TransactionOverlay(above: snapshot.pin.sequence) }
        return overlay!.memtable(for: keyspace.tree, including: batch)
    }

    private func visibleCursor(_ range: KeyRange, _ keyspace: Keyspace) throws(ApusError) -> VisibleCursor {
        let reader = try reader(keyspace)
        guard let own = try overlayIfNeeded(keyspace) else { return try reader.visibleCursor(range) }
        return try reader.visibleCursor(range, above: own, upTo: snapshot.pin.sequence.advanced(by: batch.count))
    }
}
