// The range deletions of a table, in one block of their own.  FORMAT.md §4.6
//
//   count: varint │ per deletion: start and end (exclusive): length: varint, bytes each │ sequence: varint

import ApusIO

extension RawBuffer {
    mutating func append(contentsOf deletions: [RangeDeletion]) {
        appendVarint(UInt64(deletions.count))
        for deletion in deletions {
            appendVarint(UInt64(deletion.start.count))
            deletion.start.withUnsafeBytes { append($0) }
            appendVarint(UInt64(deletion.end.count))
            deletion.end.withUnsafeBytes { append($0) }
            appendVarint(deletion.sequence.rawValue)
        }
    }
}

extension RangeDeletion {
    /// All deletions of a range-deletion block.
    static func decodeAll(_ bytes: UnsafeRawBufferPointer) throws(DecodingFailure) -> [RangeDeletion] {
        var reader = ByteReader(bytes)
        let count = try reader.varint("range deletion count")
        // Each takes at least 4 bytes.
        guard count <= UInt64(reader.remaining / 4) else {
            throw DecodingFailure(what: "\(count) range deletions in \(reader.remaining) bytes")
        }
        var deletions: [RangeDeletion] = []
        deletions.reserveCapacity(Int(count))
        for _ in 0..<count {
            let start = [UInt8](try reader.lengthPrefixed("range start"))
            let end = [UInt8](try reader.lengthPrefixed("range end"))
            let sequence = try reader.varint("sequence")
            guard sequence <= SequenceNumber.max.rawValue else {
                throw DecodingFailure(what: "sequence is larger than 56 bits")
            }
            guard start.lexicographicallyPrecedes(end) else { throw DecodingFailure(what: "empty deletion range") }
            deletions.append(RangeDeletion(start: start, end: end, sequence: SequenceNumber(sequence)))
        }
        guard reader.isAtEnd else { throw DecodingFailure(what: "\(reader.remaining) bytes after the range deletions") }
        return deletions
    }
}
