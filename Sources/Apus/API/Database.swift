// The database as users see it: opening, keyspaces, writing, snapshots, transactions, closing. Maintenance is in
// Database+Maintenance.swift.

public import ApusIO

/// An ordered, transactional key-value database in one directory.
///
/// ```swift
/// let db = try Database.open(at: "app.apus")
/// let users = try db.keyspace("users")
/// try users.put("ada", "Lovelace")
/// ```
/// One process has a database open for writing; inside it any number of threads and tasks read and write. Dropping the
/// last reference closes the database; `close()` does so at once and reports errors.
public final class Database: Sendable {
    let engine: Engine

    init(engine: Engine) {
        self.engine = engine
    }

    deinit {
        // Whoever wants to know of a failure calls `close()`; nothing acknowledged is lost either way.
        try? engine.close()
    }

    // MARK: Opening

    /// Opens the database in `directory`, creating it if the directory is absent or empty, recovering it if it was not
    /// closed cleanly.
    ///
    /// - Parameters:
    ///   - directory: created if it is absent (its parent must exist).
    ///   - options: memory, durability, log, and what keyspaces need to be opened with.
    ///   - environment: disk, clock, threads and randomness; the system's by default.
    /// - Throws: `ApusError`: `locked` (naming the holder), `notADatabase`, `notFound`, `unsupportedFormat`,
    ///   `corruption` (see `salvage`), `readOnly`, `io`, `outOfSpace`, `invalidArgument`.
    /// - Complexity: proportional to the log that has not been flushed.
    public static func open(
        at directory: String, options: Options = Options(), environment: Environment? = nil
    ) throws(ApusError) -> Database {
        Database(engine: try OpenDatabase.run(directory: directory, options: options, environment: environment))
    }

    public var directory: String { engine.directory }

    /// Disk, clock, threads and randomness that the database was opened with.
    public var environment: Environment { engine.environment }

    /// Whether the database was opened without the right to write.
    public var isReadOnly: Bool { engine.options.isReadOnly }

    /// What the database takes for the present when it decides what has expired: milliseconds since 1970-01-01 UTC. The
    /// clock of its environment, but never less than an earlier answer.
    public var time: UInt64 { engine.clock.now() }

    /// Finishes running commits, makes everything written durable, and releases the directory. Idempotent; calls after
    /// it throw `closed`.
    public func close() throws(ApusError) {
        try engine.close()
    }

    // MARK: Keyspaces

    /// The keyspace of that name, created on first use.
    ///
    /// - Parameters:
    ///   - name: 1 to 255 bytes of UTF-8.
    ///   - options: for a new keyspace; for an existing one, its new options. nil keeps what it has.
    public func keyspace(_ name: String, options: KeyspaceOptions? = nil) throws(ApusError) -> Keyspace {
        Keyspace(database: self, tree: try engine.tree(named: name, options: options, create: true))
    }

    /// The keyspace of that name; throws `notFound` if there is none.
    public func existingKeyspace(_ name: String) throws(ApusError) -> Keyspace {
        Keyspace(database: self, tree: try engine.tree(named: name, options: nil, create: false))
    }

    /// The names of all keyspaces, in order.
    public var keyspaceNames: [String] {
        engine.structure.withLock { $0.trees.values.map(\.tree.name) }.sorted()
    }

    /// Removes a keyspace and everything in it. Costs no scan. Handles, cursors and snapshots throw `closed` for it from
    /// then on; the space is free at once, or when a read that is under way has ended.
    public func dropKeyspace(_ name: String) throws(ApusError) {
        try engine.dropTree(named: name)
    }

    // MARK: Writing

    /// Applies `batch` completely or not at all.
    ///
    /// - Parameters:
    ///   - batch: what to change. An empty one is no commit.
    ///   - durability: when the call returns; the database's default if nil.
    public func commit(_ batch: WriteBatch, durability: Durability? = nil) throws(ApusError) {
        var batch = batch
        try commit(&batch, durability: durability, validate: nil)
    }

    /// Collects changes in `body`, then commits them together. Nothing is written if `body` throws.
    @discardableResult
    public func write<Result>(
        _ durability: Durability? = nil, _ body: (inout WriteBatch) throws -> Result
    ) throws -> Result {
        var batch = WriteBatch()
        let result = try body(&batch)
        try commit(&batch, durability: durability, validate: nil)
        return result
    }

    @usableFromInline
    func commit(
        _ batch: inout WriteBatch, durability: Durability?, validate: (() throws(ApusError) -> Void)?
    ) throws(ApusError) {
        try check(batch)
        if batch.isEmpty { return }
        if try engine.commitAlone(&batch, durability: durability ?? engine.options.durability, validate: validate) {
            return
        }
        guard let request = try request(batch, durability, validate: validate, completion: nil) else { return }
        try engine.pipeline.perform(request)
    }

    // MARK: Reading

    /// The whole database at this moment.
    public func snapshot() throws(ApusError) -> Snapshot {
        try engine.checkOpen()
        return Snapshot(database: self, pin: engine.pinSnapshot())
    }

    // MARK: Transactions

    /// Runs `body` in a serializable transaction and commits it. If another commit changed what it read, `body` runs
    /// again from the start: it must have no effects of its own.
    ///
    /// - Parameters:
    ///   - durability: when the call returns; the database's default if nil.
    ///   - attempts: how often at most before `conflict` is thrown.
    ///   - body: reads and writes through the transaction that it is given. What it throws ends the transaction.
    /// - Returns: what the `body` that was committed returned.
    @discardableResult
    @inlinable
    public func transaction<Result>(
        durability: Durability? = nil, attempts: Int = 100, _ body: (Transaction) throws -> Result
    ) throws -> Result {
        var attempt = 0
        while true {
            attempt += 1
            let transaction = try Transaction(database: self)
            do {
                let result = try body(transaction)
                try transaction.commit(durability: durability)
                return result
            } catch let error as ApusError where error.kind == .conflict && attempt < attempts {
                transaction.cancel()
            } catch {
                transaction.cancel()
                throw error
            }
        }
    }

    // MARK: Internals

    /// Checks a batch before it enters the pipeline; nil if there is nothing to do.
    func request(
        _ batch: WriteBatch, _ durability: Durability?, validate: (() throws(ApusError) -> Void)?,
        completion: (@Sendable (Swift.Result<Void, ApusError>) -> Void)?
    ) throws(ApusError) -> CommitRequest? {
        try check(batch)
        if batch.isEmpty { return nil }
        return CommitRequest(
            .write(batch, validate: validate), durability: durability ?? engine.options.durability,
            completion: completion)
    }

    /// Throws unless the batch may be committed to this database now.
    private func check(_ batch: WriteBatch) throws(ApusError) {
        try engine.checkWritable()
        if let error = batch.error { throw error }
        for tree in batch.trees where tree.engineID != engine.id {
            throw ApusError(.invalidArgument, "keyspace \"\(tree.name)\" belongs to another database")
        }
    }

    /// Throws unless the keyspace is one of this database.
    func check(_ keyspace: Keyspace) throws(ApusError) {
        if keyspace.tree.engineID != engine.id {
            throw ApusError(.invalidArgument, "keyspace \"\(keyspace.name)\" belongs to another database")
        }
    }
}
