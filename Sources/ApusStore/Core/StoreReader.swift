// What collections read from: the latest state, a snapshot, or a transaction, all by the same calls, so that every read
// of a collection is written once and works in all three.

public import Apus

/// A state of the store that can be read: `Store` (always the latest), `StoreSnapshot` or `StoreTransaction`.
///
/// Collections take one as `in:` of their reads:
/// ```swift
/// let snapshot = try store.snapshot()
/// let session = try sessions.load(id, in: snapshot)
/// ```
public protocol StoreReader: AnyObject {
    /// What has expired by this time is not seen: milliseconds since 1970-01-01 UTC.
    var time: UInt64 { get }

    /// The value of `key`, copied; nil if there is none.
    func get(_ key: some ByteRepresentable, in keyspace: Keyspace) throws(ApusError) -> [UInt8]?

    /// Calls `body` with the value of `key` where it lies, without a copy where that is possible; nil if there is none.
    func withValue<Result>(
        for key: some ByteRepresentable, in keyspace: Keyspace, _ body: (RawSpan) throws -> Result
    ) throws -> Result?

    func contains(_ key: some ByteRepresentable, in keyspace: Keyspace) throws(ApusError) -> Bool

    /// Calls `body` with each entry of `range` in key order, until it returns `.stop`.
    func scan(
        _ range: KeyRange, in keyspace: Keyspace, reversed: Bool, limit: Int,
        _ body: (_ key: RawSpan, _ value: RawSpan) throws -> ScanStep
    ) throws
}

extension StoreReader {
    /// The same with the usual arguments left out.
    public func scan(
        _ range: KeyRange = .all, in keyspace: Keyspace, reversed: Bool = false,
        _ body: (_ key: RawSpan, _ value: RawSpan) throws -> ScanStep
    ) throws {
        try scan(range, in: keyspace, reversed: reversed, limit: .max, body)
    }

    /// The entries of `range` in key order, copied into an array: for ranges that fit into memory.
    public func entries(
        _ range: KeyRange = .all, in keyspace: Keyspace, reversed: Bool = false, limit: Int = .max
    ) throws -> [Entry] {
        var entries: [Entry] = []
        try scan(range, in: keyspace, reversed: reversed, limit: limit) { key, value in
            entries.append(
                Entry(key: key.withBytes { [UInt8]($0) }, value: value.withBytes { [UInt8]($0) }))
            return .next
        }
        return entries
    }
}

extension StoreReader {
    /// The same for collections, which ask it for every document: without generics that would be resolved while the
    /// program runs.
    /// - Returns: whether there is a value.
    @inline(__always)
    func lookUp(
        _ key: UnsafeRawBufferPointer, in keyspace: Keyspace, _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> Bool {
        switch self {
        case let snapshot as StoreSnapshot:
            try snapshot.snapshot.withValue(for: key, in: keyspace) { try $0.withUnsafeBytes(body) } != nil
        case let transaction as StoreTransaction:
            try transaction.withValue(for: key, in: keyspace) { try $0.withUnsafeBytes(body) } != nil
        case is Store: try keyspace.withValue(for: key) { try $0.withUnsafeBytes(body) } != nil
        default: try withValue(for: key, in: keyspace) { try $0.withUnsafeBytes(body) } != nil
        }
    }

    @inline(__always)
    func lookUp(
        _ key: [UInt8], in keyspace: Keyspace, _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> Bool {
        try key.withUnsafeBytes { try lookUp($0, in: keyspace, body) }
    }
}

extension StoreReader {
    /// Calls `body` with the index and value of each key, all of one moment if the reader shows one, until it returns
    /// `.stop`. A transaction then has read no key beyond: it could conflict with a write to one.
    /// - Returns: `.stop` if `body` did.
    func lookUp(
        _ keys: [UnsafeRawBufferPointer], in keyspace: Keyspace,
        _ body: (Int, UnsafeRawBufferPointer?) throws -> ScanStep
    ) throws -> ScanStep {
        var step = ScanStep.next
        switch self {
        case let snapshot as StoreSnapshot:
            try snapshot.snapshot.withValues(for: keys, in: keyspace) { index, value in
                guard step == .next else { return }
                step = if let value { try value.withUnsafeBytes { try body(index, $0) } } else { try body(index, nil) }
            }
        case let transaction as StoreTransaction:
            try transaction.withValues(for: keys, in: keyspace) { index, value in
                step = if let value { try value.withUnsafeBytes { try body(index, $0) } } else { try body(index, nil) }
                return step
            }
        default:
            for (index, key) in keys.enumerated() {
                let isFound = try lookUp(key, in: keyspace) { step = try body(index, $0) }
                if !isFound { step = try body(index, nil) }
                if step == .stop { break }
            }
        }
        return step
    }
}

extension Store: StoreReader {
    public var time: UInt64 { database.time }

    public func get(_ key: some ByteRepresentable, in keyspace: Keyspace) throws(ApusError) -> [UInt8]? {
        try keyspace.get(key)
    }

    public func withValue<Result>(
        for key: some ByteRepresentable, in keyspace: Keyspace, _ body: (RawSpan) throws -> Result
    ) throws -> Result? {
        try keyspace.withValue(for: key, body)
    }

    public func contains(_ key: some ByteRepresentable, in keyspace: Keyspace) throws(ApusError) -> Bool {
        try keyspace.contains(key)
    }

    public func scan(
        _ range: KeyRange, in keyspace: Keyspace, reversed: Bool, limit: Int,
        _ body: (_ key: RawSpan, _ value: RawSpan) throws -> ScanStep
    ) throws {
        try keyspace.scan(range, reversed: reversed, limit: limit, body)
    }
}

extension Store {
    /// Calls `body` with a reader for which time stands still: for what is put together from several entries, and must not
    /// be half of what it was and half of what it became.
    func withMoment<Result>(
        of reader: some StoreReader, _ body: (any StoreReader) throws -> Result
    ) throws -> Result {
        guard reader is Store else { return try body(reader) }
        let snapshot = try snapshot()
        defer { snapshot.release() }
        return try body(snapshot)
    }
}
