// A collection of documents without the type of its documents: what `Documents` and `JSONDocuments` share. Documents
// and index entries lie in one keyspace, so that a collection costs one memtable:
//
//   (0, primary key)                         a document                                         — FORMAT.md §8.4
//   (n ≥ 1, components…[, primary key])      an entry of index n
//   ("names"), ("state")                     the collection's own records

import Apus
import ApusIO

final class DocumentCollection: StoreCollection, Sendable {
    static let format = 1
    /// What the keys of documents begin with.
    static let documentPrefix = KeyCoder.encode(0)
    static let documentRange = KeyRange.prefix(documentPrefix)

    let store: Store
    let name: CollectionName
    let definition: [UInt8]
    let schema: SchemaDefinition
    let keyspace: Keyspace
    let names: FieldNames
    let keyPath: ResolvedPath
    let expiryPath: ResolvedPath?
    let checks: [(name: String, condition: CompiledCondition)]
    let references: [DocumentReference]

    private struct Shared {
        var indexes: [DocumentIndex] = [] {
            didSet {
                uniqueIndexes = indexes.compactMap { index in
                    guard index.isReady, let field = index.uniqueField else { return nil }
                    return (field, index)
                }
            }
        }
        /// Those of them that are ready and say of one field that no two documents have the same.
        private(set) var uniqueIndexes: [(field: FieldPath, index: DocumentIndex)] = []
        /// What writes work with, while none does.
        var scratches: [WriteScratch] = []
        /// Collections that refer to this one, as of that generation of the store's schemas.
        var referrers: (generation: Int, list: [Referrer])?
        var isBuilding = false
        /// Documents are of an older version of the schema.
        var isMigrationPending = false
        /// Snapshots from before it may have indexes that are not complete.
        var readySequence: UInt64 = 0
    }

    /// Another collection, or this one, with a field that holds keys of this one.
    struct Referrer: Sendable {
        weak let collection: DocumentCollection?
        let name: String
        let reference: ReferenceDefinition
    }

    private let shared = Monitor(Shared())

    /// - Parameter isTrial: nothing is to be written, not even names.
    init(
        store: Store, name: CollectionName, schema: SchemaDefinition, keyspace: Keyspace, isTrial: Bool = false
    ) throws {
        self.store = store
        self.name = name
        self.schema = schema
        self.keyspace = keyspace
        definition = schema.encoded
        names = try FieldNames(database: store.database, keyspace: keyspace, isTrial: isTrial)
        if isTrial || !store.database.isReadOnly { try Self.register(schema, in: names) }
        let table = names.current
        keyPath = table.resolve(schema.key)
        expiryPath = schema.expiryPath.map { table.resolve($0) }
        checks = schema.checks.map { ($0.name, CompiledCondition($0.condition, table)) }
        references = try schema.references.map { definition in
            try DocumentReference(definition, from: schema, named: name, in: store, table)
        }
    }

    /// Every declared name gets its number now, so that indexes and checks need not look for it again.
    private static func register(_ schema: SchemaDefinition, in names: FieldNames) throws {
        for name in Set(schema.paths.flatMap(\.names)).sorted() { _ = try names.register(name) }
    }

    // MARK: Indexes

    var indexes: [DocumentIndex] { shared.withLock { $0.indexes } }

    var isMigrationPending: Bool { shared.withLock { $0.isMigrationPending } }

    /// Takes over what the collection's own record says, which others (a builder of indexes, a migration) have changed.
    func adoptLatest() throws {
        let table = names.current
        // Read inside the lock: of two threads, the later one must not be overtaken.
        try shared.withLock { shared in
            let state = try CollectionState.read(of: name, keyspace, in: store)
            shared.indexes = state.indexes.map {
                DocumentIndex(number: $0.number, definition: $0.definition, status: $0.status, names: table)
            }
            shared.isMigrationPending = state.isMigrationPending(to: schema.version)
            shared.readySequence = store.database.sequence
        }
    }

    /// The indexes as a reader may use them. One that is complete now may not have been at the moment that an older
    /// snapshot shows: then the snapshot's own record tells.
    func indexes(for reader: (any StoreReader)?) throws -> [DocumentIndex] {
        let (indexes, readySequence) = shared.withLock { ($0.indexes, $0.readySequence) }
        let sequence: UInt64
        switch reader {
        case let snapshot as StoreSnapshot: sequence = snapshot.snapshot.sequence
        case let transaction as StoreTransaction: sequence = transaction.transaction.sequence
        default: return indexes
        }
        if sequence >= readySequence || indexes.isEmpty { return indexes }
        let state = try CollectionState.read(of: name, keyspace, in: reader!)
        let ready = Set(state.indexes.filter { $0.status == .ready }.map(\.number))
        return indexes.filter { $0.isReady && ready.contains($0.number) }
    }

    /// The unique index of that field alone, as a reader may use it.
    func uniqueIndex(of field: FieldPath, for reader: (any StoreReader)?) throws -> DocumentIndex? {
        // The latest indexes need no copy of the list, which would count each of them.
        if reader == nil || reader is Store {
            return shared.withLock { shared in
                shared.uniqueIndexes.first { $0.field == field }?.index
            }
        }
        return try indexes(for: reader).first { $0.isReady && $0.uniqueField == field }
    }

    /// True for the first who asks, until `endBuilding`.
    func beginBuilding() -> Bool {
        shared.withLock { shared in
            if shared.isBuilding { return false }
            shared.isBuilding = true
            return true
        }
    }

    func endBuilding() { shared.withLock { $0.isBuilding = false } }

    // MARK: Buffers

    /// Calls `body` with buffers that nobody else uses.
    func withScratch<Result>(_ body: (WriteScratch) throws -> Result) rethrows -> Result {
        let scratch = shared.withLock { $0.scratches.popLast() } ?? WriteScratch(names: names)
        defer {
            shared.withLock { shared in
                // One that a huge document has blown up is not kept.
                if shared.scratches.count < 8, scratch.encoder.capacity <= 1 << 20 { shared.scratches.append(scratch) }
            }
        }
        return try body(scratch)
    }

    // MARK: Keys

    /// The primary key of a value, encoded.
    func encodedKey(_ value: JSONValue) throws(StoreError) -> [UInt8] {
        var writer = KeyWriter(Self.documentPrefix)
        try append(key: value, to: &writer)
        return Array(writer.bytes.dropFirst(Self.documentPrefix.count))
    }

    /// The key of the document with that encoded primary key.
    static func documentKey(_ key: UnsafeRawBufferPointer) -> [UInt8] { documentPrefix + key }

    /// The same on the stack.
    @inline(__always)
    static func withDocumentKey<Result>(
        _ key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        try withUnsafeTemporaryAllocation(byteCount: documentPrefix.count + key.count, alignment: 1) { bytes in
            documentPrefix.withUnsafeBytes { bytes.copyMemory(from: $0) }
            UnsafeMutableRawBufferPointer(rebasing: bytes[documentPrefix.count...]).copyMemory(from: key)
            return try body(UnsafeRawBufferPointer(bytes))
        }
    }

    /// The key of the document with that primary key.
    func documentKey(_ value: JSONValue) throws(StoreError) -> [UInt8] {
        var writer = KeyWriter(reservingCapacity: 40)
        writer.append(encoded: Self.documentPrefix)
        try append(key: value, to: &writer)
        return writer.bytes
    }

    /// The same for a key as it lies in a record.
    func documentKey(_ value: RawValue) throws(StoreError) -> [UInt8] {
        var writer = KeyWriter(reservingCapacity: 40)
        writer.append(encoded: Self.documentPrefix)
        if writer.append(Scalar(value), schema.keyKind, descending: false) { return writer.bytes }
        return try documentKey(JSONValue(scalar: value))
    }

    private func append(key value: JSONValue, to writer: inout KeyWriter) throws(StoreError) {
        let value = value.converted(to: schema.keyKind) ?? value
        let isAppended = value.withScalar { writer.append($0, schema.keyKind, descending: false) }
        guard isAppended, !value.isNull else {
            throw error(
                .invalidArgument,
                "\(value.isNull ? "null, an array or an object" : value.jsonText) cannot be a key of this collection",
                field: schema.key.description)
        }
    }

    /// How people read an encoded primary key.
    static func shown(_ key: some Collection<UInt8>) -> String {
        guard let elements = try? KeyCoder.decode(Array(key)), let value = JSONValue(keyElements: elements) else {
            return "\(Array(key))"
        }
        return value.plainText
    }

    /// How people read the key of an entry: all that is in it.
    static func shown(entry key: [UInt8]) -> String {
        guard let elements = try? KeyCoder.decode(key) else { return "\(key)" }
        return elements.map { JSONValue(keyElements: [$0])?.plainText ?? "\($0)" }.joined(separator: ", ")
    }

    func error(_ kind: StoreError.Kind, _ message: String, field: String? = nil, key: String? = nil) -> StoreError {
        StoreError(kind, message, collection: name.description, field: field, key: key)
    }

    /// What would break a rule of the schema.
    func violation(
        of constraint: StoreError.Constraint, _ message: String, field: String? = nil, key: String? = nil
    ) -> StoreError {
        StoreError(
            .constraintViolated, message, collection: name.description, field: field, key: key, constraint: constraint)
    }

    func damage(_ damage: RecordDamage, key: UnsafeRawBufferPointer) -> StoreError {
        error(.corruption, damage.what, key: Self.shown(key))
    }

    // MARK: References to this collection

    /// The collections that refer to this one. Looked up in the catalogue once, and again when a schema has changed.
    func referrers() throws -> [(collection: DocumentCollection, reference: ReferenceDefinition)] {
        let generation = store.documentSchemas.withLock { $0 }
        var known = shared.withLock { $0.referrers }
        if known?.generation != generation {
            let list = try store.catalogue.collections(in: store) { _, _ in }.flatMap { found -> [Referrer] in
                guard found.name.kind == .documents else { return [] }
                let schema = try SchemaDefinition(encoded: found.record.definition, of: found.name.description)
                let references = schema.references.filter { $0.target == name.name }
                if references.isEmpty { return [] }
                let collection = found.name == name ? self : try store.documentCollection(named: found.name.name)
                return references.map { Referrer(collection: collection, name: found.name.name, reference: $0) }
            }
            known = (generation, list)
            shared.withLock { $0.referrers = known }
        }
        return try known!.list.map { referrer in
            (try referrer.collection ?? store.documentCollection(named: referrer.name), referrer.reference)
        }
    }
}

/// What a write works with, kept for the next one.
final class WriteScratch {
    let encoder: RecordEncoder
    /// The entries of the document that is written, and of the one that it replaces.
    @exclusivity(unchecked) var new = IndexEntries()
    @exclusivity(unchecked) var old = IndexEntries()
    /// The indexes that the entries are of.
    @exclusivity(unchecked) var indexes: [DocumentIndex] = []
    /// The value of one entry.
    @exclusivity(unchecked) var value: [UInt8] = []

    init(names: FieldNames) { encoder = RecordEncoder(names: names) }
}

/// A reference as writes check it: where the referred documents lie.
struct DocumentReference: Sendable {
    let definition: ReferenceDefinition
    let path: ResolvedPath
    let targetKeyspace: Keyspace
    let targetKeyKind: FieldKind

    init(
        _ definition: ReferenceDefinition, from schema: SchemaDefinition, named name: CollectionName, in store: Store,
        _ names: FieldNameTable
    ) throws {
        self.definition = definition
        path = names.resolve(definition.path)
        if definition.target == name.name {
            targetKeyspace = try store.database.existingKeyspace(name.description)
            targetKeyKind = schema.keyKind
            return
        }
        let target = try CollectionName(.documents, definition.target)
        guard let record = try store.catalogue.record(of: target, in: store) else {
            throw StoreError(
                .notFound,
                "the collection \"\(definition.target)\", which it refers to, does not exist: open that first",
                collection: name.description, field: definition.path.description)
        }
        targetKeyspace = try store.database.existingKeyspace(target.description)
        targetKeyKind = try SchemaDefinition(encoded: record.definition, of: target.description).keyKind
    }

    /// The key of the document that a value refers to; nil for null.
    func targetKey(_ value: Scalar) throws(StoreError) -> [UInt8]? {
        if case .null = value { return nil }
        var writer = KeyWriter(reservingCapacity: 40)
        writer.append(encoded: DocumentCollection.documentPrefix)
        guard writer.append(value, targetKeyKind, descending: false) else {
            throw StoreError(
                .constraintViolated, "the value cannot be a key of the collection \"\(definition.target)\"",
                field: definition.path.description, constraint: .reference)
        }
        return writer.bytes
    }
}
