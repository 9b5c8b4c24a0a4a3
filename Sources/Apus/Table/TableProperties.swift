// The properties block: what a table knows of itself, so that it can be checked against the manifest and, if the
// manifest is lost, explained without it.  FORMAT.md §4.7
//
//   per field: tag: varint │ length: varint │ bytes          a reader skips tags that it does not know

import ApusIO

struct TableProperties: Hashable {
    /// What the manifest says too; size and checksum of the file are zero here.
    var metadata: TableMetadata
    var dataBlockCount: UInt64
    var partitionCount: UInt64
    /// The keyspace that the table was written for; 0 if that is not told.
    var keyspace: UInt32

    /// On disk: never renumber, never reuse.
    private enum Tag: UInt64 {
        case entryCount = 1
        case deletionCount = 2
        case rangeDeletionCount = 3
        case rawByteCount = 4
        case smallestSequence = 5
        case largestSequence = 6
        case createdAt = 7
        case earliestExpiry = 8
        case smallest = 9
        case largest = 10
        case largestIsExclusive = 11
        case blobReferences = 12
        case dataBlockCount = 13
        case partitionCount = 14
        case keyspace = 15
    }

    func encode() -> [UInt8] {
        var output: [UInt8] = []
        func field(_ tag: Tag, _ bytes: [UInt8]) {
            output.appendVarint(tag.rawValue)
            bytes.withUnsafeBytes { output.appendLengthPrefixed($0) }
        }
        func number(_ tag: Tag, _ value: UInt64) {
            var bytes: [UInt8] = []
            bytes.appendVarint(value)
            field(tag, bytes)
        }
        number(.entryCount, metadata.entryCount)
        number(.deletionCount, metadata.deletionCount)
        number(.rangeDeletionCount, metadata.rangeDeletionCount)
        number(.rawByteCount, metadata.rawByteCount)
        number(.smallestSequence, metadata.smallestSequence.rawValue)
        number(.largestSequence, metadata.largestSequence.rawValue)
        number(.createdAt, metadata.createdAt)
        number(.earliestExpiry, metadata.earliestExpiry)
        field(.smallest, metadata.smallest)
        field(.largest, metadata.largest)
        number(.largestIsExclusive, metadata.largestIsExclusive ? 1 : 0)
        var shares: [UInt8] = []
        for share in metadata.blobReferences {
            shares.appendVarint(share.file)
            shares.appendVarint(share.byteCount)
            shares.appendVarint(share.valueCount)
        }
        field(.blobReferences, shares)
        number(.dataBlockCount, dataBlockCount)
        number(.partitionCount, partitionCount)
        number(.keyspace, UInt64(keyspace))
        return output
    }

    static func decode(
        _ bytes: UnsafeRawBufferPointer,
        number: FileNumber
    ) throws(DecodingFailure) -> TableProperties {
        var properties = TableProperties(
            metadata: TableMetadata(
                number: number,
                byteCount: 0,
                checksum: 0,
                smallest: [],
                largest: [],
                largestIsExclusive: false,
                smallestSequence: .zero,
                largestSequence: .zero,
                entryCount: 0,
                deletionCount: 0,
                rangeDeletionCount: 0,
                rawByteCount: 0,
                createdAt: 0,
                earliestExpiry: 0,
                blobReferences: []
            ),
            dataBlockCount: 0,
            partitionCount: 0,
            keyspace: 0
        )
        var reader = ByteReader(bytes)
        while !reader.isAtEnd {
            let tag = try reader.varint("property tag")
            let value = try reader.lengthPrefixed("property")
            if let tag = Tag(rawValue: tag) { try properties.set(tag, value) }
        }
        return properties
    }

    private mutating func set(_ tag: Tag, _ bytes: UnsafeRawBufferPointer) throws(DecodingFailure) {
        switch tag {
        case .entryCount: metadata.entryCount = try Self.number(bytes)
        case .deletionCount: metadata.deletionCount = try Self.number(bytes)
        case .rangeDeletionCount: metadata.rangeDeletionCount = try Self.number(bytes)
        case .rawByteCount: metadata.rawByteCount = try Self.number(bytes)
        case .smallestSequence: metadata.smallestSequence = try Self.sequence(bytes)
        case .largestSequence: metadata.largestSequence = try Self.sequence(bytes)
        case .createdAt: metadata.createdAt = try Self.number(bytes)
        case .earliestExpiry: metadata.earliestExpiry = try Self.number(bytes)
        case .smallest: metadata.smallest = [UInt8](bytes)
        case .largest: metadata.largest = [UInt8](bytes)
        case .largestIsExclusive: metadata.largestIsExclusive = try Self.number(bytes) != 0
        case .blobReferences: metadata.blobReferences = try Self.shares(bytes)
        case .dataBlockCount: dataBlockCount = try Self.number(bytes)
        case .partitionCount: partitionCount = try Self.number(bytes)
        case .keyspace:
            let id = try Self.number(bytes)
            guard let id = UInt32(exactly: id) else { throw DecodingFailure(what: "keyspace number \(id)") }
            keyspace = id
        }
    }

    private static func number(_ bytes: UnsafeRawBufferPointer) throws(DecodingFailure) -> UInt64 {
        var reader = ByteReader(bytes)
        let value = try reader.varint("property")
        guard reader.isAtEnd else { throw DecodingFailure(what: "property is longer than a number") }
        return value
    }

    private static func sequence(_ bytes: UnsafeRawBufferPointer) throws(DecodingFailure) -> SequenceNumber {
        let value = try number(bytes)
        guard value <= SequenceNumber.max.rawValue else {
            throw DecodingFailure(what: "sequence is larger than 56 bits")
        }
        return SequenceNumber(value)
    }

    private static func shares(_ bytes: UnsafeRawBufferPointer) throws(DecodingFailure) -> [BlobFileShare] {
        var reader = ByteReader(bytes)
        var shares: [BlobFileShare] = []
        while !reader.isAtEnd {
            shares.append(
                BlobFileShare(
                    file: try reader.varint("blob file number"),
                    byteCount: try reader.varint("blob byte count"),
                    valueCount: try reader.varint("blob value count")
                )
            )
        }
        return shares
    }
}
