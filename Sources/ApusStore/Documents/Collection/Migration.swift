// Migrations: every document of an older version of the schema is rewritten by the closures that lead from its version
// to the newest, a batch at a time, each in one transaction with how far it has got. A record knows its own version, so
// a crash, or a document that was written meanwhile, is no problem: what has the version already is skipped.

import Apus

typealias Migrations = [UInt64: @Sendable (inout JSONValue) throws -> Void]

/// What a migration would do, or what would stop it.
public struct MigrationReport: Sendable {
    /// A document that the migration cannot bring to the new version.
    public struct Failure: Sendable, Hashable {
        /// As people read it.
        public var key: String
        public var message: String
    }

    /// Documents looked at.
    public internal(set) var documents = 0
    /// Documents that would change.
    public internal(set) var changed = 0
    /// The first hundred documents that would not.
    public internal(set) var failures: [Failure] = []
    public internal(set) var failureCount = 0
}

extension DocumentCollection {
    /// Brings every document to the version of the schema.
    func migrate(_ migrations: Migrations) throws {
        while isMigrationPending {
            try store.transaction { transaction in try migrateBatch(migrations, in: transaction) }
            try adoptLatest()
        }
    }

    private func migrateBatch(_ migrations: Migrations, in transaction: StoreTransaction) throws {
        var state = try CollectionState.read(of: name, keyspace, in: transaction)
        // Another thread may have come to the end.
        guard state.isMigrationPending(to: schema.version) else { return }
        var range = Self.documentRange
        if let through = state.migratedThrough { range.lower = Self.documentPrefix + through + [0] }
        let batch = try transaction.entries(range, in: keyspace, limit: Self.batchCount)
        for entry in batch { try migrate(entry, migrations, in: transaction) }
        if let last = batch.last, batch.count == Self.batchCount {
            state.migratedThrough = Array(last.key.dropFirst(Self.documentPrefix.count))
        } else {
            state.migratedThrough = nil
            state.version = schema.version
        }
        transaction.put(CollectionState.key, state.encoded, in: keyspace)
    }

    private func migrate(_ entry: Entry, _ migrations: Migrations, in transaction: StoreTransaction) throws {
        let key = Array(entry.key.dropFirst(Self.documentPrefix.count))
        do {
            guard let document = try migrated(entry, migrations) else { return }
            let write = DocumentWrite(mode: .update, keepsExpiry: true, isMigration: true)
            _ = try self.write(document, write, in: transaction)
        } catch var failure as StoreError {
            failure.message = "the migration to version \(schema.version) stops: \(failure.message)"
            failure.key = failure.key ?? Self.shown(key)
            throw failure
        }
    }

    /// The document as the newest version has it; nil if it is of that version.
    func migrated(_ entry: Entry, _ migrations: Migrations) throws -> JSONValue? {
        let key = entry.key.dropFirst(Self.documentPrefix.count)
        return try entry.value.withUnsafeBytes { bytes in
            do {
                let view = try RecordView(bytes)
                guard view.header.schemaVersion < schema.version else { return nil }
                var document = try JSONValue(fields: view.fields, names: names.current)
                let before = document.value(at: schema.key)
                let versions = migrations.keys.filter { $0 > view.header.schemaVersion && $0 <= schema.version }
                for version in versions.sorted() { try migrations[version]!(&document) }
                guard document.value(at: schema.key) == before else {
                    throw error(.invalidArgument, "a migration must not change keys", key: Self.shown(key))
                }
                return document
            } catch let damage as RecordDamage {
                throw Array(key).withUnsafeBytes { self.damage(damage, key: $0) }
            }
        }
    }
}
