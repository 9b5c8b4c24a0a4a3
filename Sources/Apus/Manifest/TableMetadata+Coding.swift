// How tables and blob files are described in the manifest.  FORMAT.md §6.3
//
// Table:
//   number │ byte count │ checksum u32 │ smallest key │ largest key │ flags u8 (1 = largest is exclusive)
//   smallest sequence │ largest sequence │ entries │ deletions │ range deletions │ raw bytes │ created at
//   earliest expiry │ blob share count │ per share: file │ bytes │ values
// Blob file:
//   number │ byte count │ checksum u32 │ values │ record bytes
//
// Varints unless a type is given; keys are length-prefixed.

import ApusIO

extension TableMetadata {
    func encode(into output: inout [UInt8]) {
        output.appendVarint(number)
        output.appendVarint(byteCount)
        output.appendLittleEndian(checksum)
        smallest.withUnsafeBytes { output.appendLengthPrefixed($0) }
        largest.withUnsafeBytes { output.appendLengthPrefixed($0) }
        output.append(largestIsExclusive ? 1 : 0)
        output.appendVarint(smallestSequence.rawValue)
        output.appendVarint(largestSequence.rawValue)
        output.appendVarint(entryCount)
        output.appendVarint(deletionCount)
        output.appendVarint(rangeDeletionCount)
        output.appendVarint(rawByteCount)
        output.appendVarint(createdAt)
        output.appendVarint(earliestExpiry)
        output.appendVarint(UInt64(blobReferences.count))
        for share in blobReferences {
            output.appendVarint(share.file)
            output.appendVarint(share.byteCount)
            output.appendVarint(share.valueCount)
        }
    }

    init(from reader: inout ByteReader) throws(DecodingFailure) {
        number = try reader.fileNumber("table number")
        byteCount = try reader.varint("table size")
        checksum = try reader.integer(UInt32.self, "table checksum")
        smallest = try reader.byteString("smallest key")
        largest = try reader.byteString("largest key")
        largestIsExclusive = try reader.flag("largest key's flag")
        smallestSequence = try reader.sequence("smallest sequence")
        largestSequence = try reader.sequence("largest sequence")
        entryCount = try reader.varint("entry count")
        deletionCount = try reader.varint("deletion count")
        rangeDeletionCount = try reader.varint("range deletion count")
        rawByteCount = try reader.varint("raw byte count")
        createdAt = try reader.varint("creation time")
        earliestExpiry = try reader.varint("earliest expiry")
        blobReferences = []
        let shareCount = try reader.varint("blob share count")
        // A share takes three bytes or more, which bounds what is allocated.
        guard shareCount <= UInt64(reader.remaining / 3) else {
            throw DecodingFailure(
                what: "\(shareCount) blob shares are claimed where \(reader.remaining) bytes are left"
            )
        }
        blobReferences.reserveCapacity(Int(shareCount))
        for _ in 0..<shareCount {
            let share = BlobFileShare(
                file: try reader.fileNumber("blob file"),
                byteCount: try reader.varint("blob share"),
                valueCount: try reader.varint("blob share's values")
            )
            if let last = blobReferences.last, last.file >= share.file {
                throw DecodingFailure(what: "blob shares are out of order at file \(share.file)")
            }
            blobReferences.append(share)
        }
        try checkBounds()
    }

    private func checkBounds() throws(DecodingFailure) {
        guard Limits.keyByteCount.contains(smallest.count), Limits.keyByteCount.contains(largest.count) else {
            throw DecodingFailure(what: "table \(number) has a bound of impossible length")
        }
        let order = compareBytes(smallest, largest)
        guard order < 0 || (order == 0 && !largestIsExclusive) else {
            throw DecodingFailure(what: "table \(number) has its bounds in the wrong order")
        }
        guard smallestSequence <= largestSequence else {
            throw DecodingFailure(what: "table \(number) has its sequence numbers in the wrong order")
        }
        guard deletionCount <= entryCount else {
            throw DecodingFailure(what: "table \(number) has more deletions than entries")
        }
    }
}

extension BlobFileMetadata {
    func encode(into output: inout [UInt8]) {
        output.appendVarint(number)
        output.appendVarint(byteCount)
        output.appendLittleEndian(checksum)
        output.appendVarint(valueCount)
        output.appendVarint(recordByteCount)
    }

    init(from reader: inout ByteReader) throws(DecodingFailure) {
        number = try reader.fileNumber("blob file number")
        byteCount = try reader.varint("blob file size")
        checksum = try reader.integer(UInt32.self, "blob file checksum")
        valueCount = try reader.varint("blob value count")
        recordByteCount = try reader.varint("blob record bytes")
    }
}

extension ByteReader {
    /// A varint above zero that leaves room for the next one.
    mutating func fileNumber(_ what: StaticString) throws(DecodingFailure) -> FileNumber {
        let number = try varint(what)
        guard number > 0, number < FileName.numberLimit else {
            throw DecodingFailure(what: "\(what) is \(number), which no file has")
        }
        return number
    }
}

/// By the engine's order of keys.
func compareBytes(_ a: [UInt8], _ b: [UInt8]) -> Int {
    a.withUnsafeBytes { a in b.withUnsafeBytes { b in compareBytes(a, b) } }
}
