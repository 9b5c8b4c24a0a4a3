// Which collections a store has: one record each in the keyspace `store`, written before anything else of the
// collection, so that whoever finds the keyspaces also finds what they are.
//
//   key:    ("collection", kind, name) as a tuple
//   value:  record version: u8 = 1 │ format: varint │ definition length: varint │ definition     — FORMAT.md §8.1

import Apus

/// What the catalogue knows of a collection.
struct CollectionRecord: Sendable, Equatable {
    /// The version of the layout of the collection's keys and values.
    var format: Int
    /// What the kind makes of it: schema, dimension, ….
    var definition: [UInt8]

    private static let version: UInt8 = 1

    init(format: Int, definition: [UInt8] = []) {
        self.format = format
        self.definition = definition
    }

    init(_ bytes: UnsafeRawBufferPointer, of name: String) throws(StoreError) {
        var reader = StoreByteReader(bytes)
        guard let version = reader.byte(), version == Self.version else {
            throw StoreError(.unsupportedFormat, "the catalogue's record has a newer version", collection: name)
        }
        guard let format = reader.varint().flatMap({ Int(exactly: $0) }), let definition = reader.lengthPrefixed(),
            reader.isAtEnd
        else {
            throw StoreError(.corruption, "the catalogue's record is damaged", collection: name)
        }
        self.init(format: format, definition: definition)
    }

    var encoded: [UInt8] {
        var bytes = [Self.version]
        bytes.appendVarint(UInt64(format))
        bytes.appendVarint(UInt64(definition.count))
        bytes.append(contentsOf: definition)
        return bytes
    }
}

struct Catalogue: Sendable {
    static let keyspaceName = "store"
    static let collectionsTag = "collection"

    /// nil in a database that was opened read-only and holds no store.
    private let keyspace: Keyspace?

    init(_ database: Database) throws(ApusError) {
        if database.isReadOnly {
            keyspace =
                database.keyspaceNames.contains(Self.keyspaceName)
                ? try database.existingKeyspace(Self.keyspaceName) : nil
        } else {
            keyspace = try database.keyspace(Self.keyspaceName)
        }
    }

    func record(of name: CollectionName, in reader: some StoreReader) throws -> CollectionRecord? {
        guard let keyspace else { return nil }
        return try reader.withValue(for: name.catalogueKey, in: keyspace) { value in
            try value.withBytes { try CollectionRecord($0, of: name.description) }
        }
    }

    /// Throws if there is a collection whose name is the same text in other code points: its keyspaces would be the same.
    func checkSpelling(of name: CollectionName, in reader: some StoreReader) throws {
        if name.name.utf8.allSatisfy({ $0 < 0x80 }) { return }
        for (other, _) in try collections(in: reader, damaged: { _, _ in }) where other.isSameText(as: name) {
            throw StoreError(
                .invalidArgument, "there is a collection with the same name in other code points",
                collection: name.description)
        }
    }

    func put(_ record: CollectionRecord, of name: CollectionName, in transaction: StoreTransaction) throws(ApusError) {
        guard let keyspace else { throw ApusError(.readOnly, "the database was opened read-only") }
        transaction.put(name.catalogueKey, record.encoded, in: keyspace)
    }

    func remove(_ name: CollectionName, in transaction: StoreTransaction) throws(ApusError) {
        guard let keyspace else { throw ApusError(.readOnly, "the database was opened read-only") }
        transaction.delete(name.catalogueKey, in: keyspace)
    }

    /// Every collection, by kind and name; `damaged` gets the keys that are none.
    func collections(
        in reader: some StoreReader, damaged: (_ key: [UInt8], StoreError) -> Void
    ) throws -> [(name: CollectionName, record: CollectionRecord)] {
        guard let keyspace else { return [] }
        var found: [(CollectionName, CollectionRecord)] = []
        let range = KeyCoder.range(of: .string(Self.collectionsTag))
        try reader.scan(range, in: keyspace) { key, value in
            let key = key.withBytes { [UInt8]($0) }
            do throws(StoreError) {
                let name = try Self.name(key)
                let record = try value.withBytes { (value) throws(StoreError) in
                    try CollectionRecord(value, of: name.description)
                }
                found.append((name, record))
            } catch {
                damaged(key, error)
            }
            return .next
        }
        return found
    }

    private static func name(_ key: [UInt8]) throws(StoreError) -> CollectionName {
        guard let elements = try? KeyCoder.decode(key), elements.count == 3, case .string(let rawKind) = elements[1],
            case .string(let name) = elements[2]
        else {
            throw StoreError(.corruption, "a key of the catalogue is damaged")
        }
        guard let kind = CollectionKind(rawValue: rawKind) else {
            throw StoreError(.unsupportedFormat, "no kind of collection that this version knows", collection: rawKind)
        }
        return try CollectionName(kind, name)
    }
}
