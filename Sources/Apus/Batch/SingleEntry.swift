// The batch of one put or delete, encoded straight into the log: no array, no object.  FORMAT.md §3.3

import ApusIO

/// One entry on its way into the log. Its views belong to the caller.
struct SingleEntry {
    let kind: EntryKind
    let keyspace: UInt32
    let key: UnsafeRawBufferPointer
    let payload: UnsafeRawBufferPointer

    /// Bytes of the encoded batch.
    @inline(__always)
    var encodedByteCount: Int {
        5 + Self.varintByteCount(UInt64(keyspace)) + Self.varintByteCount(UInt64(key.count)) + key.count
            + Self.varintByteCount(UInt64(payload.count)) + payload.count
    }

    /// Writes the batch, `encodedByteCount` bytes, to `output`.
    @inline(__always)
    func encode(to output: UnsafeMutableRawPointer) {
        output.storeBytes(of: UInt32(1).littleEndian, as: UInt32.self)
        output.storeBytes(of: kind.rawValue, toByteOffset: 4, as: UInt8.self)
        var next = Self.storeVarint(UInt64(keyspace), to: output + 5)
        next = Self.storePrefixed(key, to: next)
        next = Self.storePrefixed(payload, to: next)
        assert(next == output + encodedByteCount)
    }

    @inline(__always)
    private static func varintByteCount(_ value: UInt64) -> Int {
        (70 &- (value | 1).leadingZeroBitCount) / 7
    }

    @inline(__always)
    private static func storeVarint(_ value: UInt64, to output: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        var rest = value
        var next = output
        while rest >= 0x80 {
            next.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, as: UInt8.self)
            next += 1
            rest &>>= 7
        }
        next.storeBytes(of: UInt8(truncatingIfNeeded: rest), as: UInt8.self)
        return next + 1
    }

    @inline(__always)
    private static func storePrefixed(
        _ bytes: UnsafeRawBufferPointer, to output: UnsafeMutableRawPointer
    ) -> UnsafeMutableRawPointer {
        let next = storeVarint(UInt64(bytes.count), to: output)
        if let source = bytes.baseAddress { next.copyMemory(from: source, byteCount: bytes.count) }
        return next + bytes.count
    }
}
