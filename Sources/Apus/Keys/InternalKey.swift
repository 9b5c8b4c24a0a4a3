// The engine's ordering. An internal key is a user key and a trailer (sequence number and entry kind).
// User keys ascend by unsigned bytes; entries of one user key descend by trailer, so the newest comes first.

import ApusIO

/// The number of an entry in commit order: every entry of every batch has its own. 56 bits, 0 is "before everything".
struct SequenceNumber: RawRepresentable, Hashable, Comparable, Sendable {
    let rawValue: UInt64

    init(rawValue: UInt64) { self.rawValue = rawValue }
    init(_ value: UInt64) { rawValue = value }

    static let zero = SequenceNumber(0)
    static let max = SequenceNumber((1 << 56) - 1)

    static func < (a: SequenceNumber, b: SequenceNumber) -> Bool { a.rawValue < b.rawValue }
    func advanced(by count: Int) -> SequenceNumber { SequenceNumber(rawValue &+ UInt64(count)) }
}

/// What an entry says about its key. On disk: never renumber, never reuse.  FORMAT.md §2.2
enum EntryKind: UInt8, Sendable {
    case value = 1
    case deletion = 2
    case rangeDeletion = 3
    case mergeOperand = 4
    case separatedValue = 5
    case expiringValue = 6
    case expiringSeparatedValue = 7
}

/// Sequence number and entry kind in one word: `sequence << 8 | kind`. A larger trailer is newer and sorts first.
struct Trailer: Hashable, Sendable {
    let rawValue: UInt64

    @inline(__always) init(rawValue: UInt64) { self.rawValue = rawValue }
    @inline(__always) init(_ sequence: SequenceNumber, _ kind: EntryKind) {
        rawValue = sequence.rawValue << 8 | UInt64(kind.rawValue)
    }

    @inline(__always) var sequence: SequenceNumber { SequenceNumber(rawValue >> 8) }
    /// nil if the byte is no known kind (corrupt input; decoders turn that into an error).
    @inline(__always) var kind: EntryKind? { EntryKind(rawValue: UInt8(truncatingIfNeeded: rawValue)) }

    /// Sorts before (is not older than) every entry that a reader at `sequence` may see: the seek target.
    @inline(__always) static func seek(_ sequence: SequenceNumber) -> Trailer {
        Trailer(rawValue: sequence.rawValue << 8 | 0xFF)
    }
    /// Sorts before every entry of a user key.
    static let first = Trailer(rawValue: .max)
    /// Sorts after every entry of a user key.
    static let last = Trailer(rawValue: 0)
}

/// Negative, zero or positive by the engine's ordering.
@inline(__always)
func compareInternal(
    _ a: UnsafeRawBufferPointer, _ aTrailer: Trailer, _ b: UnsafeRawBufferPointer, _ bTrailer: Trailer
) -> Int {
    let order = compareBytes(a, b)
    if order != 0 { return order }
    if aTrailer.rawValue == bTrailer.rawValue { return 0 }
    return aTrailer.rawValue > bTrailer.rawValue ? -1 : 1
}

/// The head of a key: its first 8 bytes from `offset`, big-endian, zero-padded. Heads order as the keys do wherever
/// they differ; equal heads say nothing and the rest of the keys decides.
@inline(__always)
func keyHead(_ key: UnsafeRawBufferPointer, from offset: Int = 0) -> UInt64 {
    let count = key.count &- offset
    if count >= 8 {
        return UInt64(bigEndian: key.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    if key.count >= 8 && count > 0 {
        // The key's last 8 bytes end with the ones wanted.
        let last = UInt64(bigEndian: key.loadUnaligned(fromByteOffset: key.count &- 8, as: UInt64.self))
        return last &<< UInt64(truncatingIfNeeded: 64 &- 8 &* count)
    }
    var head: UInt64 = 0
    var index = 0
    while index < count {
        head |= UInt64(key[offset &+ index]) << UInt64(56 &- 8 &* index)
        index &+= 1
    }
    return head
}

/// How many leading bytes two keys have in common.
func commonPrefixCount(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
    let limit = min(a.count, b.count)
    var count = 0
    while count &+ 8 <= limit {
        let difference: UInt64 = a.littleEndian(at: count) ^ b.littleEndian(at: count)
        if difference != 0 { return count &+ difference.trailingZeroBitCount / 8 }
        count &+= 8
    }
    while count < limit && a[count] == b[count] { count &+= 1 }
    return count
}

/// Limits that are checked before anything is logged.
enum Limits {
    static let keyByteCount = 1...65_536
    static let valueByteCount = 0...(1 << 30)
    /// Of the encoded entries of one batch.
    static let batchByteCount = (1 << 31) - 1
    static let keyspaceNameByteCount = 1...255
}
