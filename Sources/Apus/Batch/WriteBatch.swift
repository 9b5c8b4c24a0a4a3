// Collects changes that are applied together or not at all. Entries are encoded as they are added; the same bytes go
// to the log, and the memtable copies from them.
//
//   count: u32 │ entries
//   entry:  kind: u8 │ keyspace: varint │ key length: varint │ key │ payload length: varint │ payload
//                                                                                           — FORMAT.md §3.3

import ApusIO

/// Changes to any number of keyspaces, applied atomically by `Database.commit(_:durability:)`.
///
/// Limits are checked as changes are added; the first violation is kept, further changes are ignored, and the commit
/// throws it: nothing of the batch is written then. Later changes of a batch win over earlier ones of the same key.
public struct WriteBatch: Sendable {
    private(set) var encoded = BatchBytes()
    /// Number of changes.
    public var count: Int { encoded.entryCount }
    /// The keyspaces concerned, each once.
    private(set) var trees: [Tree] = []
    /// The first change that was refused: an empty or oversize key, an oversize value, a reversed range.
    public private(set) var error: ApusError?
    /// Where the merge operands' "written at" stands in `encoded`.
    private var mergeTimeOffsets: [Int] = []

    public init() {}

    /// False also if something was refused: such a batch has to be committed to learn why (see `error`).
    public var isEmpty: Bool { count == 0 && error == nil }
    /// Bytes the batch takes in the log.
    public var byteCount: Int { encoded.count }

    /// Sets `key` to `value`.
    @inlinable
    public mutating func put<
        Key: ByteRepresentable & ~Copyable & ~Escapable, Value: ByteRepresentable & ~Copyable & ~Escapable
    >(
        _ key: borrowing Key, _ value: borrowing Value, in keyspace: Keyspace, expiry: Expiry = .automatic
    ) {
        key.withBytes { key in
            value.withBytes { value in putBytes(key, value, in: keyspace, expiry: expiry) }
        }
    }

    /// Removes `key`; no error if it is absent.
    @inlinable
    public mutating func delete<Key: ByteRepresentable & ~Copyable & ~Escapable>(
        _ key: borrowing Key, in keyspace: Keyspace
    ) {
        key.withBytes { key in deleteBytes(key, in: keyspace) }
    }

    /// Removes every key in `range`. Costs one entry, however many keys there are.
    @inlinable
    public mutating func deleteRange<Key: ByteRepresentable>(_ range: Range<Key>, in keyspace: Keyspace) {
        deleteRange(from: range.lowerBound, to: range.upperBound, in: keyspace)
    }

    /// Removes every key from `start` (inclusive) to `end` (exclusive); `start` must sort before `end`.
    @inlinable
    public mutating func deleteRange<
        Start: ByteRepresentable & ~Copyable & ~Escapable, End: ByteRepresentable & ~Copyable & ~Escapable
    >(from start: borrowing Start, to end: borrowing End, in keyspace: Keyspace) {
        start.withBytes { start in
            end.withBytes { end in deleteRangeBytes(start, end, in: keyspace) }
        }
    }

    /// Merges `operand` into the value of `key` by the keyspace's merge operator.
    @inlinable
    public mutating func merge<
        Key: ByteRepresentable & ~Copyable & ~Escapable, Operand: ByteRepresentable & ~Copyable & ~Escapable
    >(
        _ key: borrowing Key, _ operand: borrowing Operand, in keyspace: Keyspace, expiry: Expiry = .automatic
    ) {
        key.withBytes { key in
            operand.withBytes { operand in mergeBytes(key, operand, in: keyspace, expiry: expiry) }
        }
    }

    /// Merges a 64-bit integer, little-endian: for keyspaces with the `.add` operator.
    @inlinable
    public mutating func merge<Key: ByteRepresentable & ~Copyable & ~Escapable>(
        _ key: borrowing Key, _ amount: Int64, in keyspace: Keyspace, expiry: Expiry = .automatic
    ) {
        key.withBytes { key in
            withUnsafeBytes(of: amount.littleEndian) { mergeBytes(key, $0, in: keyspace, expiry: expiry) }
        }
    }
}

// MARK: - Encoding

extension WriteBatch {
    @usableFromInline
    mutating func putBytes(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, in keyspace: Keyspace, expiry: Expiry
    ) {
        guard check(key), check(value: value) else { return }
        let expiresAt = keyspace.tree.expiryTime(expiry)
        if expiresAt == 0 {
            append(.value, keyspace.tree, key, payloadByteCount: value.count).copyBytes(from: value)
        } else {
            let payload = append(.expiringValue, keyspace.tree, key, payloadByteCount: 8 + value.count)
            payload.storeBytes(of: expiresAt.littleEndian, as: UInt64.self)
            (payload + 8).copyBytes(from: value)
        }
        checkSize()
    }

    @usableFromInline
    mutating func deleteBytes(_ key: UnsafeRawBufferPointer, in keyspace: Keyspace) {
        guard check(key) else { return }
        _ = append(.deletion, keyspace.tree, key, payloadByteCount: 0)
        checkSize()
    }

    @usableFromInline
    mutating func deleteRangeBytes(
        _ start: UnsafeRawBufferPointer, _ end: UnsafeRawBufferPointer, in keyspace: Keyspace
    ) {
        guard check(start), check(end) else { return }
        let order = compareBytes(start, end)
        if order == 0 { return }
        guard order < 0 else {
            return fail("deleteRange: the start of the range sorts after its end")
        }
        append(.rangeDeletion, keyspace.tree, start, payloadByteCount: end.count).copyBytes(from: end)
        checkSize()
    }

    @usableFromInline
    mutating func mergeBytes(
        _ key: UnsafeRawBufferPointer, _ operand: UnsafeRawBufferPointer, in keyspace: Keyspace, expiry: Expiry
    ) {
        guard check(key), check(value: operand) else { return }
        guard keyspace.tree.mergeOperator != nil else {
            return fail("merge: keyspace \"\(keyspace.name)\" has no merge operator")
        }
        let payload = append(.mergeOperand, keyspace.tree, key, payloadByteCount: 16 + operand.count)
        payload.storeBytes(of: keyspace.tree.clock.now().littleEndian, as: UInt64.self)
        payload.storeBytes(of: keyspace.tree.expiryTime(expiry).littleEndian, toByteOffset: 8, as: UInt64.self)
        (payload + 16).copyBytes(from: operand)
        mergeTimeOffsets.append(encoded.count - 16 - operand.count)
        checkSize()
    }

    /// Appends an entry but for its payload, and returns where that goes: the caller fills it.
    private mutating func append(
        _ kind: EntryKind, _ tree: Tree, _ key: UnsafeRawBufferPointer, payloadByteCount: Int
    ) -> UnsafeMutableRawPointer {
        if trees.last !== tree && !trees.contains(where: { $0 === tree }) { trees.append(tree) }
        let head = EntryHead(kind: kind, keyspace: tree.id, key: key, payloadByteCount: payloadByteCount)
        return head.encode(to: encoded.addEntry(byteCount: head.byteCount + payloadByteCount))
    }

    private mutating func check(_ key: UnsafeRawBufferPointer) -> Bool {
        if error != nil { return false }
        if Limits.keyByteCount.contains(key.count) { return true }
        fail(
            key.isEmpty
                ? "a key must not be empty"
                : "a key of \(key.count) bytes is longer than \(Limits.keyByteCount.upperBound)")
        return false
    }

    private mutating func check(value: UnsafeRawBufferPointer) -> Bool {
        if Limits.valueByteCount.contains(value.count) { return true }
        fail("a value of \(value.count) bytes is longer than \(Limits.valueByteCount.upperBound)")
        return false
    }

    private mutating func checkSize() {
        if encoded.count > Limits.batchByteCount {
            fail("a batch of \(encoded.count) bytes is longer than \(Limits.batchByteCount)")
        }
    }

    private mutating func fail(_ message: String) {
        error = error ?? ApusError(.invalidArgument, message)
    }

    /// Appends an entry of another batch as it is (used by transactions).
    mutating func appendEntry(_ entry: BatchEntry, tree: Tree) {
        append(entry.kind, tree, entry.key, payloadByteCount: entry.payload.count).copyBytes(from: entry.payload)
    }

    // MARK: Positions and entries

    /// A point in the batch that it can be cut back to.
    struct Position: Sendable {
        fileprivate let byteCount: Int
        fileprivate let count: Int
        fileprivate let treeCount: Int
        fileprivate let error: ApusError?
    }

    var position: Position { Position(byteCount: encoded.count, count: count, treeCount: trees.count, error: error) }

    /// Forgets everything added after `position` was taken.
    mutating func truncate(to position: Position) {
        precondition(position.count <= count, "the position is not one of this batch")
        encoded.truncate(to: position.byteCount, entryCount: position.count)
        mergeTimeOffsets.removeAll { $0 >= position.byteCount }
        trees.removeSubrange(position.treeCount...)
        error = position.error
    }

    /// True if nothing of the batch is logged. A batch that touches other keyspaces too is logged whole; recovery
    /// skips the entries of ephemeral ones.
    var isEphemeral: Bool { trees.allSatisfy(\.isEphemeral) }

    /// Sets the time at which the batch's merge operands count as written: that of the commit, so that no operand can
    /// claim to be older than an expiry that readers and compaction have already acted on.
    mutating func stampMerges(_ now: () -> UInt64) {
        guard !mergeTimeOffsets.isEmpty else { return }
        let time = now()
        for offset in mergeTimeOffsets { encoded.store(time, at: offset) }
    }

    /// Calls `body` with a function that returns one entry after the other, from the entry number `index` on, which
    /// begins `byteCount` bytes into the batch.
    func withEntries<Result>(
        from index: Int = 0, at byteCount: Int = 0, _ body: (() -> BatchEntry?) -> Result
    ) -> Result {
        decoding { (bytes) throws(DecodingFailure) in
            var cursor = try BatchCursor(bytes)
            try cursor.skip(to: index, at: byteCount)
            return body { try! cursor.next() }
        }
    }

    /// Calls `body` with one entry after the other and where it begins, from the entry number `index` on, which begins
    /// `byteCount` bytes into the batch.
    func forEachEntry(
        from index: Int, at byteCount: Int, _ body: (_ entry: BatchEntry, _ byteCount: Int) -> Void
    ) {
        decoding { (bytes) throws(DecodingFailure) in
            var cursor = try BatchCursor(bytes)
            try cursor.skip(to: index, at: byteCount)
            while true {
                let start = cursor.position
                guard let entry = try cursor.next() else { return }
                body(entry, start)
            }
        }
    }

    /// Calls `body` with the entry that begins `byteCount` bytes into the batch.
    func withEntry<Result>(at byteCount: Int, _ body: (BatchEntry) -> Result) -> Result {
        decoding { (bytes) throws(DecodingFailure) in body(try BatchCursor.entry(of: bytes, at: byteCount)!) }
    }

    /// What this process has encoded decodes.
    private func decoding<Result>(
        _ body: (UnsafeRawBufferPointer) throws(DecodingFailure) -> Result
    ) -> Result {
        do throws(DecodingFailure) {
            return try encoded.withBytes(body)
        } catch {
            preconditionFailure("a batch of this process does not decode: \(error.what)")
        }
    }
}
