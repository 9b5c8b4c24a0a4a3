// The asynchronous forms: the same calls on a thread of the database, so that no thread of the cooperative pool waits
// for a disk. A transaction is one closure on one such thread; inside it the synchronous forms are used.

public import Apus

extension Store {
    /// See the synchronous form.
    public func documents<Root: Document>(_ type: Root.Type = Root.self) async throws -> Documents<Root> {
        try await onWorker { try self.documents(type) }
    }

    /// See the synchronous form.
    public func documents(named name: String, schema: Schema<JSONValue>) async throws -> JSONDocuments {
        try await onWorker { try self.documents(named: name, schema: schema) }
    }

    /// See the synchronous form.
    public func documents(named name: String) async throws -> JSONDocuments {
        try await onWorker { try self.documents(named: name) }
    }

    /// See the synchronous form.
    public func dryRunMigration<Root: Document>(of type: Root.Type = Root.self) async throws -> MigrationReport {
        try await onWorker { try self.dryRunMigration(of: type) }
    }

    /// See the synchronous form.
    public func dryRunMigration(named name: String, schema: Schema<JSONValue>) async throws -> MigrationReport {
        try await onWorker { try self.dryRunMigration(named: name, schema: schema) }
    }

    /// See the synchronous form.
    public func documentCollectionNames() async throws -> [String] {
        try await onWorker { try self.documentCollectionNames() }
    }
}

extension Documents where Root.ID: Sendable {
    /// See the synchronous form.
    public func get(_ id: Root.ID, in snapshot: StoreSnapshot? = nil) async throws -> Root? {
        try await store.onWorker { try get(id, in: snapshot) }
    }

    /// See the synchronous form.
    public func getVersioned(_ id: Root.ID, in snapshot: StoreSnapshot? = nil) async throws -> Versioned<Root>? {
        try await store.onWorker { try getVersioned(id, in: snapshot) }
    }

    /// See the synchronous form.
    public func contains(_ id: Root.ID, in snapshot: StoreSnapshot? = nil) async throws -> Bool {
        try await store.onWorker { try contains(id, in: snapshot) }
    }

    /// See the synchronous form.
    @discardableResult
    public func insert(_ document: Root, expiry: Expiry = .automatic) async throws -> Root.ID {
        try await store.onWorker { try insert(document, expiry: expiry) }
    }

    /// See the synchronous form.
    @discardableResult
    public func insert(_ documents: [Root]) async throws -> [Root.ID] {
        try await store.onWorker { try insert(documents) }
    }

    /// See the synchronous form.
    public func put(_ document: Root, expiry: Expiry = .automatic) async throws {
        try await store.onWorker { try put(document, expiry: expiry) }
    }

    /// See the synchronous form.
    public func update(_ document: Root, expecting version: UInt64? = nil, expiry: Expiry = .automatic) async throws {
        try await store.onWorker { try update(document, expecting: version, expiry: expiry) }
    }

    /// See the synchronous form.
    @discardableResult
    public func update(_ id: Root.ID, _ change: @escaping @Sendable (inout Root) throws -> Void) async throws -> Root? {
        try await store.onWorker { try update(id, change) }
    }

    /// See the synchronous form.
    @discardableResult
    public func delete(_ id: Root.ID, expecting version: UInt64? = nil) async throws -> Bool {
        try await store.onWorker { try delete(id, expecting: version) }
    }

    /// See the synchronous form.
    public func buildIndexes() async throws {
        try await store.onWorker { try buildIndexes() }
    }
}

extension JSONDocuments {
    /// See the synchronous form.
    public func get(_ key: JSONValue, in snapshot: StoreSnapshot? = nil) async throws -> JSONValue? {
        try await store.onWorker { try get(key, in: snapshot) }
    }

    /// See the synchronous form.
    public func getVersioned(
        _ key: JSONValue, in snapshot: StoreSnapshot? = nil
    ) async throws -> Versioned<JSONValue>? {
        try await store.onWorker { try getVersioned(key, in: snapshot) }
    }

    /// See the synchronous form.
    public func contains(_ key: JSONValue, in snapshot: StoreSnapshot? = nil) async throws -> Bool {
        try await store.onWorker { try contains(key, in: snapshot) }
    }

    /// See the synchronous form.
    @discardableResult
    public func insert(_ document: JSONValue, expiry: Expiry = .automatic) async throws -> JSONValue {
        try await store.onWorker { try insert(document, expiry: expiry) }
    }

    /// See the synchronous form.
    public func put(_ document: JSONValue, expiry: Expiry = .automatic) async throws {
        try await store.onWorker { try put(document, expiry: expiry) }
    }

    /// See the synchronous form.
    public func update(
        _ document: JSONValue, expecting version: UInt64? = nil, expiry: Expiry = .automatic
    ) async throws {
        try await store.onWorker { try update(document, expecting: version, expiry: expiry) }
    }

    /// See the synchronous form.
    @discardableResult
    public func update(
        _ key: JSONValue, _ change: @escaping @Sendable (inout JSONValue) throws -> Void
    ) async throws -> JSONValue? {
        try await store.onWorker { try update(key, change) }
    }

    /// See the synchronous form.
    @discardableResult
    public func delete(_ key: JSONValue, expecting version: UInt64? = nil) async throws -> Bool {
        try await store.onWorker { try delete(key, expecting: version) }
    }

    /// See the synchronous form.
    public func buildIndexes() async throws {
        try await store.onWorker { try buildIndexes() }
    }
}

/// A query without the transaction that it may have been made in: what may go to another thread.
private struct DetachedQuery<Root>: Sendable {
    let collection: DocumentCollection
    let snapshot: StoreSnapshot?
    let specification: QuerySpecification
    let error: StoreError?
    let decode: @Sendable (RecordView, FieldNameTable) throws -> Root

    init(_ query: DocumentQuery<Root>) throws(StoreError) {
        if query.reader is StoreTransaction {
            throw query.collection.error(
                .invalidQuery, "a query in a transaction stays in the thread of the transaction: ask it without await")
        }
        collection = query.collection
        snapshot = query.reader as? StoreSnapshot
        specification = query.specification
        error = query.error
        decode = query.decode
    }

    var query: DocumentQuery<Root> {
        var query = DocumentQuery(collection, in: snapshot, decode: decode)
        query.specification = specification
        query.error = error
        return query
    }

    func ask<Answer: Sendable>(
        _ body: @escaping @Sendable (DocumentQuery<Root>) throws -> Answer
    ) async throws -> Answer {
        try await collection.store.onWorker { try body(query) }
    }
}

extension DocumentQuery {
    /// See the synchronous form.
    public func all() async throws -> [Root] where Root: Sendable { try await DetachedQuery(self).ask { try $0.all() } }

    /// See the synchronous form.
    public func first() async throws -> Root? where Root: Sendable {
        try await DetachedQuery(self).ask { try $0.first() }
    }

    /// See the synchronous form.
    public func count() async throws -> Int { try await DetachedQuery(self).ask { try $0.count() } }
    /// See the synchronous form.
    public func isEmpty() async throws -> Bool { try await DetachedQuery(self).ask { try $0.isEmpty() } }
    /// See the synchronous form.
    public func keys() async throws -> [JSONValue] { try await DetachedQuery(self).ask { try $0.keys() } }

    /// See the synchronous form.
    public func forEach(_ body: @escaping @Sendable (Root) throws -> Void) async throws {
        try await DetachedQuery(self).ask { try $0.forEach(body) }
    }

    /// See the synchronous form.
    public func distinct(_ field: PartialKeyPath<Root>) async throws -> [JSONValue] {
        try await distinct(byField: FieldPath(field))
    }

    /// See the synchronous form.
    public func distinct(byField field: FieldPath) async throws -> [JSONValue] {
        try await DetachedQuery(self).ask { try $0.distinct(byField: field) }
    }

    /// See the synchronous form.
    public func grouped(
        by fields: PartialKeyPath<Root>..., computing aggregates: Aggregate<Root>...
    ) async throws -> [DocumentGroup] {
        var paths: [FieldPath] = []
        for field in fields { paths.append(try FieldPath(field)) }
        let wanted = paths
        let computations = try computations(aggregates)
        return try await DetachedQuery(self).ask { try $0.groups(by: wanted, computations) }
    }

    /// See the synchronous form.
    public func grouped(
        byFields fields: FieldPath..., computing aggregates: Aggregate<Root>...
    ) async throws -> [DocumentGroup] {
        let computations = try computations(aggregates)
        return try await DetachedQuery(self).ask { try $0.groups(by: fields, computations) }
    }

    /// See the synchronous form.
    public func aggregate(_ aggregate: Aggregate<Root>) async throws -> JSONValue {
        try await DetachedQuery(self).ask { try $0.aggregate(aggregate) }
    }

    /// See the synchronous form.
    @discardableResult
    public func delete() async throws -> Int { try await DetachedQuery(self).ask { try $0.delete() } }

    /// See the synchronous form.
    public func explain(running: Bool = true) async throws -> QueryExplanation {
        try await DetachedQuery(self).ask { try $0.explain(running: running) }
    }
}

extension DocumentQuery where Root == JSONValue {
    /// See the synchronous form.
    public func answer() async throws -> QueryAnswer { try await DetachedQuery(self).ask { try $0.answer() } }
}
