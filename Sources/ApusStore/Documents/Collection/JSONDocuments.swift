// A collection of documents that no Swift type describes: the same calls as `Documents`, with JSON values.

public import Apus

/// Documents as JSON values. Made by `Store.documents(named:schema:)`, and by `Store.documents(named:)` for any
/// collection that exists, whatever type its documents were written from.
///
/// ```swift
/// let events = try store.documents(named: "events", schema: Schema().index("kind", "time"))
/// let id = try events.insert(["kind": "login", "time": 1_700_000_000])
/// let logins = try events.query(#"kind == "login" order by time desc limit 10"#).all()
/// ```
/// Values of fields that the schema declares take the kind declared: an identifier or a time given as text becomes one.
public struct JSONDocuments: Sendable {
    let collection: DocumentCollection

    init(_ collection: DocumentCollection) { self.collection = collection }

    public var name: String { collection.name.name }
    public var store: Store { collection.store }

    /// The schema as it lies in the catalogue, as JSON text.
    public var schemaText: String { String(decoding: collection.definition, as: UTF8.self) }

    // MARK: Reading

    /// The document with that key; nil if there is none.
    public func get(_ key: JSONValue, in reader: (any StoreReader)? = nil) throws -> JSONValue? {
        var document: JSONValue?
        try collection.read(key, in: reader) { document = try decode($0) }
        return document
    }

    private func decode(_ view: RecordView) throws -> JSONValue {
        try JSONValue(fields: view.fields, names: collection.names.current)
    }

    public func getVersioned(_ key: JSONValue, in reader: (any StoreReader)? = nil) throws -> Versioned<JSONValue>? {
        var document: Versioned<JSONValue>?
        try collection.read(key, in: reader) { document = Versioned(try decode($0), $0.header) }
        return document
    }

    public func contains(_ key: JSONValue, in reader: (any StoreReader)? = nil) throws -> Bool {
        try collection.contains(key, in: reader)
    }

    /// A question to the collection: see `DocumentQuery`.
    public func query(in reader: (any StoreReader)? = nil) -> DocumentQuery<JSONValue> {
        DocumentQuery(collection, in: reader) { try JSONValue(fields: $0.fields, names: $1) }
    }

    /// The same as text. See `Documents.query(_:in:)`.
    public func query(_ text: String, in reader: (any StoreReader)? = nil) throws -> DocumentQuery<JSONValue> {
        var query = query(in: reader)
        query.specification = try QueryParser.query(text)
        return query
    }

    // MARK: Writing

    /// Adds a document; one without a key gets a new `DocumentID`.
    /// - Returns: its key.
    @discardableResult
    public func insert(
        _ document: JSONValue, expiry: Expiry = .automatic, in transaction: StoreTransaction
    ) throws -> JSONValue {
        var document = document
        if document.value(at: collection.schema.key).isNull {
            guard [.any, .id].contains(collection.schema.keyKind) else {
                throw collection.error(
                    .invalidArgument, "the document has no key", field: collection.schema.key.description)
            }
            document.setValue(.id(collection.newID()), at: collection.schema.key)
        }
        document = collection.converted(document)
        let assigned = try collection.write(document, DocumentWrite(mode: .insert, expiry: expiry), in: transaction)
        return assigned.map { .id($0) } ?? document.value(at: collection.schema.key)
    }

    @discardableResult
    public func insert(_ document: JSONValue, expiry: Expiry = .automatic) throws -> JSONValue {
        try store.transaction { try insert(document, expiry: expiry, in: $0) }
    }

    /// Adds a document, or replaces the one with the same key.
    public func put(_ document: JSONValue, expiry: Expiry = .automatic, in transaction: StoreTransaction) throws {
        _ = try collection.write(
            collection.converted(document), DocumentWrite(mode: .put, expiry: expiry), in: transaction)
    }

    public func put(_ document: JSONValue, expiry: Expiry = .automatic) throws {
        try store.transaction { try put(document, expiry: expiry, in: $0) }
    }

    /// Replaces a document; see `Documents.update`.
    public func update(
        _ document: JSONValue, expecting version: UInt64? = nil, expiry: Expiry = .automatic,
        in transaction: StoreTransaction
    ) throws {
        let write = DocumentWrite(mode: .update, expectedVersion: version, expiry: expiry)
        _ = try collection.write(collection.converted(document), write, in: transaction)
    }

    public func update(_ document: JSONValue, expecting version: UInt64? = nil, expiry: Expiry = .automatic) throws {
        try store.transaction { try update(document, expecting: version, expiry: expiry, in: $0) }
    }

    /// Changes a document where it is; see `Documents.update`.
    @discardableResult
    public func update(
        _ key: JSONValue, in transaction: StoreTransaction, _ change: (inout JSONValue) throws -> Void
    ) throws -> JSONValue? {
        guard var document = try get(key, in: transaction) else { return nil }
        let before = document.value(at: collection.schema.key)
        try change(&document)
        guard document.value(at: collection.schema.key) == before else {
            throw collection.error(.invalidArgument, "the key of a document cannot be changed", key: key.jsonText)
        }
        let write = DocumentWrite(mode: .update, keepsExpiry: true)
        _ = try collection.write(collection.converted(document), write, in: transaction)
        return document
    }

    @discardableResult
    public func update(_ key: JSONValue, _ change: (inout JSONValue) throws -> Void) throws -> JSONValue? {
        try store.transaction { try update(key, in: $0, change) }
    }

    /// Deletes a document; see `Documents.delete`.
    @discardableResult
    public func delete(
        _ key: JSONValue, expecting version: UInt64? = nil, in transaction: StoreTransaction
    ) throws -> Bool {
        try collection.delete(try collection.encodedKey(key), expecting: version, in: transaction)
    }

    @discardableResult
    public func delete(_ key: JSONValue, expecting version: UInt64? = nil) throws -> Bool {
        try store.transaction { try delete(key, expecting: version, in: $0) }
    }

    // MARK: Indexes

    public var indexes: [IndexDescription] { collection.indexes.map { IndexDescription($0) } }

    /// See `Documents.buildIndexes`.
    public func buildIndexes() throws { try collection.buildIndexes() }
}

extension DocumentCollection {
    /// The document with the fields that the schema declares in the kind declared.
    func converted(_ document: JSONValue) -> JSONValue {
        var result = document
        visitDeclaredFields { path, kind, isEach in
            let value = result.value(at: path)
            let converted = Self.converted(value, to: kind, isEach: isEach)
            if converted != value { result.setValue(converted, at: path) }
        }
        return result
    }

    /// The value that a field gets, in the kind that the schema declares.
    func converted(_ value: JSONValue, of field: FieldPath) -> JSONValue {
        var result = value
        visitDeclaredFields { path, kind, isEach in
            if path == field { result = Self.converted(result, to: kind, isEach: isEach) }
        }
        return result
    }

    private static func converted(_ value: JSONValue, to kind: FieldKind, isEach: Bool) -> JSONValue {
        guard isEach else { return value.converted(to: kind) ?? value }
        guard case .array(let elements) = value else { return value }
        return .array(elements.map { $0.converted(to: kind) ?? $0 })
    }

    /// Calls `body` with each field whose kind is declared, and whether it is that of the elements of an array.
    private func visitDeclaredFields(_ body: (FieldPath, FieldKind, _ isEach: Bool) -> Void) {
        func visit(_ path: FieldPath, _ kind: FieldKind, isEach: Bool = false) {
            if kind != .any { body(path, kind, isEach) }
        }
        visit(schema.key, schema.keyKind)
        for index in schema.indexes {
            for component in index.components { visit(component.path, component.kind, isEach: component.isEach) }
        }
        for reference in schema.references { visit(reference.path, reference.kind) }
        if let path = schema.expiryPath { visit(path, .date) }
    }
}

/// What a query in text asks for, answered: documents, a number, or groups.
public enum QueryAnswer: Sendable, Hashable {
    case documents([JSONValue])
    case count(Int)
    /// Of `distinct` (values are empty) and `group by`.
    case groups([DocumentGroup])
}

extension DocumentQuery where Root == JSONValue {
    /// Answers whatever the text of the query asks for.
    public func answer() throws -> QueryAnswer {
        switch specification.output {
        case .documents: .documents(try all())
        case .count: .count(try count())
        case .distinct(let path): .groups(try groups(by: [path], []))
        case .groups(let fields, let aggregates): .groups(try groups(by: fields, aggregates))
        }
    }
}
