// Reads the entries of an encoded batch, from memory or from the log: bytes from the log are not trusted.  FORMAT.md §3.3

import ApusIO

/// One entry of a batch; its views point into the batch's bytes.
struct BatchEntry {
    var kind: EntryKind
    var keyspace: UInt32
    var key: UnsafeRawBufferPointer
    var payload: UnsafeRawBufferPointer

    /// Where the value lies if it was separated.
    var reference: BlobReference? {
        guard kind == .separatedValue || kind == .expiringSeparatedValue,
            case .separated(let reference, _)? = EntryPayload(Trailer(.zero, kind), payload)
        else { return nil }
        return reference
    }

    /// Bytes of key and payload, a separated value's own included.
    var userByteCount: Int {
        let inline = key.count + payload.count
        guard let reference else { return inline }
        return inline - BlobReference.encodedByteCount + Int(reference.valueByteCount)
    }
}

struct BatchCursor {
    private var reader: ByteReader
    /// Entries the batch says it has.
    let count: Int
    private var read = 0

    init(_ bytes: UnsafeRawBufferPointer) throws(DecodingFailure) {
        reader = ByteReader(bytes)
        let count = try reader.integer(UInt32.self, "batch entry count")
        // An entry takes at least five bytes: kind, keyspace, key length, one key byte, payload length.
        guard Int(count) <= reader.remaining / 5 else {
            throw DecodingFailure(what: "batch claims \(count) entries in \(reader.remaining) bytes")
        }
        self.count = Int(count)
    }

    /// Goes on with the entry number `index`, which begins `byteCount` bytes into the batch.
    mutating func skip(to index: Int, at byteCount: Int) throws(DecodingFailure) {
        guard index > 0 else { return }
        _ = try reader.take(UInt64(byteCount - reader.position), "skipped entries")
        read = index
    }

    /// The entry that begins `byteCount` bytes into the batch.
    static func entry(of bytes: UnsafeRawBufferPointer, at byteCount: Int) throws(DecodingFailure) -> BatchEntry? {
        var cursor = try BatchCursor(bytes)
        _ = try cursor.reader.take(UInt64(byteCount - cursor.reader.position), "skipped entries")
        cursor.read = cursor.count - 1
        return try cursor.next()
    }

    /// How many bytes into the batch the next entry begins.
    var position: Int { reader.position }

    /// The next entry, nil after the last.
    mutating func next() throws(DecodingFailure) -> BatchEntry? {
        if read == count {
            guard reader.isAtEnd else {
                throw DecodingFailure(what: "batch has \(reader.remaining) bytes behind its last entry")
            }
            return nil
        }
        read += 1
        let kindByte = try reader.integer(UInt8.self, "entry kind")
        guard let kind = EntryKind(rawValue: kindByte) else {
            throw DecodingFailure(what: "entry kind \(kindByte) is unknown")
        }
        guard let keyspace = UInt32(exactly: try reader.varint("keyspace number")) else {
            throw DecodingFailure(what: "keyspace number is larger than 32 bits")
        }
        let key = try reader.lengthPrefixed("key")
        guard Limits.keyByteCount.contains(key.count) else {
            throw DecodingFailure(what: "key of \(key.count) bytes")
        }
        let payload = try reader.lengthPrefixed("payload")
        guard EntryPayload(Trailer(.zero, kind), payload) != nil else {
            throw DecodingFailure(what: "payload of \(payload.count) bytes does not fit entry kind \(kindByte)")
        }
        if kind == .rangeDeletion {
            guard Limits.keyByteCount.contains(payload.count), compareBytes(key, payload) < 0 else {
                throw DecodingFailure(what: "range deletion ends before it starts")
            }
        }
        return BatchEntry(kind: kind, keyspace: keyspace, key: key, payload: payload)
    }
}
