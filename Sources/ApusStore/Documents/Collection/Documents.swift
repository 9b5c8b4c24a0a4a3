// A collection of documents of one type, as programs use it.

public import Apus

/// The documents of a type. Made by `Store.documents(_:)`.
///
/// ```swift
/// let messages = try store.documents(Message.self)
/// let id = try messages.insert(Message(conversation: talk, role: .user, time: now, text: "Hello"))
/// try messages.update(id) { $0.text += "!" }
/// let message = try messages.get(id)
/// try messages.delete(id)
/// ```
/// Writes are transactions of their own; with `in: transaction` they are part of one that spans collections. Reads take
/// `in:` a snapshot or a transaction, and see the latest state without. Everything has an `async` form.
public struct Documents<Root: Document>: Sendable {
    let collection: DocumentCollection

    init(_ collection: DocumentCollection) { self.collection = collection }

    public var name: String { collection.name.name }
    public var store: Store { collection.store }

    /// A new identifier from the database's clock and randomness.
    public func newID() -> DocumentID { collection.newID() }

    private static var decode: @Sendable (RecordView, FieldNameTable) throws -> Root {
        { try RecordDecoder.decode(Root.self, from: $0, names: $1) }
    }

    /// Names are asked for when the record is there already, so they are never older than it.
    private func decode(_ view: RecordView) throws -> Root { try Self.decode(view, collection.names.current) }

    // MARK: Reading

    /// The document with that key; nil if there is none.
    public func get(_ id: Root.ID, in reader: (any StoreReader)? = nil) throws -> Root? {
        var document: Root?
        try collection.read(id.documentKeyValue, in: reader) { document = try decode($0) }
        return document
    }

    /// The document with its version and expiry.
    public func getVersioned(_ id: Root.ID, in reader: (any StoreReader)? = nil) throws -> Versioned<Root>? {
        var document: Versioned<Root>?
        try collection.read(id.documentKeyValue, in: reader) { document = Versioned(try decode($0), $0.header) }
        return document
    }

    public func contains(_ id: Root.ID, in reader: (any StoreReader)? = nil) throws -> Bool {
        try collection.contains(id.documentKeyValue, in: reader)
    }

    /// A question to the collection: see `DocumentQuery`.
    public func query(in reader: (any StoreReader)? = nil) -> DocumentQuery<Root> {
        DocumentQuery(collection, in: reader, decode: Self.decode)
    }

    /// The same as text: `query("role == \"user\" order by time desc limit 50")`. See `QueryText` for the language.
    /// - Throws: `StoreError` with `invalidQuery` that says where the text makes no sense.
    public func query(_ text: String, in reader: (any StoreReader)? = nil) throws -> DocumentQuery<Root> {
        var query = query(in: reader)
        query.specification = try QueryParser.query(text)
        return query
    }

    // MARK: Writing

    /// Adds a document, with a new identifier if it has `.automatic`.
    /// - Returns: its key.
    /// - Throws: `StoreError` with `constraintViolated` if there is a document with the key already, or if the document
    ///   breaks a rule of the schema.
    @discardableResult
    public func insert(
        _ document: Root, expiry: Expiry = .automatic, in transaction: StoreTransaction
    ) throws -> Root.ID {
        let assigned = try collection.write(document, DocumentWrite(mode: .insert, expiry: expiry), in: transaction)
        return assigned.flatMap { Root.ID(assigned: $0) } ?? document.id
    }

    @discardableResult
    public func insert(_ document: Root, expiry: Expiry = .automatic) throws -> Root.ID {
        try store.transaction { try insert(document, expiry: expiry, in: $0) }
    }

    /// Adds several documents in one transaction: all of them or none.
    @discardableResult
    public func insert(_ documents: [Root]) throws -> [Root.ID] {
        try store.transaction { transaction in try documents.map { try insert($0, in: transaction) } }
    }

    /// Adds a document, or replaces the one with the same key.
    public func put(_ document: Root, expiry: Expiry = .automatic, in transaction: StoreTransaction) throws {
        _ = try collection.write(document, DocumentWrite(mode: .put, expiry: expiry), in: transaction)
    }

    public func put(_ document: Root, expiry: Expiry = .automatic) throws {
        try store.transaction { try put(document, expiry: expiry, in: $0) }
    }

    /// Replaces a document.
    ///
    /// - Parameter version: the version that the document must still have (see `getVersioned`): if somebody has written
    ///   it meanwhile, `StoreError` with `versionConflict` is thrown.
    public func update(
        _ document: Root, expecting version: UInt64? = nil, expiry: Expiry = .automatic,
        in transaction: StoreTransaction
    ) throws {
        let write = DocumentWrite(mode: .update, expectedVersion: version, expiry: expiry)
        _ = try collection.write(document, write, in: transaction)
    }

    public func update(_ document: Root, expecting version: UInt64? = nil, expiry: Expiry = .automatic) throws {
        try store.transaction { try update(document, expecting: version, expiry: expiry, in: $0) }
    }

    /// Changes a document where it is: reads it, runs `change`, writes it, in one transaction. It keeps its expiry.
    /// - Returns: the document as written; nil if there is none with that key.
    @discardableResult
    public func update(
        _ id: Root.ID, in transaction: StoreTransaction, _ change: (inout Root) throws -> Void
    ) throws -> Root? {
        var found: (document: Root, record: [UInt8])?
        try collection.read(id.documentKeyValue, in: transaction) { found = (try decode($0), [UInt8]($0.record)) }
        guard let found else { return nil }
        var document = found.document
        let changeCount = transaction.transaction.changeCount
        try change(&document)
        guard document.id == id else {
            throw collection.error(.invalidArgument, "the key of a document cannot be changed", key: "\(id)")
        }
        // `change` may itself have written through the transaction.
        let isLatest = transaction.transaction.changeCount == changeCount
        let write = DocumentWrite(mode: .update, keepsExpiry: true)
        _ = try collection.write(document, write, replacing: isLatest ? found.record : nil, in: transaction)
        return document
    }

    @discardableResult
    public func update(_ id: Root.ID, _ change: (inout Root) throws -> Void) throws -> Root? {
        try store.transaction { try update(id, in: $0, change) }
    }

    /// Deletes a document, and does what references to it demand: deletes those that refer to it, makes their
    /// references null, or fails.
    /// - Returns: whether there was one.
    @discardableResult
    public func delete(_ id: Root.ID, expecting version: UInt64? = nil, in transaction: StoreTransaction) throws -> Bool
    {
        try collection.delete(
            try collection.encodedKey(id.documentKeyValue), expecting: version, in: transaction)
    }

    @discardableResult
    public func delete(_ id: Root.ID, expecting version: UInt64? = nil) throws -> Bool {
        try store.transaction { try delete(id, expecting: version, in: $0) }
    }

    // MARK: Indexes

    /// The indexes and whether they are ready.
    public var indexes: [IndexDescription] { collection.indexes.map { IndexDescription($0) } }

    /// Completes indexes that are still being built, before it returns.
    /// - Throws: `StoreError` if one cannot be built, because documents have the same values in a unique index.
    public func buildIndexes() throws { try collection.buildIndexes() }
}

/// A document and what the store knows of it.
@dynamicMemberLookup
public struct Versioned<Root> {
    public var document: Root
    /// How often it has been written.
    public let version: UInt64
    /// Milliseconds since 1970; nil if it does not expire.
    public let expiry: UInt64?

    init(_ document: Root, _ header: RecordHeader) {
        self.document = document
        version = header.version
        expiry = header.expiry == 0 ? nil : header.expiry
    }

    public subscript<Value>(dynamicMember member: KeyPath<Root, Value>) -> Value { document[keyPath: member] }
}

extension Versioned: Sendable where Root: Sendable {}

/// An index and how far it is.
public struct IndexDescription: Sendable, Hashable {
    public enum Status: Sendable, Hashable {
        /// Queries use it.
        case ready
        /// Its entries are being made; queries do without it.
        case building
        /// It cannot be built: why.
        case failed(String)
    }

    /// Its fields, as `explain` names it.
    public var name: String
    public var status: Status

    init(_ index: DocumentIndex) {
        name = index.definition.name
        status =
            switch index.status {
            case .ready: .ready
            case .building: .building
            case .failed(let message): .failed(message)
            }
    }
}

extension DocumentCollection {
    /// Calls `body` with the document where it lies.
    /// - Returns: whether there is one.
    @discardableResult
    func read(
        _ key: JSONValue, in reader: (any StoreReader)?, _ body: (RecordView) throws -> Void
    ) throws -> Bool {
        try (reader ?? store).lookUp(try documentKey(key), in: keyspace) { bytes in
            do {
                try body(try RecordView(bytes))
            } catch let damage as RecordDamage {
                throw error(.corruption, damage.what, key: key.jsonText)
            }
        }
    }

    func contains(_ key: JSONValue, in reader: (any StoreReader)?) throws -> Bool {
        try (reader ?? store).contains(try documentKey(key), in: keyspace)
    }
}
