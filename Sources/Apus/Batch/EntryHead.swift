// What stands before the payload of an entry in a batch, encoded in one go.  FORMAT.md §3.3
//
//   kind: u8 │ keyspace: varint │ key length: varint │ key │ payload length: varint

import ApusIO

/// Its key belongs to the caller.
struct EntryHead {
    let kind: EntryKind
    let keyspace: UInt32
    let key: UnsafeRawBufferPointer
    let payloadByteCount: Int

    @inline(__always)
    var byteCount: Int {
        1 + varintByteCount(UInt64(keyspace)) + varintByteCount(UInt64(key.count)) + key.count
            + varintByteCount(UInt64(payloadByteCount))
    }

    /// Writes `byteCount` bytes to `output`; returns where the payload goes.
    @inline(__always)
    func encode(to output: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        output.storeBytes(of: kind.rawValue, as: UInt8.self)
        var next = Self.storeVarint(UInt64(keyspace), to: output + 1)
        next = Self.storeVarint(UInt64(key.count), to: next)
        next += next.copyBytes(from: key)
        next = Self.storeVarint(UInt64(payloadByteCount), to: next)
        assert(next == output + byteCount)
        return next
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
}
