// Writing and reading the bytes of the store's keys and values: little-endian integers, varints, length prefixes. Every
// read is checked, because what comes from a database may be damaged.

extension [UInt8] {
    mutating func appendLittleEndian<Integer: FixedWidthInteger>(_ value: Integer) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }

    mutating func appendBigEndian<Integer: FixedWidthInteger>(_ value: Integer) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }

    /// Unsigned LEB128, 1 to 10 bytes.
    mutating func appendVarint(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        append(UInt8(value))
    }
}

/// Walks bytes from their start; every read is nil where the bytes do not suffice, and stays nil from then on. Made
/// inside `withBytes`, and not used after it.
struct StoreByteReader {
    private let bytes: UnsafeRawBufferPointer
    private(set) var offset = 0
    private var hasFailed = false

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    var remainingByteCount: Int { bytes.count - offset }
    /// Everything was read, and nothing was missing.
    var isAtEnd: Bool { !hasFailed && remainingByteCount == 0 }

    private mutating func advance(_ count: Int) -> Int? {
        guard !hasFailed, count >= 0, count <= remainingByteCount else {
            hasFailed = true
            return nil
        }
        defer { offset += count }
        return offset
    }

    mutating func byte() -> UInt8? {
        advance(1).map { bytes[$0] }
    }

    mutating func littleEndian<Integer: FixedWidthInteger & BitwiseCopyable>(
        _ type: Integer.Type = Integer.self
    ) -> Integer? {
        advance(MemoryLayout<Integer>.size).map {
            Integer(littleEndian: bytes.loadUnaligned(fromByteOffset: $0, as: Integer.self))
        }
    }

    mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while let next = byte() {
            // The tenth byte has room for one bit.
            guard shift < 63 || next <= 1 else { break }
            value |= UInt64(next & 0x7F) << shift
            if next < 0x80 { return value }
            shift += 7
        }
        hasFailed = true
        return nil
    }

    mutating func bytes(_ count: Int) -> [UInt8]? {
        slice(count).map { [UInt8]($0) }
    }

    /// The bytes where they lie.
    mutating func slice(_ count: Int) -> UnsafeRawBufferPointer? {
        advance(count).map { UnsafeRawBufferPointer(rebasing: bytes[$0..<$0 + count]) }
    }

    mutating func lengthPrefixed() -> [UInt8]? {
        varint().flatMap { Int(exactly: $0) }.flatMap { bytes($0) }
    }
}
