// Writing one document in a transaction: everything that can be wrong is found before the first change, so a violation
// leaves the transaction as it was.
//
// 1. The document is encoded, its key found (or made), and the document that it replaces read.
// 2. Checks and references are asked, the index entries of both documents made, and unique indexes asked.
// 3. Entries that the old document had and the new one has not are deleted, the others written, and the record.

import Apus

/// What has to be there, or not, for a write.
enum WriteMode: Sendable {
    /// Nothing with the key.
    case insert
    /// A document with the key.
    case update
    case put
}

/// A write of one document.
struct DocumentWrite: Sendable {
    var mode: WriteMode
    /// The version that the document must have.
    var expectedVersion: UInt64?
    var expiry = Expiry.automatic
    /// A change of what is there already: it lives as long as before.
    var keepsExpiry = false
    /// The document stays of the version of the schema that it has, and migrations will still bring it to the newest.
    var keepsSchemaVersion = false
    /// Brings the document to the newest version of the schema.
    var isMigration = false
}

extension DocumentCollection {
    /// Writes a document.
    /// - Parameter old: the record that the transaction shows under the document's key, if the caller has just read it.
    /// - Returns: the identifier that it was given, if it had none of its own.
    func write(
        _ document: some Encodable, _ write: DocumentWrite, replacing old: [UInt8]? = nil,
        in transaction: StoreTransaction
    ) throws -> DocumentID? {
        try withScratch { scratch in
            do {
                try scratch.encoder.encode(document)
            } catch let EncodingError.invalidValue(_, context) {
                throw error(.invalidArgument, context.debugDescription)
            }
            return try self.write(scratch, write, replacing: old, in: transaction)
        }
    }

    private func write(
        _ scratch: WriteScratch, _ write: DocumentWrite, replacing known: [UInt8]?, in transaction: StoreTransaction
    ) throws -> DocumentID? {
        try checkMigrated(for: write)
        let assigned = try assignKey(scratch.encoder)
        let view = RecordView(fields: scratch.encoder.fields)
        guard let rawKey = try view.value(at: keyPath), !rawKey.isNull else {
            throw error(.invalidArgument, "the document has no key", field: schema.key.description)
        }
        let documentKey = try documentKey(rawKey)
        try documentKey.withUnsafeBytes { documentKey in
            let isWritten = try known?.withUnsafeBytes { old in
                guard try RecordView(old).value(at: keyPath)?.isSame(as: rawKey) == true else { return false }
                try self.write(scratch, view, write, old, documentKey, in: transaction)
                return true
            }
            if isWritten == true { return }
            let isThere =
                try assigned == nil
                && transaction.lookUp(documentKey, in: keyspace) { old in
                    try self.write(scratch, view, write, old, documentKey, in: transaction)
                }
            if !isThere { try self.write(scratch, view, write, nil, documentKey, in: transaction) }
        }
        return assigned
    }

    /// Writes the fields that the encoder has to where the record `old` is.
    func write(
        _ scratch: WriteScratch, _ write: DocumentWrite, _ old: UnsafeRawBufferPointer,
        _ documentKey: UnsafeRawBufferPointer, in transaction: StoreTransaction
    ) throws {
        try checkMigrated(for: write)
        try self.write(scratch, RecordView(fields: scratch.encoder.fields), write, old, documentKey, in: transaction)
    }

    /// - Parameter old: the record that is there now.
    private func write(
        _ scratch: WriteScratch, _ fields: RecordView, _ write: DocumentWrite, _ old: UnsafeRawBufferPointer?,
        _ documentKey: UnsafeRawBufferPointer, in transaction: StoreTransaction
    ) throws {
        let key = UnsafeRawBufferPointer(rebasing: documentKey[Self.documentPrefix.count...])
        do {
            let old = try old.map { try RecordView($0) }
            let oldHeader = old?.header
            try check(write, oldHeader, key)
            let schemaVersion = write.keepsSchemaVersion ? oldHeader?.schemaVersion : nil
            var view = fields
            view.header = RecordHeader(
                version: (oldHeader?.version ?? 0) &+ 1, schemaVersion: schemaVersion ?? schema.version,
                expiry: try expiry(of: view, write, oldHeader, transaction))
            try checkRules(view, key)
            try checkReferences(view, old: old, key, in: transaction)
            if let oldHeader { try checkShortened(oldHeader, view.header, key, in: transaction) }
            try collectEntries(of: view, old: old, key, into: scratch, in: transaction)
            let expiry: Expiry = view.header.expiry == 0 ? .never : .at(milliseconds: view.header.expiry)
            let record = scratch.encoder.record(view.header)
            writeEntries(
                scratch, record, key, expiry, isSameExpiry: oldHeader?.expiry == view.header.expiry, in: transaction)
            transaction.put(documentKey, record, in: keyspace, expiry: expiry)
        } catch let damage as RecordDamage {
            throw self.damage(damage, key: key)
        } catch var violation as StoreError where violation.collection == nil {
            violation.collection = name.description
            violation.key = violation.key ?? Self.shown(key)
            throw violation
        }
    }

    /// While documents are of older versions, only those who have the migrations may write: a document that is written
    /// counts as migrated.
    private func checkMigrated(for write: DocumentWrite) throws(StoreError) {
        guard isMigrationPending, !write.isMigration, !write.keepsSchemaVersion else { return }
        throw error(
            .definitionMismatch,
            "has documents to be migrated to version \(schema.version): open it with the schema that has the migrations"
        )
    }

    /// Gives the document a new key if it asks for one.
    private func assignKey(_ encoder: RecordEncoder) throws -> DocumentID? {
        let view = RecordView(fields: encoder.fields)
        guard let value = try view.value(at: keyPath), value.tag == RecordTag.id, value.idValue == .automatic else {
            return nil
        }
        let id = newID()
        encoder.replace(value, by: id)
        return id
    }

    func newID() -> DocumentID { DocumentID(environment: store.database.environment) }

    private func check(_ write: DocumentWrite, _ old: RecordHeader?, _ key: UnsafeRawBufferPointer) throws(StoreError) {
        switch (write.mode, old) {
        case (.insert, .some):
            throw violation(
                of: .primaryKey, "there is a document with this key already", field: schema.key.description,
                key: Self.shown(key))
        case (.update, nil): throw notFound(key)
        default: break
        }
        if let expected = write.expectedVersion, expected != old?.version ?? 0 {
            throw error(
                .versionConflict, "the document has version \(old?.version ?? 0), not \(expected)",
                key: Self.shown(key))
        }
    }

    func notFound(_ key: some Collection<UInt8>) -> StoreError {
        error(.notFound, "there is no such document", key: Self.shown(key))
    }

    // MARK: Expiry

    private func expiry(
        of view: RecordView, _ write: DocumentWrite, _ old: RecordHeader?, _ transaction: StoreTransaction
    ) throws -> UInt64 {
        if write.keepsExpiry, let old { return old.expiry }
        switch write.expiry {
        case .never: return 0
        case .at(let milliseconds): return max(1, milliseconds)
        case .after(let duration):
            return transaction.time.saturatingAdd(UInt64(max(1, duration.saturatedMilliseconds)))
        case .automatic: break
        }
        if let expiryPath, case .date(let milliseconds) = try view.scalar(at: expiryPath) {
            return UInt64(max(1, milliseconds))
        }
        return schema.timeToLive.map { transaction.time.saturatingAdd($0) } ?? 0
    }

    /// A document that others refer to must not vanish by itself before they do.
    private func checkShortened(
        _ old: RecordHeader, _ new: RecordHeader, _ key: UnsafeRawBufferPointer, in transaction: StoreTransaction
    ) throws {
        guard new.expiry != 0, old.expiry == 0 || new.expiry < old.expiry else { return }
        for (collection, reference) in try referrers() {
            let keys = try collection.referrers(to: [UInt8](key), by: reference, limit: 2, in: transaction)
            if keys.allSatisfy({ collection === self && $0.elementsEqual(key) }) { continue }
            throw violation(
                of: .restriction,
                "the document cannot expire earlier while documents of \(collection.name) refer to it",
                key: Self.shown(key))
        }
    }

    // MARK: Rules

    func checkRules(_ view: RecordView, _ key: UnsafeRawBufferPointer) throws {
        for check in checks where try !check.condition.holds(view) {
            throw violation(of: .check, "the check \"\(check.name)\" fails", key: Self.shown(key))
        }
    }

    func checkReferences(
        _ view: RecordView, old: RecordView?, _ key: UnsafeRawBufferPointer, in reader: any StoreReader
    ) throws {
        for reference in references {
            let value = try view.scalar(at: reference.path)
            if case .null = value { continue }
            if let old, old.header.expiry == view.header.expiry, try old.scalar(at: reference.path).isEqual(value) {
                continue
            }
            guard let target = try reference.targetKey(value) else { continue }
            // A document may refer to itself.
            let isItself =
                reference.targetKeyspace.name == keyspace.name
                && target.dropFirst(Self.documentPrefix.count).elementsEqual(key)
            if isItself { continue }
            var expiry: UInt64?
            _ = try reader.lookUp(target, in: reference.targetKeyspace) { expiry = try RecordView($0).header.expiry }
            var targetKey: String { Self.shown(target.dropFirst(Self.documentPrefix.count)) }
            guard let expiry else {
                throw violation(
                    of: .reference, "refers to \(targetKey) of \(reference.definition.target), which does not exist",
                    field: reference.definition.path.description, key: Self.shown(key))
            }
            if expiry != 0, view.header.expiry == 0 || view.header.expiry > expiry {
                throw violation(
                    of: .reference,
                    "refers to \(targetKey) of \(reference.definition.target), which expires before this document",
                    field: reference.definition.path.description, key: Self.shown(key))
            }
        }
    }

    // MARK: Indexes

    /// Finds the entries that the document has, and those that the one had that it replaces, and asks the unique indexes.
    private func collectEntries(
        of view: RecordView, old: RecordView?, _ key: UnsafeRawBufferPointer, into scratch: WriteScratch,
        in transaction: StoreTransaction
    ) throws {
        let indexes = indexes
        scratch.indexes = indexes
        scratch.new.removeAll()
        scratch.old.removeAll()
        let isSameExpiry = old?.header.expiry == view.header.expiry
        for (position, index) in indexes.enumerated() {
            if let old {
                if isSameExpiry, try index.isPlainlyUnchanged(from: old, to: view, key: key) { continue }
                try index.collectExisting(into: &scratch.old, of: old, key: key, position: position)
            }
            try index.collect(into: &scratch.new, of: view, key: key, position: position)
        }
        try scratch.new.visit { entry, entryKey in
            guard entry.isUnique else { return }
            // What the document had already it need not ask for.
            if indexes[entry.index].isReady, scratch.old.contains(entryKey, of: entry.index) { return }
            try checkUnique(indexes[entry.index], entryKey, key, in: transaction)
        }
        try dropForeign(&scratch.old, indexes, key, in: transaction)
    }

    /// As long as a unique index is not complete, several documents may have the values of one of its entries, and the
    /// entry belongs to one of them: the others must not take it away.
    private func dropForeign(
        _ entries: inout IndexEntries, from first: Int = 0, _ indexes: [DocumentIndex], _ key: UnsafeRawBufferPointer,
        in transaction: StoreTransaction
    ) throws {
        guard indexes.contains(where: { $0.definition.isUnique && !$0.isReady }) else { return }
        try entries.filter(from: first) { entry, entryKey in
            guard entry.isUnique, !indexes[entry.index].isReady else { return true }
            return try owner(of: entryKey, besides: key, in: transaction) == nil
        }
    }

    private func writeEntries(
        _ scratch: WriteScratch, _ record: UnsafeRawBufferPointer, _ key: UnsafeRawBufferPointer, _ expiry: Expiry,
        isSameExpiry: Bool, in transaction: StoreTransaction
    ) {
        let hasOld = !scratch.old.list.isEmpty
        if hasOld {
            scratch.old.visit { entry, entryKey in
                if !scratch.new.contains(entryKey, of: entry.index) { transaction.delete(entryKey, in: keyspace) }
            }
        }
        scratch.new.visit { entry, entryKey in
            let index = scratch.indexes[entry.index]
            // What stays as it is need not be written, unless the entry holds more than its key, or the index is being
            // built and may not have it yet.
            if hasOld, isSameExpiry, index.isReady, !index.definition.isCovering,
                scratch.old.contains(entryKey, of: entry.index)
            {
                return
            }
            scratch.value.removeAll(keepingCapacity: true)
            index.append(valueOf: entry, key: key, record: record, to: &scratch.value)
            transaction.put(entryKey, scratch.value, in: keyspace, expiry: expiry)
        }
    }

    /// Throws if another document has the entry.
    func checkUnique(
        _ index: DocumentIndex, _ entry: UnsafeRawBufferPointer, _ key: UnsafeRawBufferPointer,
        in transaction: StoreTransaction
    ) throws {
        guard let other = try owner(of: entry, besides: key, in: transaction) else { return }
        throw violation(
            of: .unique,
            "the document \(Self.shown(other)) has the same values in the index "
                + "\"\(index.definition.name)\"", field: index.definition.components[0].path.description,
            key: Self.shown(key))
    }

    /// The primary key of the document that an entry belongs to, if it is another one than `key`.
    private func owner(
        of entry: UnsafeRawBufferPointer, besides key: UnsafeRawBufferPointer, in transaction: StoreTransaction
    ) throws -> [UInt8]? {
        var other: [UInt8]?
        _ = try transaction.lookUp(entry, in: keyspace) { value in
            let owner = try DocumentIndex.parse(entry, value).key
            if !owner.elementsEqual(key) { other = [UInt8](owner) }
        }
        return other
    }

    /// Adds the entries of a document that is stored, as far as they are its own.
    func collectExisting(
        of view: RecordView, key: UnsafeRawBufferPointer, into scratch: WriteScratch, in transaction: StoreTransaction
    ) throws {
        let first = scratch.old.list.count
        for (position, index) in scratch.indexes.enumerated() {
            try index.collectExisting(into: &scratch.old, of: view, key: key, position: position)
        }
        try dropForeign(&scratch.old, from: first, scratch.indexes, key, in: transaction)
    }
}

extension UInt64 {
    func saturatingAdd(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
