// The names of a collection's fields and their numbers: an append-only list in the collection's keyspace. A name is
// added, in a commit of its own, before the first record that uses its number, so every record that survives a crash
// finds its names, and a transaction that fails leaves at most a name that nobody uses.
//
//   key:    ("names") as a tuple
//   value:  per name: length: varint │ UTF-8          the first is number 1                    — FORMAT.md §8.4

import Apus
import ApusIO

/// The names at one moment; later ones only add to them.
struct FieldNameTable: Sendable {
    /// By number; the empty string stands for 0.
    private(set) var names: [String] = [""]
    private var ids: [String: UInt32] = [:]

    init() {}

    /// Only good for turning numbers into names.
    init(names: [String]) { self.names = names }

    func id(of name: String) -> UInt32? { ids[name] }

    func resolve(_ path: FieldPath) -> ResolvedPath {
        ResolvedPath(steps: path.names.map { ResolvedPath.Step(id: ids[$0] ?? 0, name: $0) })
    }

    mutating func append(_ name: String) {
        ids[name] = UInt32(names.count)
        names.append(name)
    }
}

/// Thread-safe.
final class FieldNames: Sendable {
    /// Documents with keys that are data (dictionaries) must not fill memory with names: beyond these limits a name
    /// stands in the record itself.
    static let countLimit = 2048
    static let longestName = 64

    static let key = KeyCoder.encode("names")

    private let database: Database
    private let keyspace: Keyspace
    /// New names are only for whoever has this list: nothing is written.
    private let isTrial: Bool
    private let table = Monitor(FieldNameTable())

    init(database: Database, keyspace: Keyspace, isTrial: Bool = false) throws {
        self.database = database
        self.keyspace = keyspace
        self.isTrial = isTrial
        let stored = try keyspace.get(Self.key) ?? []
        let table = try Self.decode(stored, keyspace)
        self.table.withLock { $0 = table }
    }

    var current: FieldNameTable { table.withLock { $0 } }

    /// The number of a name, assigned now if it has none; 0 if it is to stand in the record.
    func register(_ name: String) throws -> UInt32 {
        if let id = table.withLock({ $0.id(of: name) }) { return id }
        guard (1...Self.longestName).contains(name.utf8.count) else { return 0 }
        if isTrial {
            return table.withLock { table in
                if table.names.count <= Self.countLimit { table.append(name) }
                return table.id(of: name) ?? 0
            }
        }
        let keyspace = keyspace
        // Relaxed is enough: what survives a crash is a beginning of the commit order, and the records come later.
        let updated = try database.transaction(durability: .relaxed) { transaction -> FieldNameTable? in
            var table = try Self.decode(try transaction.get(Self.key, in: keyspace) ?? [], keyspace)
            if table.id(of: name) != nil { return table }
            guard table.names.count <= Self.countLimit else { return nil }
            table.append(name)
            transaction.put(Self.key, Self.encode(table), in: keyspace)
            return table
        }
        guard let updated else { return 0 }
        return table.withLock { table in
            // Another thread may have got further meanwhile.
            if updated.names.count > table.names.count { table = updated }
            return table.id(of: name) ?? 0
        }
    }

    private static func encode(_ table: FieldNameTable) -> [UInt8] {
        var bytes: [UInt8] = []
        for name in table.names.dropFirst() {
            bytes.appendVarint(UInt64(name.utf8.count))
            bytes.append(contentsOf: name.utf8)
        }
        return bytes
    }

    private static func decode(_ bytes: [UInt8], _ keyspace: Keyspace) throws -> FieldNameTable {
        try bytes.withUnsafeBytes { try decode($0, keyspace) }
    }

    private static func decode(_ bytes: UnsafeRawBufferPointer, _ keyspace: Keyspace) throws -> FieldNameTable {
        var table = FieldNameTable()
        var reader = StoreByteReader(bytes)
        while !reader.isAtEnd {
            guard let content = reader.lengthPrefixed(), let name = String(validating: content, as: UTF8.self),
                table.id(of: name) == nil
            else {
                throw StoreError(.corruption, "the list of field names is damaged", collection: keyspace.name)
            }
            table.append(name)
        }
        return table
    }
}
