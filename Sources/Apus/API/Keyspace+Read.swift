// Reading one keyspace at its latest state: by key, by several keys, by range. `Snapshot` offers the same at one
// moment of the past; both are thin faces of `KeyspaceReader`.

import ApusIO

/// An entry of a keyspace, copied.
public struct Entry: Sendable, Hashable {
    public var key: [UInt8]
    public var value: [UInt8]

    public init(key: [UInt8], value: [UInt8]) {
        self.key = key
        self.value = value
    }
}

/// A range of keys. Literals and Swift ranges of anything with bytes convert: `"a"..<"b"`, `"a"...`, `..<"b"`,
/// `.prefix("user:")`, `.all`.
public struct KeyRange: Sendable, Hashable {
    /// Inclusive; nil = from the first key.
    public var lower: [UInt8]?
    /// Exclusive; nil = to the last key.
    public var upper: [UInt8]?

    /// Every key.
    public static let all = KeyRange(lower: nil, upper: nil)

    public init(lower: [UInt8]?, upper: [UInt8]?) {
        self.lower = lower
        self.upper = upper
    }

    /// Keys that begin with `prefix`.
    public static func prefix(_ prefix: some ByteRepresentable) -> KeyRange {
        let lower = prefix.withBytes { [UInt8]($0) }
        // The first key after all that begin with the prefix: drop trailing 0xFF, add one to the last byte left.
        var upper = lower
        while upper.last == 0xFF { upper.removeLast() }
        if let last = upper.last { upper[upper.count - 1] = last + 1 }
        return KeyRange(lower: lower.isEmpty ? nil : lower, upper: upper.isEmpty ? nil : upper)
    }

    public static func range(_ range: Range<some ByteRepresentable>) -> KeyRange {
        KeyRange(
            lower: range.lowerBound.withBytes { [UInt8]($0) }, upper: range.upperBound.withBytes { [UInt8]($0) })
    }

    public static func from(_ lower: some ByteRepresentable) -> KeyRange {
        KeyRange(lower: lower.withBytes { [UInt8]($0) }, upper: nil)
    }

    public static func upTo(_ upper: some ByteRepresentable) -> KeyRange {
        KeyRange(lower: nil, upper: upper.withBytes { [UInt8]($0) })
    }

    /// Throws `invalidArgument` if the range ends before it starts.
    func check() throws(ApusError) {
        if let lower, let upper, lower.withUnsafeBytes({ l in upper.withUnsafeBytes { compareBytes(l, $0) } }) > 0 {
            throw ApusError(.invalidArgument, "the start of a key range sorts after its end")
        }
    }
}

extension Keyspace {
    /// The value of `key`, copied; nil if there is none.
    ///
    /// - Throws: `ApusError`: `corruption` naming file and offset, `io`, `closed`, `mergeFailed`.
    /// - Complexity: one search per memtable, level-0 table and level; typically one block is touched.
    @inlinable
    public func get<Key: ByteRepresentable & ~Copyable & ~Escapable>(_ key: borrowing Key) throws(ApusError) -> [UInt8]?
    {
        try key.withBytes { (key) throws(ApusError) in try getBytes(key) }
    }

    /// Calls `body` with the value of `key` where it lies, in a cached block or memtable; nil if there is none.
    ///
    /// Copies nothing and allocates nothing, unless the value is a merge result or separated. The span is valid only
    /// during the call; a long call delays the reuse of memory, nothing else. Throws what `body` throws, besides an
    /// `ApusError`.
    @inlinable
    public func withValue<Key: ByteRepresentable & ~Copyable & ~Escapable, Result>(
        for key: borrowing Key, _ body: (RawSpan) throws -> Result
    ) throws -> Result? {
        var outcome: Swift.Result<Result, any Error>?
        try key.withBytes { (key) throws(ApusError) in
            try withValueBytes(key) { (value) throws(ApusError) in
                do { outcome = .success(try body(value.bytes)) } catch { outcome = .failure(error) }
            }
        }
        return try outcome?.get()
    }

    /// Whether `key` has a value.
    @inlinable
    public func contains<Key: ByteRepresentable & ~Copyable & ~Escapable>(
        _ key: borrowing Key
    ) throws(ApusError) -> Bool {
        try key.withBytes { (key) throws(ApusError) in try containsBytes(key) }
    }

    /// The values of several keys at one moment, in the order asked for.
    ///
    /// Faster than one after the other: lookups in much data mostly wait for memory, and wait together here.
    @inlinable
    public func get(_ keys: [some ByteRepresentable]) throws(ApusError) -> [[UInt8]?] {
        try getValues(of: KeyList(keys))
    }

    /// Calls `body` with the index and value of each key where it lies, nil if it has none, in the order asked for and
    /// at one moment. See `withValue` and `get(_:)`.
    @inlinable
    public func withValues(
        for keys: [some ByteRepresentable], _ body: (_ index: Int, _ value: RawSpan?) throws -> Void
    ) throws {
        try visitValues(of: KeyList(keys), body)
    }

    /// Calls `body` with each entry of `range` in key order, until it returns `.stop`.
    ///
    /// The views are valid only during the call. Throws what `body` throws, besides an `ApusError`.
    public func scan(
        _ range: KeyRange = .all, reversed: Bool = false, limit: Int = .max,
        _ body: (_ key: RawSpan, _ value: RawSpan) throws -> ScanStep
    ) throws {
        try reader().scan(range, reversed: reversed, limit: limit, passingErrorsOf: body)
    }

    /// The same for a Swift range: `try users.scan("a"..<"b") { key, value in … }`.
    public func scan(
        _ range: Range<some ByteRepresentable>, reversed: Bool = false, limit: Int = .max,
        _ body: (_ key: RawSpan, _ value: RawSpan) throws -> ScanStep
    ) throws {
        try scan(.range(range), reversed: reversed, limit: limit, body)
    }

    /// The entries of `range` in key order, copied into an array: for ranges that fit into memory.
    public func entries(
        _ range: KeyRange = .all, reversed: Bool = false, limit: Int = .max
    ) throws(ApusError) -> [Entry] {
        try reader().entries(range, reversed: reversed, limit: limit)
    }

    /// The same for a Swift range: `for entry in try users.entries("a"..<"b") { … }`.
    public func entries(
        _ range: Range<some ByteRepresentable>, reversed: Bool = false, limit: Int = .max
    ) throws(ApusError) -> [Entry] {
        try entries(.range(range), reversed: reversed, limit: limit)
    }

    /// The entries whose key begins with `prefix`.
    public func entries(
        prefix: some ByteRepresentable, reversed: Bool = false, limit: Int = .max
    ) throws(ApusError) -> [Entry] {
        try entries(.prefix(prefix), reversed: reversed, limit: limit)
    }

    /// The number of entries in `range`. Costs a scan.
    public func count(_ range: KeyRange = .all) throws(ApusError) -> Int {
        var count = 0
        let cursor = try makeCursor(range)
        try cursor.seekToFirst()
        while cursor.isValid {
            count += 1
            try cursor.next()
        }
        return count
    }

    /// A cursor over `range` at this moment. It sees no later write, however long it lives.
    public func makeCursor(_ range: KeyRange = .all) throws(ApusError) -> Cursor {
        try reader().makeCursor(range)
    }

    // MARK: Behind the generic faces

    @usableFromInline
    func getBytes(_ key: UnsafeRawBufferPointer) throws(ApusError) -> [UInt8]? {
        var result: [UInt8]?
        try withValueBytes(key) { (value) throws(ApusError) in
            result = [UInt8](unsafeUninitializedCapacity: value.count) { buffer, count in
                UnsafeMutableRawBufferPointer(buffer).copyMemory(from: value)
                count = value.count
            }
        }
        return result
    }

    @usableFromInline
    func withValueBytes(
        _ key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws(ApusError) -> Void
    ) throws(ApusError) {
        try checkOpen()
        try withEngine { (engine) throws(ApusError) in try engine.withLatestValue(of: key, in: tree, body) }
    }

    @usableFromInline
    func containsBytes(_ key: UnsafeRawBufferPointer) throws(ApusError) -> Bool {
        try checkOpen()
        return try withEngine { (engine) throws(ApusError) in try engine.contains(key, in: tree) }
    }

    @usableFromInline
    func getValues(of keys: KeyList) throws(ApusError) -> [[UInt8]?] { try reader().get(keys) }

    @usableFromInline
    func visitValues(of keys: KeyList, _ body: (Int, RawSpan?) throws -> Void) throws {
        try reader().withValues(keys) { index, value in
            try body(index, value)
            return .next
        }
    }

    /// A reader of this moment. It needs no snapshot: the view it holds keeps everything it may see. The view is loaded
    /// before the sequence number, as by `Engine.withLatestValue`.
    func reader() throws(ApusError) -> KeyspaceReader {
        try checkOpen()
        let view = tree.retainedView()
        return KeyspaceReader(
            keyspace: self, view: view, snapshot: engine.visibleSequence, time: engine.clock.now())
    }
}

/// What a scan does after an entry.
public enum ScanStep: Sendable {
    case next
    case stop
}
