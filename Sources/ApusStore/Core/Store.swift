// The store as users see it: one database, any number of collections, and transactions and snapshots that span all of
// them. The collections themselves are in folders of their own; what they share is in this one.

public import Apus
public import ApusIO

/// Documents, vectors, sessions and blobs in one database, committed together.
///
/// ```swift
/// let store = try Store.open(at: "app.apus")
/// let blobs = try store.blobs()
/// let sessions = try store.sessions("web")
/// try store.transaction { transaction in
///     …                                        // any number of collections: all of it or nothing
/// }
/// ```
/// Everything is `Sendable` and may be used by any number of threads and tasks. Every call that may block has an `async`
/// form of the same name that runs on a thread of the database. Collections keep their store open; the store keeps
/// what it was asked for only as long as somebody uses it, so hold on to a collection that is used often.
public final class Store: Sendable {
    public let database: Database
    /// Which collections there are.
    let catalogue: Catalogue
    /// The collections that somebody holds, so that all who ask for one share it.
    private let collections = Monitor(OpenCollections())
    /// Counts the changes of schemas of documents, so that collections know when to look again who refers to them.
    let documentSchemas = Monitor(0)

    /// Puts a store on a database that is open already. Its keyspaces whose names begin with `store`, `blob:`, `doc:`,
    /// `session:` and `vector:` are the store's; others stay the application's own.
    public init(_ database: Database) throws {
        self.database = database
        catalogue = try Catalogue(database)
    }

    /// Opens the database in `directory`, creating it if the directory is absent or empty.
    ///
    /// - Parameters:
    ///   - directory: created if it is absent (its parent must exist).
    ///   - options: as `Database.open` takes them.
    ///   - environment: disk, clock, threads and randomness; the system's by default.
    /// - Throws: `ApusError` as `Database.open`; `StoreError` with `unsupportedFormat` for a store of a newer version.
    public static func open(
        at directory: String, options: Options = Options(), environment: Environment? = nil
    ) throws -> Store {
        try Store(Database.open(at: directory, options: options, environment: environment))
    }

    /// The keyspace that lists the collections.
    public static let catalogueKeyspaceName = Catalogue.keyspaceName

    /// Whether a store has been put on the database.
    public static func isPresent(in database: Database) -> Bool {
        database.keyspaceNames.contains(Catalogue.keyspaceName)
    }

    /// Closes the database: everything written is durable then. Later calls throw `closed`. Idempotent.
    public func close() throws(ApusError) {
        try database.close()
    }

    /// Runs `body` in one serializable transaction over all collections and commits it. If another commit changed what
    /// it read, `body` runs again from the start: effects of its own belong into `StoreTransaction.onCommit`.
    ///
    /// - Parameters:
    ///   - durability: when the call returns; the database's default if nil.
    ///   - attempts: how often at most before `conflict` is thrown.
    ///   - body: reads and writes through the transaction that it is given. What it throws ends the transaction.
    /// - Returns: what the `body` that was committed returned.
    @discardableResult
    @inlinable
    public func transaction<Result>(
        durability: Durability? = nil, attempts: Int = 100, _ body: (StoreTransaction) throws -> Result
    ) throws -> Result {
        var last: StoreTransaction?
        // Whatever ends this function, and whatever attempt comes next, the attempt before was not committed.
        defer { last?.end(isCommitted: false) }
        let result = try database.transaction(durability: durability, attempts: attempts) { transaction in
            last?.end(isCommitted: false)
            let attempt = StoreTransaction(store: self, transaction: transaction)
            last = attempt
            return try body(attempt)
        }
        last?.end(isCommitted: true)
        return result
    }

    /// Every collection at this moment.
    public func snapshot() throws(ApusError) -> StoreSnapshot {
        StoreSnapshot(store: self, snapshot: try database.snapshot())
    }

    // MARK: Collections

    /// The collection of that kind and name: the one that is in use, or what `make` returns.
    ///
    /// The catalogue has, afterwards, a record of the collection with this definition.
    /// - Parameters:
    ///   - definition: what has to be the same for everyone who uses the collection (its schema, its dimension).
    ///   - make: opens the collection. It gets the catalogue's record if the collection exists. Two threads that ask at
    ///     once may both run it, and one of the results is dropped; it may also run several times. So it must be harmless.
    func collection<Collection: StoreCollection>(
        _ kind: CollectionKind, _ name: String, definition: [UInt8], make: (CollectionRecord?) throws -> Collection
    ) throws -> Collection {
        let name = try CollectionName(kind, name)
        try collections.withLock { try $0.beginOpening(name, definition) }
        defer { collections.withLock { $0.endOpening(name) } }
        while true {
            let opened = collections.withLock { $0.openedCount[name] }
            if let existing = try existing(name, definition, as: Collection.self) { return existing }
            let record = try catalogue.record(of: name, in: self)
            if record == nil { try catalogue.checkSpelling(of: name, in: self) }
            let made = try make(record)
            let kept: Collection? = try collections.withLock { collections in
                // Another thread may have made it meanwhile.
                if let existing = collections.byName[name]?.object {
                    return try Self.check(existing, name, definition, as: Collection.self)
                }
                // Or even made it, written to it, and let go of it: what was made here would know nothing of that.
                if collections.openedCount[name] != opened { return nil }
                collections.openedCount[name, default: 0] += 1
                collections.byName = collections.byName.filter { $0.value.object != nil }
                collections.byName[name] = WeakCollection(object: made)
                return made
            }
            if let kept { return kept }
        }
    }

    private func existing<Collection: StoreCollection>(
        _ name: CollectionName, _ definition: [UInt8], as type: Collection.Type
    ) throws -> Collection? {
        try collections.withLock { collections in
            try collections.byName[name]?.object.map { try Self.check($0, name, definition, as: type) }
        }
    }

    private static func check<Collection: StoreCollection>(
        _ existing: any StoreCollection, _ name: CollectionName, _ definition: [UInt8], as type: Collection.Type
    ) throws -> Collection {
        guard let collection = existing as? Collection, collection.definition == definition else {
            throw StoreError(
                .definitionMismatch, "is in use with another definition", collection: name.description)
        }
        return collection
    }

    /// A keyspace of a collection. In a database that was opened read-only it has to exist.
    func keyspace(_ name: String, _ options: KeyspaceOptions) throws(ApusError) -> Keyspace {
        database.isReadOnly ? try database.existingKeyspace(name) : try database.keyspace(name, options: options)
    }
}

/// The collections in use.
private struct OpenCollections {
    var byName: [CollectionName: WeakCollection] = [:]
    /// How often each was added.
    var openedCount: [CollectionName: Int] = [:]
    /// Those that are being opened, with what definition and by how many at once.
    private var opening: [CollectionName: (definition: [UInt8], count: Int)] = [:]

    /// Opening with a new definition writes it into the catalogue, so two definitions must not be opened side by side: one
    /// of them would be in use, and the other in the catalogue.
    mutating func beginOpening(_ name: CollectionName, _ definition: [UInt8]) throws(StoreError) {
        if let current = opening[name], current.definition != definition {
            throw StoreError(
                .definitionMismatch, "is being opened with another definition", collection: name.description)
        }
        opening[name, default: (definition, 0)].count += 1
    }

    mutating func endOpening(_ name: CollectionName) {
        opening[name]!.count -= 1
        if opening[name]!.count == 0 { opening[name] = nil }
    }
}

/// Lets go of a collection when its last user does: collections keep their store, so the store must not keep them.
private struct WeakCollection {
    weak var object: (any StoreCollection)?
}
