// The batch of one put or delete, encoded straight into the log: no array, no object.  FORMAT.md §3.3

import ApusIO

/// One entry on its way into the log. Its views belong to the caller.
struct SingleEntry {
    let kind: EntryKind
    let keyspace: UInt32
    let key: UnsafeRawBufferPointer
    let payload: UnsafeRawBufferPointer

    @inline(__always)
    private var head: EntryHead {
        EntryHead(kind: kind, keyspace: keyspace, key: key, payloadByteCount: payload.count)
    }

    /// Bytes of the encoded batch.
    @inline(__always)
    var encodedByteCount: Int { BatchBytes.headerByteCount + head.byteCount + payload.count }

    /// Writes the batch, `encodedByteCount` bytes, to `output`.
    @inline(__always)
    func encode(to output: UnsafeMutableRawPointer) {
        output.storeBytes(of: UInt32(1).littleEndian, as: UInt32.self)
        head.encode(to: output + BatchBytes.headerByteCount).copyBytes(from: payload)
    }
}
