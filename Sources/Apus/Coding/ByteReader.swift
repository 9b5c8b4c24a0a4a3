// Reading bytes that may be hostile: every read is bounds-checked and throws, nothing traps, lengths are compared
// with what is left before anything is allocated.

import ApusIO

/// Decoding failed: the bytes are too short or a value is out of range. Callers turn it into a corruption error that
/// names the file and the offset.
struct DecodingFailure: Error {
    var what: String
    /// An error of the engine that ended the decoding, if it was not the bytes.
    var underlying: ApusError?

    init(what: String, underlying: ApusError? = nil) {
        self.what = what
        self.underlying = underlying
    }
}

/// A cursor over bytes that outlive it.
struct ByteReader {
    private let bytes: UnsafeRawBufferPointer
    private(set) var position = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var remaining: Int { bytes.count - position }
    var isAtEnd: Bool { position == bytes.count }

    mutating func integer<Value: FixedWidthInteger>(
        _ type: Value.Type = Value.self, _ what: StaticString
    ) throws(DecodingFailure) -> Value {
        guard remaining >= MemoryLayout<Value>.size else { throw DecodingFailure(what: "\(what) is cut off") }
        defer { position += MemoryLayout<Value>.size }
        return bytes.littleEndian(at: position)
    }

    /// LEB128, at most 10 bytes, no value above 64 bits.
    @inline(__always)
    mutating func varint(_ what: StaticString) throws(DecodingFailure) -> UInt64 {
        // Most are below 128.
        if position < bytes.count, bytes[position] < 0x80 {
            defer { position &+= 1 }
            return UInt64(bytes[position])
        }
        return try longVarint(what)
    }

    @inline(never)
    private mutating func longVarint(_ what: StaticString) throws(DecodingFailure) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            if shift == 63 && byte > 1 { throw DecodingFailure(what: "\(what) is larger than 64 bits") }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
            if shift > 63 { throw DecodingFailure(what: "\(what) is longer than 10 bytes") }
        }
        throw DecodingFailure(what: "\(what) is cut off")
    }

    @inline(__always)
    mutating func take(_ count: UInt64, _ what: StaticString) throws(DecodingFailure) -> UnsafeRawBufferPointer {
        guard count <= UInt64(remaining) else {
            throw DecodingFailure(what: "\(what) claims \(count) bytes where \(remaining) are left")
        }
        defer { position += Int(count) }
        return UnsafeRawBufferPointer(start: bytes.baseAddress.map { $0 + position }, count: Int(count))
    }

    /// A varint length and that many bytes.
    mutating func lengthPrefixed(_ what: StaticString) throws(DecodingFailure) -> UnsafeRawBufferPointer {
        let count = try varint(what)
        return try take(count, what)
    }
}

extension [UInt8] {
    @inline(__always)
    mutating func appendVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }

    mutating func appendLengthPrefixed(_ bytes: UnsafeRawBufferPointer) {
        appendVarint(UInt64(bytes.count))
        append(contentsOf: bytes)
    }
}
