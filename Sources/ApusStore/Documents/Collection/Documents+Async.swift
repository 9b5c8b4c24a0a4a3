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
}

extension Documents where Root.ID: Sendable {
    public func get(_ id: Root.ID, in snapshot: StoreSnapshot? = nil) async throws -> Root? {
        try await store.onWorker { try get(id, in: snapshot) }
    }

    public func getVersioned(_ id: Root.ID, in snapshot: StoreSnapshot? = nil) async throws -> Versioned<Root>? {
        try await store.onWorker { try getVersioned(id, in: snapshot) }
    }

    public func contains(_ id: Root.ID, in snapshot: StoreSnapshot? = nil) async throws -> Bool {
        try await store.onWorker { try contains(id, in: snapshot) }
    }

    @discardableResult
    public func insert(_ document: Root, expiry: Expiry = .automatic) async throws -> Root.ID {
        try await store.onWorker { try insert(document, expiry: expiry) }
    }

    @discardableResult
    public func insert(_ documents: [Root]) async throws -> [Root.ID] {
        try await store.onWorker { try insert(documents) }
    }

    public func put(_ document: Root, expiry: Expiry = .automatic) async throws {
        try await store.onWorker { try put(document, expiry: expiry) }
    }

    public func update(_ document: Root, expecting version: UInt64? = nil, expiry: Expiry = .automatic) async throws {
        try await store.onWorker { try update(document, expecting: version, expiry: expiry) }
    }

    @discardableResult
    public func update(_ id: Root.ID, _ change: @escaping @Sendable (inout Root) throws -> Void) async throws -> Root? {
        try await store.onWorker { try update(id, change) }
    }

    @discardableResult
    public func delete(_ id: Root.ID, expecting version: UInt64? = nil) async throws -> Bool {
        try await store.onWorker { try delete(id, expecting: version) }
    }

    public func buildIndexes() async throws {
        try await store.onWorker { try buildIndexes() }
    }
}

extension JSONDocuments {
    public func get(_ key: JSONValue, in snapshot: StoreSnapshot? = nil) async throws -> JSONValue? {
        try await store.onWorker { try get(key, in: snapshot) }
    }

    public func getVersioned(
        _ key: JSONValue, in snapshot: StoreSnapshot? = nil
    ) async throws -> Versioned<JSONValue>? {
        try await store.onWorker { try getVersioned(key, in: snapshot) }
    }

    public func contains(_ key: JSONValue, in snapshot: StoreSnapshot? = nil) async throws -> Bool {
        try await store.onWorker { try contains(key, in: snapshot) }
    }

    @discardableResult
    public func insert(_ document: JSONValue, expiry: Expiry = .automatic) async throws -> JSONValue {
        try await store.onWorker { try insert(document, expiry: expiry) }
    }

    public func put(_ document: JSONValue, expiry: Expiry = .automatic) async throws {
        try await store.onWorker { try put(document, expiry: expiry) }
    }

    public func update(
        _ document: JSONValue, expecting version: UInt64? = nil, expiry: Expiry = .automatic
    ) async throws {
        try await store.onWorker { try update(document, expecting: version, expiry: expiry) }
    }

    @discardableResult
    public func update(
        _ key: JSONValue, _ change: @escaping @Sendable (inout JSONValue) throws -> Void
    ) async throws -> JSONValue? {
        try await store.onWorker { try update(key, change) }
    }

    @discardableResult
    public func delete(_ key: JSONValue, expecting version: UInt64? = nil) async throws -> Bool {
        try await store.onWorker { try delete(key, expecting: version) }
    }

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
    public func all() async throws -> [Root] where Root: Sendable { try await DetachedQuery(self).ask { try $0.all() } }

    public func first() async throws -> Root? where Root: Sendable {
        try await DetachedQuery(self).ask { try $0.first() }
    }

    public func count() async throws -> Int { try await DetachedQuery(self).ask { try $0.count() } }
    public func isEmpty() async throws -> Bool { try await DetachedQuery(self).ask { try $0.isEmpty() } }
    public func keys() async throws -> [JSONValue] { try await DetachedQuery(self).ask { try $0.keys() } }

    public func forEach(_ body: @escaping @Sendable (Root) throws -> Void) async throws {
        try await DetachedQuery(self).ask { try $0.forEach(body) }
    }

    public func distinct(_ field: PartialKeyPath<Root>) async throws -> [JSONValue] {
        try await distinct(byField: FieldPath(field))
    }

    public func distinct(byField field: FieldPath) async throws -> [JSONValue] {
        try await DetachedQuery(self).ask { try $0.distinct(byField: field) }
    }

    public func grouped(
        by fields: PartialKeyPath<Root>..., computing aggregates: Aggregate<Root>...
    ) async throws -> [DocumentGroup] {
        var paths: [FieldPath] = []
        for field in fields { paths.append(try FieldPath(field)) }
        let wanted = paths
        let computations = try computations(aggregates)
        return try await DetachedQuery(self).ask { try $0.groups(by: wanted, computations) }
    }

    public func grouped(
        byFields fields: FieldPath..., computing aggregates: Aggregate<Root>...
    ) async throws -> [DocumentGroup] {
        let computations = try computations(aggregates)
        return try await DetachedQuery(self).ask { try $0.groups(by: fields, computations) }
    }

    public func aggregate(_ aggregate: Aggregate<Root>) async throws -> JSONValue {
        try await DetachedQuery(self).ask { try $0.aggregate(aggregate) }
    }

    @discardableResult
    public func delete() async throws -> Int { try await DetachedQuery(self).ask { try $0.delete() } }

    public func explain(running: Bool = true) async throws -> QueryExplanation {
        try await DetachedQuery(self).ask { try $0.explain(running: running) }
    }
}

extension DocumentQuery where Root == JSONValue {
    public func answer() async throws -> QueryAnswer { try await DetachedQuery(self).ask { try $0.answer() } }
}
