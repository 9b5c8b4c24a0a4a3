// The bytes of a batch: copied when they are changed while somebody else has them too, as an array would be, but without
// an array's checks at every piece that is appended. An entry is one extension, which the caller fills.

import ApusIO

/// An encoded batch that grows: its entry count, and the entries as they come.  FORMAT.md §3.3
///
/// `Storage` is `@unchecked Sendable` because it is changed only by the one who holds its only reference.
struct BatchBytes: Sendable {
    private final class Storage: @unchecked Sendable {
        @exclusivity(unchecked) var buffer: RawBuffer

        init(capacity: Int) {
            buffer = RawBuffer(capacity: capacity)
        }
    }

    static let headerByteCount = 4
    private var storage: Storage

    init() {
        storage = Storage(capacity: 1024)
        storage.buffer.appendLittleEndian(UInt32(0))
    }

    /// Bytes, the entry count included.
    var count: Int { storage.buffer.count }

    var entryCount: Int { Int(storage.buffer.bytes.littleEndian(at: 0) as UInt32) }

    /// Counts one more entry and makes room for it, which the caller fills, all of it, before the next call.
    mutating func addEntry(byteCount: Int) -> UnsafeMutableRawPointer {
        makeUnique()
        let entry = storage.buffer.extend(byteCount)
        setEntryCount(entryCount + 1)
        return entry
    }

    /// Forgets the bytes from `byteCount` on, which begin with the entry number `entryCount`.
    mutating func truncate(to byteCount: Int, entryCount: Int) {
        makeUnique()
        storage.buffer.truncate(to: byteCount)
        setEntryCount(entryCount)
    }

    /// Replaces eight bytes of an entry.
    mutating func store(_ value: UInt64, at offset: Int) {
        precondition(offset >= Self.headerByteCount && offset + 8 <= count)
        makeUnique()
        storage.buffer.base.storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt64.self)
    }

    func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        defer { withExtendedLifetime(storage) {} }
        return try body(storage.buffer.bytes)
    }

    @inline(__always)
    private mutating func setEntryCount(_ newCount: Int) {
        storage.buffer.base.storeBytes(of: UInt32(newCount).littleEndian, as: UInt32.self)
    }

    @inline(__always)
    private mutating func makeUnique() {
        if !isKnownUniquelyReferenced(&storage) { copy() }
    }

    @inline(never)
    private mutating func copy() {
        let copy = Storage(capacity: count)
        copy.buffer.append(storage.buffer.bytes)
        storage = copy
    }
}
