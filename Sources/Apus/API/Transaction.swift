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
    @exclusivity(unchecked) @usableFromInline var batch = WriteBatch()
    /// Two ways to the same writes: by key, and in order.
    @exclusivity(unchecked) private var index: WriteIndex?
    @exclusivity(unchecked) private var overlay: TransactionOverlay?
    @exclusivity(unchecked) private var reads = ReadSet()
    /// Savepoints that can still be returned to, by number, oldest first.
    private var savepoints: [Int] = []
    private var lastSavepoint = 0
    private lazy var token = Token()
    /// Changes that were rolled back, and the roll backs.
    private var undoneCount = 0

    /// Tells the savepoints of one transaction from those of another.
    fileprivate final class Token: Sendable {}

    @usableFromInline
    init(database: Database) throws(ApusError) {
        self.database = database
        snapshot = try database.snapshot()
    }

    /// When the transaction began, by `Database.time`: what had expired by then it does not see.
    public var time: UInt64 { snapshot.time }

    /// The `sequence` of the snapshot that the transaction reads.
    public var sequence: UInt64 { snapshot.sequence }

    // MARK: Writing

    @inlinable
    public func put<
        Key: ByteRepresentable & ~Copyable & ~Escapable, Value: ByteRepresentable & ~Copyable & ~Escapable
    >(_ key: borrowing Key, _ value: borrowing Value, in keyspace: Keyspace, expiry: Expiry = .automatic) {
        batch.put(key, value, in: keyspace, expiry: expiry)
    }

    @inlinable
    public func delete<Key: ByteRepresentable & ~Copyable & ~Escapable>(_ key: borrowing Key, in keyspace: Keyspace) {
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

    /// Grows with every change of what the transaction would write, a roll back included: as long as it stays the same, so
    /// does what the transaction reads.
    public var changeCount: Int { batch.count + undoneCount }

    // MARK: Reading

    /// The value of `key`: the transaction's own latest, else the snapshot's. The commit fails with `conflict` if
    /// another commit changes the key first.
    @inlinable
    public func get<Key: ByteRepresentable & ~Copyable & ~Escapable>(
        _ key: borrowing Key, in keyspace: Keyspace
    ) throws(ApusError) -> [UInt8]? {
        try key.withBytes { (key) throws(ApusError) in try getBytes(key, in: keyspace) }
    }

    /// Calls `body` with the value of `key` where it lies; nil if there is none. Counts as read, as by `get`.
    ///
    /// Copies nothing and allocates nothing, unless the transaction has written the value itself, or it is a merge result
    /// or separated. The span is valid only during the call; a long call delays the reuse of memory, nothing else. `body`
    /// may write through the transaction. Throws what `body` throws, besides an `ApusError`.
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

    /// Calls `body` with the index and value of each key where it lies, nil if it has none, in the order asked for, until
    /// it returns `.stop`. Only what `body` has been called with counts as read.
    ///
    /// Faster than one after the other: see `Keyspace.withValues`. `body` may write through the transaction, and is shown
    /// what it has written. Throws what `body` throws, besides an `ApusError`.
    @inlinable
    public func withValues(
        for keys: [some ByteRepresentable], in keyspace: Keyspace,
        _ body: (_ index: Int, _ value: RawSpan?) throws -> ScanStep
    ) throws {
        try visitValues(of: KeyList(keys), in: keyspace, body)
    }

    @inlinable
    public func contains<Key: ByteRepresentable & ~Copyable & ~Escapable>(
        _ key: borrowing Key, in keyspace: Keyspace
    ) throws(ApusError) -> Bool {
        try key.withBytes { (key) throws(ApusError) in try containsBytes(key, in: keyspace) }
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
        let count = batch.count
        batch.truncate(to: savepoint.position)
        undoneCount += count - batch.count + 1
        self.index = nil
        overlay = nil
    }

    // MARK: Ending

    @usableFromInline
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

    @usableFromInline
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

    /// Whether the transaction wrote to the keyspace.
    private func hasWritten(to keyspace: Keyspace) throws(ApusError) -> Bool {
        guard batch.trees.contains(where: { $0 === keyspace.tree }) else { return false }
        if let error = batch.error { throw error }
        return true
    }

    private func visibleCursor(_ range: KeyRange, _ keyspace: Keyspace) throws(ApusError) -> VisibleCursor {
        let reader = try reader(keyspace)
        guard try hasWritten(to: keyspace) else { return try reader.visibleCursor(range) }
        if overlay == nil { overlay = TransactionOverlay(above: snapshot.pin.sequence) }
        guard let own = overlay!.memtable(for: keyspace.tree, including: batch) else {
            return try reader.visibleCursor(range)
        }
        return try reader.visibleCursor(range, above: own, upTo: snapshot.pin.sequence.advanced(by: batch.count))
    }
}

// MARK: - Behind the generic faces

extension Transaction {
    @usableFromInline
    func getBytes(_ key: UnsafeRawBufferPointer, in keyspace: Keyspace) throws(ApusError) -> [UInt8]? {
        var result: [UInt8]?
        try withValueBytes(key, in: keyspace) { (value) throws(ApusError) in result = [UInt8](value) }
        return result
    }

    @usableFromInline
    func containsBytes(_ key: UnsafeRawBufferPointer, in keyspace: Keyspace) throws(ApusError) -> Bool {
        var isFound = false
        try withValueBytes(key, in: keyspace) { (_) throws(ApusError) in isFound = true }
        return isFound
    }

    @usableFromInline
    func withValueBytes(
        _ key: UnsafeRawBufferPointer, in keyspace: Keyspace,
        _ body: (UnsafeRawBufferPointer) throws(ApusError) -> Void
    ) throws(ApusError) {
        try check(keyspace)
        reads.add(key: key, in: keyspace.tree)
        if try !showOwn(key, keyspace, body) { try showShared(key, keyspace, body) }
    }

    @usableFromInline
    func visitValues(
        of keys: KeyList, in keyspace: Keyspace, _ body: (Int, RawSpan?) throws -> ScanStep
    ) throws {
        try check(keyspace)
        try keys.bytes.withUnsafeBytes { bytes in
            try reader(keyspace).withValues(keys) { index, value in
                let key = UnsafeRawBufferPointer(rebasing: bytes[keys.range(index)])
                reads.add(key: key, in: keyspace.tree)
                var step: Result<ScanStep, any Error>?
                let isOwn = try showOwn(key, keyspace) { (value) throws(ApusError) in
                    step = Result { try body(index, value.bytes) }
                }
                if let step { return try step.get() }
                return try body(index, isOwn ? nil : value)
            }
        }
    }

    /// Calls `body` with what the transaction itself has made of `key`, if that is a value.
    /// - Returns: false if it has not touched the key.
    private func showOwn(
        _ key: UnsafeRawBufferPointer, _ keyspace: Keyspace,
        _ body: (UnsafeRawBufferPointer) throws(ApusError) -> Void
    ) throws(ApusError) -> Bool {
        guard try hasWritten(to: keyspace) else { return false }
        if index == nil { index = WriteIndex() }
        switch index!.find(key, in: keyspace.tree, batch) {
        case .untouched: return false
        case .deletion: return true
        case .value(let value, let expiresAt):
            if expiresAt == 0 || expiresAt > snapshot.pin.time { try value.withBytes(body) }
        case .unclear:
            let cursor = try visibleCursor(KeyRange(lower: [UInt8](key), upper: [UInt8](key) + [0]), keyspace)
            try cursor.seekToFirst()
            if cursor.isValid { try body(try cursor.value()) }
        }
        return true
    }

    /// Calls `body` with the value of `key` that the transaction's snapshot shows.
    private func showShared(
        _ key: UnsafeRawBufferPointer, _ keyspace: Keyspace,
        _ body: (UnsafeRawBufferPointer) throws(ApusError) -> Void
    ) throws(ApusError) {
        let tree = keyspace.tree
        let pin = snapshot.pin
        try keyspace.withEngine { (engine) throws(ApusError) in
            try tree.withView { (view) throws(ApusError) in
                var lookup = PointLookup(tree: tree, key: key, snapshot: pin.sequence)
                try engine.present(try lookup.resolve(in: view, at: pin.time), body)
            }
        }
    }
}
