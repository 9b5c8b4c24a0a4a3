// Trying a migration without writing anything: every document goes through the closures and then through all that a
// write of it would be asked, in memory.

import Apus

extension Store {
    /// Runs the migrations of a schema on every document, and asks of what comes out what a write would be asked: whether
    /// it decodes, satisfies the checks, refers to documents that are there, and has values of its own in unique indexes.
    func dryRun(
        _ schema: SchemaDefinition, _ migrations: Migrations, named name: String,
        decode: (RecordView, FieldNameTable) throws -> Void
    ) throws -> MigrationReport {
        let collectionName = try CollectionName(.documents, name)
        var schema = schema
        try schema.settle()
        guard try catalogue.record(of: collectionName, in: self) != nil else { return MigrationReport() }
        let keyspace = try database.existingKeyspace(collectionName.description)
        let collection = try DocumentCollection(
            store: self, name: collectionName, schema: schema, keyspace: keyspace, isTrial: true)
        let snapshot = try snapshot()
        defer { snapshot.release() }
        var trial = MigrationTrial(collection, migrations)
        let documents = try snapshot.snapshot.makeCursor(DocumentCollection.documentRange, in: keyspace)
        try documents.seekToFirst()
        while documents.isValid {
            trial.add(Entry(key: documents.key, value: try documents.value()), in: snapshot, decode)
            try documents.next()
        }
        return trial.report
    }
}

private struct MigrationTrial {
    let collection: DocumentCollection
    let migrations: Migrations
    private(set) var report = MigrationReport()
    private let uniqueIndexes: [DocumentIndex]
    /// The entries of unique indexes so far, each as 128 bits of hash: few enough bytes for all documents, and two that
    /// differ have the same with a probability that nobody lives to see.
    private var entries: Set<UInt128> = []

    init(_ collection: DocumentCollection, _ migrations: Migrations) {
        self.collection = collection
        self.migrations = migrations
        let table = collection.names.current
        uniqueIndexes = collection.schema.allIndexes.enumerated().compactMap { position, definition in
            guard definition.isUnique else { return nil }
            return DocumentIndex(number: UInt64(position), definition: definition, status: .ready, names: table)
        }
    }

    mutating func add(
        _ entry: Entry, in snapshot: StoreSnapshot, _ decode: (RecordView, FieldNameTable) throws -> Void
    ) {
        report.documents += 1
        let documentKey = entry.key
        do {
            let document = try collection.migrated(entry, migrations)
            try documentKey.withUnsafeBytes { bytes in
                let key = UnsafeRawBufferPointer(rebasing: bytes[DocumentCollection.documentPrefix.count...])
                guard let document else {
                    return try entry.value.withUnsafeBytes { try checkUnique(try RecordView($0), key) }
                }
                try collection.withScratch { scratch in
                    try scratch.encoder.encode(document)
                    var view = RecordView(fields: scratch.encoder.fields)
                    try entry.value.withUnsafeBytes { old in
                        let old = try RecordView(old)
                        view.header = old.header
                        try collection.checkRules(view, key)
                        try collection.checkReferences(view, old: old, key, in: snapshot)
                    }
                    try checkUnique(view, key)
                    try decode(view, collection.names.current)
                }
            }
            if document != nil { report.changed += 1 }
        } catch {
            report.failureCount += 1
            guard report.failures.count < 100 else { return }
            let key = DocumentCollection.shown(documentKey.dropFirst(DocumentCollection.documentPrefix.count))
            report.failures.append(MigrationReport.Failure(key: key, message: "\(error)"))
        }
    }

    private mutating func checkUnique(_ view: RecordView, _ key: UnsafeRawBufferPointer) throws {
        var found = IndexEntries()
        for index in uniqueIndexes { try index.collect(into: &found, of: view, key: key) }
        try found.visit { entry, entryKey in
            guard entry.isUnique, !entries.insert(Self.hash(entryKey)).inserted else { return }
            throw collection.error(
                .constraintViolated, "another document has the same values in a unique index",
                key: DocumentCollection.shown(key))
        }
    }

    private static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt128 {
        func half(_ seed: UInt8) -> UInt64 {
            var hasher = Hasher()
            hasher.combine(seed)
            hasher.combine(bytes: bytes)
            return UInt64(bitPattern: Int64(hasher.finalize()))
        }
        return UInt128(half(0)) << 64 | UInt128(half(1))
    }
}
