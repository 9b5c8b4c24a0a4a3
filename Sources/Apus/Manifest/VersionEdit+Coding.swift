// The bytes of a version edit: the payload of one manifest frame.  FORMAT.md §6.2
//
//   change count varint │ per change: tag u8 │ length varint │ fields
//
// Integers are varints unless FORMAT.md says otherwise. An unknown tag is an error.

import ApusIO

extension VersionEdit {
    /// On disk: never renumber, never reuse.
    private enum Tag: UInt8 {
        case databaseID = 1
        case nextFileNumber = 2
        case nextKeyspaceID = 3
        case lastSequence = 4
        case keyspaceCreated = 5
        case keyspaceChanged = 6
        case keyspaceDropped = 7
        case tableAdded = 8
        case tableRemoved = 9
        case blobAdded = 10
        case blobRemoved = 11
        case flushedSequence = 12
        case logCreated = 13
        case logDeleted = 14
        case cleanClose = 15
    }

    /// Tables have levels below this.
    static let levelCount = 7

    var encoded: [UInt8] {
        var output: [UInt8] = []
        output.appendVarint(UInt64(changes.count))
        var fields: [UInt8] = []
        for change in changes {
            fields.removeAll(keepingCapacity: true)
            output.append(Self.encode(change, into: &fields).rawValue)
            fields.withUnsafeBytes { output.appendLengthPrefixed($0) }
        }
        return output
    }

    private static func encode(_ change: Change, into fields: inout [UInt8]) -> Tag {
        switch change {
        case .databaseID(let id):
            fields.appendLittleEndian(id.first)
            fields.appendLittleEndian(id.second)
            return .databaseID
        case .nextFileNumber(let number):
            fields.appendVarint(number)
            return .nextFileNumber
        case .nextKeyspaceID(let id):
            fields.appendVarint(UInt64(id))
            return .nextKeyspaceID
        case .lastSequence(let sequence):
            fields.appendVarint(sequence.rawValue)
            return .lastSequence
        case .keyspaceCreated(let id, let name, let settings):
            fields.appendVarint(UInt64(id))
            fields.appendVarint(UInt64(name.utf8.count))
            fields.append(contentsOf: name.utf8)
            settings.encode(into: &fields)
            return .keyspaceCreated
        case .keyspaceChanged(let id, let settings):
            fields.appendVarint(UInt64(id))
            settings.encode(into: &fields)
            return .keyspaceChanged
        case .keyspaceDropped(let id):
            fields.appendVarint(UInt64(id))
            return .keyspaceDropped
        case .tableAdded(let keyspace, let level, let metadata):
            fields.appendVarint(UInt64(keyspace))
            fields.append(UInt8(level))
            metadata.encode(into: &fields)
            return .tableAdded
        case .tableRemoved(let keyspace, let level, let number):
            fields.appendVarint(UInt64(keyspace))
            fields.append(UInt8(level))
            fields.appendVarint(number)
            return .tableRemoved
        case .blobAdded(let keyspace, let metadata):
            fields.appendVarint(UInt64(keyspace))
            metadata.encode(into: &fields)
            return .blobAdded
        case .blobRemoved(let keyspace, let number):
            fields.appendVarint(UInt64(keyspace))
            fields.appendVarint(number)
            return .blobRemoved
        case .flushedSequence(let keyspace, let sequence):
            fields.appendVarint(UInt64(keyspace))
            fields.appendVarint(sequence.rawValue)
            return .flushedSequence
        case .logCreated(let number, let byteCount):
            fields.appendVarint(number)
            fields.appendVarint(byteCount)
            return .logCreated
        case .logDeleted(let number):
            fields.appendVarint(number)
            return .logDeleted
        case .cleanClose(let close):
            fields.appendVarint(close.lastSequence.rawValue)
            fields.appendVarint(close.logNumber)
            fields.appendVarint(close.logByteCount)
            return .cleanClose
        }
    }

    /// Decodes exactly `payload`.
    init(decoding payload: UnsafeRawBufferPointer) throws(DecodingFailure) {
        var reader = ByteReader(payload)
        let count = try reader.varint("change count")
        // A change takes two bytes or more, which bounds what is allocated.
        guard count <= UInt64(reader.remaining / 2) else {
            throw DecodingFailure(what: "\(count) changes are claimed where \(reader.remaining) bytes are left")
        }
        changes = []
        changes.reserveCapacity(Int(count))
        for _ in 0..<count {
            let number = try reader.integer(UInt8.self, "change tag")
            guard let tag = Tag(rawValue: number) else { throw DecodingFailure(what: "unknown change tag \(number)") }
            var fields = ByteReader(try reader.lengthPrefixed("change"))
            changes.append(try Self.decode(tag, &fields))
            guard fields.isAtEnd else {
                throw DecodingFailure(what: "change \(tag) is \(fields.remaining) bytes too long")
            }
        }
        guard reader.isAtEnd else { throw DecodingFailure(what: "\(reader.remaining) bytes follow the last change") }
    }

    private static func decode(_ tag: Tag, _ fields: inout ByteReader) throws(DecodingFailure) -> Change {
        switch tag {
        case .databaseID:
            return .databaseID(
                DatabaseID(
                    first: try fields.integer(UInt64.self, "database id"),
                    second: try fields.integer(UInt64.self, "database id")
                )
            )
        case .nextFileNumber: return .nextFileNumber(try fields.fileNumber("next file number"))
        case .nextKeyspaceID: return .nextKeyspaceID(try fields.narrow("next keyspace id"))
        case .lastSequence: return .lastSequence(try fields.sequence("last sequence"))
        case .keyspaceCreated:
            let id = try fields.narrow("keyspace id")
            let nameByteCount = try fields.varint("keyspace name's length")
            guard nameByteCount <= UInt64(Limits.keyspaceNameByteCount.upperBound), nameByteCount > 0 else {
                throw DecodingFailure(what: "a keyspace name of \(nameByteCount) bytes is impossible")
            }
            let name = try fields.text(nameByteCount, "keyspace name")
            return .keyspaceCreated(id, name: name, try settings(&fields))
        case .keyspaceChanged:
            return .keyspaceChanged(try fields.narrow("keyspace id"), try settings(&fields))
        case .keyspaceDropped: return .keyspaceDropped(try fields.narrow("keyspace id"))
        case .tableAdded:
            return .tableAdded(
                try fields.narrow("keyspace id"),
                level: try level(&fields),
                try TableMetadata(from: &fields)
            )
        case .tableRemoved:
            return .tableRemoved(
                try fields.narrow("keyspace id"),
                level: try level(&fields),
                try fields.fileNumber("table number")
            )
        case .blobAdded: return .blobAdded(try fields.narrow("keyspace id"), try BlobFileMetadata(from: &fields))
        case .blobRemoved:
            return .blobRemoved(try fields.narrow("keyspace id"), try fields.fileNumber("blob file number"))
        case .flushedSequence:
            return .flushedSequence(try fields.narrow("keyspace id"), try fields.sequence("flushed sequence"))
        case .logCreated:
            return .logCreated(try fields.fileNumber("log number"), byteCount: try fields.varint("log capacity"))
        case .logDeleted: return .logDeleted(try fields.fileNumber("log number"))
        case .cleanClose:
            return .cleanClose(
                CleanClose(
                    lastSequence: try fields.sequence("last sequence"),
                    logNumber: try fields.varint("log number"),
                    logByteCount: try fields.varint("log length")
                )
            )
        }
    }

    private static func level(_ fields: inout ByteReader) throws(DecodingFailure) -> Int {
        let level = try fields.integer(UInt8.self, "level")
        guard level < levelCount else { throw DecodingFailure(what: "there is no level \(level)") }
        return Int(level)
    }

    private static func settings(_ fields: inout ByteReader) throws(DecodingFailure) -> KeyspaceSettings {
        try KeyspaceSettings(decoding: try fields.take(UInt64(fields.remaining), "keyspace settings"))
    }
}
