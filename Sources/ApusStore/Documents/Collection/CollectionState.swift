// What a collection knows of itself beside its schema: the numbers of its indexes and how far building them, or
// migrating the documents, has got. One record of JSON text, read and rewritten in the transactions that advance.
//
//   key:    ("state") as a tuple
//   value:  {"indexes": [{"number", "definition", "status", "through"?, "message"?}], "nextNumber", "version",
//           "migratedThrough"?}                                                                — FORMAT.md §8.4

import Apus

struct CollectionState: Sendable {
    struct Index: Sendable {
        var number: UInt64
        var definition: IndexDefinition
        var status: DocumentIndex.Status
    }

    static let key = KeyCoder.encode("state")

    var indexes: [Index] = []
    var nextNumber: UInt64 = 1
    /// The version of the schema that all documents have, or are being brought to.
    var version: UInt64 = 1
    /// While documents are being migrated: those up to this key have been.
    var migratedThrough: [UInt8]?

    func isMigrationPending(to version: UInt64) -> Bool { self.version < version || migratedThrough != nil }

    var encoded: [UInt8] {
        var fields: [String: JSONValue] = [
            "nextNumber": JSONValue(nextNumber), "version": JSONValue(version),
            "indexes": .array(indexes.map(Self.json)),
        ]
        fields["migratedThrough"] = migratedThrough.map { .string(base64($0)) }
        return Array(JSONValue.object(fields).jsonText.utf8)
    }

    private static func json(_ index: Index) -> JSONValue {
        var fields: [String: JSONValue] = ["number": JSONValue(index.number), "definition": index.definition.json]
        switch index.status {
        case .ready: fields["status"] = "ready"
        case .building(let through):
            fields["status"] = "building"
            fields["through"] = .string(base64(through))
        case .failed(let message):
            fields["status"] = "failed"
            fields["message"] = .string(message)
        }
        return .object(fields)
    }

    init() {}

    init(encoded bytes: [UInt8], of collection: CollectionName) throws(StoreError) {
        guard let text = String(validating: bytes, as: UTF8.self), let json = try? JSONValue(parsing: text),
            let next = json["nextNumber"]?.integerValue, next > 0, let version = json["version"]?.integerValue,
            version > 0, let indexes = json["indexes"]?.arrayValue
        else { throw Self.damage(collection) }
        nextNumber = UInt64(next)
        self.version = UInt64(version)
        migratedThrough = json["migratedThrough"]?.stringValue.flatMap { ApusStore.bytes(base64: $0) }
        for index in indexes {
            guard let index = Self.index(index), index.number < nextNumber,
                !self.indexes.contains(where: { $0.number == index.number })
            else { throw Self.damage(collection) }
            self.indexes.append(index)
        }
    }

    private static func damage(_ collection: CollectionName) -> StoreError {
        StoreError(.corruption, "the state of the collection is damaged", collection: collection.description)
    }

    private static func index(_ json: JSONValue) -> Index? {
        guard let number = json["number"]?.integerValue, number > 0,
            let definition = json["definition"].flatMap({ IndexDefinition($0) })
        else { return nil }
        let status: DocumentIndex.Status
        switch json["status"]?.stringValue {
        case "ready": status = .ready
        case "building":
            guard let through = json["through"]?.stringValue.flatMap({ ApusStore.bytes(base64: $0) }) else {
                return nil
            }
            status = .building(through: through)
        case "failed": status = .failed(json["message"]?.stringValue ?? "")
        default: return nil
        }
        return Index(number: UInt64(number), definition: definition, status: status)
    }

    /// Reads the state; an empty one if there is none.
    static func read(
        of collection: CollectionName, _ keyspace: Keyspace, in reader: any StoreReader
    ) throws -> CollectionState {
        guard let bytes = try reader.get(key, in: keyspace) else { return CollectionState() }
        return try CollectionState(encoded: bytes, of: collection)
    }
}
