// Opening collections of documents: the schema asked for is compared with the one in the catalogue, and what differs
// becomes true. Indexes that are gone are removed in one range deletion, new ones are built in the background,
// documents of an older version are migrated before anyone sees them.

import Apus
import ApusIO

extension Store {
    /// The collection of the documents of a type, created on first use.
    ///
    /// If the type's schema has changed since: new indexes are built in the background (see `Documents.buildIndexes`),
    /// indexes that it has no more are removed, and migrations run before the call returns. Checks and references that
    /// are new hold for what is written from then on; `verify` names the documents that do not keep to them.
    /// - Throws: `StoreError` if the schema makes no sense, is older than the collection, or refers to a collection that
    ///   does not exist yet; what migrations throw.
    public func documents<Root: Document>(_ type: Root.Type = Root.self) throws -> Documents<Root> {
        let schema = Root.schema
        let collection = try documentCollection(
            named: Root.collectionName, schema: schema.definition, error: schema.error, migrations: schema.migrations)
        return Documents(collection)
    }

    /// The collection of that name, with documents that no Swift type describes, created on first use.
    public func documents(named name: String, schema: Schema<JSONValue>) throws -> JSONDocuments {
        JSONDocuments(
            try documentCollection(
                named: name, schema: schema.definition, error: schema.error, migrations: schema.migrations))
    }

    /// The collection of that name as it is, whatever type its documents were written from.
    /// - Throws: `StoreError` with `notFound` if there is none.
    public func documents(named name: String) throws -> JSONDocuments {
        JSONDocuments(try documentCollection(named: name))
    }

    /// The names of all collections of documents, in order.
    public func documentCollectionNames() throws -> [String] {
        try catalogue.collections(in: self) { _, _ in }.filter { $0.name.kind == .documents }.map(\.name.name).sorted()
    }

    /// The same as opening, without keeping anything: what the migrations of the type's schema would do.
    public func dryRunMigration<Root: Document>(of type: Root.Type = Root.self) throws -> MigrationReport {
        let schema = Root.schema
        if let error = schema.error { throw error }
        return try dryRun(schema.definition, schema.migrations, named: Root.collectionName) { record, names in
            _ = try RecordDecoder.decode(Root.self, from: record, names: names)
        }
    }

    /// The same for documents without a type.
    public func dryRunMigration(named name: String, schema: Schema<JSONValue>) throws -> MigrationReport {
        if let error = schema.error { throw error }
        return try dryRun(schema.definition, schema.migrations, named: name) { _, _ in }
    }

    // MARK: Opening

    func documentCollection(named name: String) throws -> DocumentCollection {
        let collection = try CollectionName(.documents, name)
        while true {
            guard let record = try catalogue.record(of: collection, in: self) else {
                throw StoreError(.notFound, "there is no such collection", collection: collection.description)
            }
            let schema = try SchemaDefinition(encoded: record.definition, of: collection.description)
            do {
                return try self.collection(.documents, name, definition: schema.encoded) { record in
                    try open(collection, schema, record)
                }
            } catch let error as StoreError where error.kind == .definitionMismatch {
                // Somebody may have changed the schema since it was read: then it is opened with the new one.
                if try catalogue.record(of: collection, in: self) == record { throw error }
            }
        }
    }

    func documentCollection(
        named name: String, schema: SchemaDefinition, error: StoreError?, migrations: Migrations
    ) throws -> DocumentCollection {
        var schema = schema
        do throws(StoreError) {
            if let error { throw error }
            try schema.settle()
        } catch {
            var named = error
            named.collection = "\(CollectionKind.documents.rawValue):\(name)"
            throw named
        }
        let opened = try collection(.documents, name, definition: schema.encoded) { record in
            try open(CollectionName(.documents, name), schema, record)
        }
        if opened.isMigrationPending {
            guard !database.isReadOnly else {
                throw opened.error(
                    .definitionMismatch, "has to be migrated, but the database was opened read-only")
            }
            try opened.migrate(migrations)
        }
        return opened
    }

    private func open(
        _ name: CollectionName, _ schema: SchemaDefinition, _ record: CollectionRecord?
    ) throws -> DocumentCollection {
        if let record, record.format > DocumentCollection.format {
            throw StoreError(
                .unsupportedFormat, "was written in format \(record.format)", collection: name.description)
        }
        let previous = try record.map { try SchemaDefinition(encoded: $0.definition, of: name.description) }
        try Self.check(schema, follows: previous, name)
        let keyspace = try keyspace(name.description, KeyspaceOptions())
        let collection = try DocumentCollection(store: self, name: name, schema: schema, keyspace: keyspace)
        if !database.isReadOnly, previous != schema {
            try change(collection, from: previous)
            documentSchemas.withLock { $0 += 1 }
        }
        try collection.adoptLatest()
        if !database.isReadOnly { collection.buildIndexesInBackground() }
        return collection
    }

    private static func check(
        _ schema: SchemaDefinition, follows previous: SchemaDefinition?, _ name: CollectionName
    ) throws(StoreError) {
        func mismatch(_ message: String) -> StoreError {
            StoreError(.definitionMismatch, message, collection: name.description)
        }
        guard let previous else { return }
        if schema.key != previous.key || schema.keyKind != previous.keyKind {
            throw mismatch("has the key \(previous.key) (\(previous.keyKind.rawValue)), which cannot change")
        }
        if schema.version < previous.version {
            throw mismatch("has version \(previous.version) of its schema already, and \(schema.version) is older")
        }
    }

    /// Brings catalogue and state to the new schema, in one commit: what is left to do is in the state afterwards.
    private func change(_ collection: DocumentCollection, from previous: SchemaDefinition?) throws {
        let schema = collection.schema
        let keyspace = collection.keyspace
        try transaction { transaction in
            var state = try CollectionState.read(of: collection.name, keyspace, in: transaction)
            let isEmpty = try transaction.entries(DocumentCollection.documentRange, in: keyspace, limit: 1).isEmpty
            let wanted = schema.allIndexes
            for index in state.indexes where !wanted.contains(index.definition) {
                let range = KeyRange.prefix(KeyCoder.encode(KeyElement(index.number)))
                transaction.deleteRange(from: range.lower!, to: range.upper!, in: keyspace)
            }
            state.indexes.removeAll { !wanted.contains($0.definition) }
            for definition in wanted where !state.indexes.contains(where: { $0.definition == definition }) {
                state.indexes.append(
                    CollectionState.Index(
                        number: state.nextNumber, definition: definition,
                        status: isEmpty ? .ready : .building(through: [])))
                state.nextNumber += 1
            }
            if isEmpty { state.version = schema.version }
            // Documents that were migrated to a version in between have a way to go again.
            if schema.version != previous?.version { state.migratedThrough = nil }
            transaction.put(CollectionState.key, state.encoded, in: keyspace)
            let record = CollectionRecord(format: DocumentCollection.format, definition: schema.encoded)
            try catalogue.put(record, of: collection.name, in: transaction)
        }
    }
}
