// Writing one document in a transaction: everything that can be wrong is found before the first change, so a violation
// leaves the transaction as it was.
//
// 1. The document is encoded, its key found (or made), and the document that it replaces read.
// 2. Checks, references and unique indexes are asked.
// 3. Index entries that the old document had and the new one has not are deleted, the others written, and the record.

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
    /// The document is brought to this version of the schema; that of the collection if nil.
    var schemaVersion: UInt64?
    /// A migration or a reference that becomes null is no new content: what the document did not satisfy before is not
    /// held against it.
    var keepsExpiry = false
}

extension DocumentCollection {
    /// Writes a document and returns its key.
    func write(
        _ document: some Encodable, _ write: DocumentWrite, in transaction: StoreTransaction
    ) throws -> JSONValue {
        try withEncoder { encoder in
            do {
                try encoder.encode(document)
            } catch let EncodingError.invalidValue(_, context) {
                throw error(.invalidArgument, context.debugDescription)
            }
            return try self.write(encoder, write, in: transaction)
        }
    }

    private func write(
        _ encoder: RecordEncoder, _ write: DocumentWrite, in transaction: StoreTransaction
    ) throws -> JSONValue {
        let isNew = try assignKey(encoder)
        var view = RecordView(fields: encoder.fields)
        guard let rawKey = try view.value(at: keyPath), !rawKey.isNull else {
            throw error(.invalidArgument, "the document has no key", field: schema.key.description)
        }
        let keyValue = JSONValue(scalar: rawKey)
        let documentKey = try documentKey(keyValue)
        let old = isNew ? nil : try transaction.get(documentKey, in: keyspace)
        return try documentKey.withUnsafeBytes { documentKey in
            let key = UnsafeRawBufferPointer(rebasing: documentKey[Self.documentPrefix.count...])
            do {
                let oldHeader = try old.map { try Self.header($0) }
                try check(write, oldHeader, key)
                view.header = RecordHeader(
                    version: (oldHeader?.version ?? 0) + 1, schemaVersion: write.schemaVersion ?? schema.version,
                    expiry: try expiry(of: view, write, oldHeader, transaction))
                try checkRules(view, key)
                try checkReferences(view, old: old, key, in: transaction)
                if let oldHeader { try checkShortened(oldHeader, view.header, key, in: transaction) }
                let expiry: Expiry = view.header.expiry == 0 ? .never : .at(milliseconds: view.header.expiry)
                let record = encoder.record(view.header)
                try writeEntries(of: view, record, old: old, key, expiry, in: transaction)
                transaction.put(documentKey, record, in: keyspace, expiry: expiry)
            } catch let damage as RecordDamage {
                throw self.damage(damage, key: key)
            } catch var violation as StoreError where violation.collection == nil {
                violation.collection = name.description
                violation.key = violation.key ?? Self.shown(key)
                throw violation
            }
            return keyValue
        }
    }

    /// Gives the document a new key if it asks for one.
    private func assignKey(_ encoder: RecordEncoder) throws -> Bool {
        let view = RecordView(fields: encoder.fields)
        guard let value = try view.value(at: keyPath), value.tag == RecordTag.id, value.idValue == .automatic else {
            return false
        }
        encoder.replace(value, by: newID())
        return true
    }

    func newID() -> DocumentID { DocumentID(environment: store.database.environment) }

    static func header(_ record: [UInt8]) throws(RecordDamage) -> RecordHeader {
        try record.withBytes { (bytes) throws(RecordDamage) in try RecordView(bytes).header }
    }

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
            let milliseconds = duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000
            return transaction.time.saturatingAdd(milliseconds > 0 ? UInt64(milliseconds) : 1)
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

    private func checkReferences(
        _ view: RecordView, old: [UInt8]?, _ key: UnsafeRawBufferPointer, in transaction: StoreTransaction
    ) throws {
        for reference in references {
            let value = try view.scalar(at: reference.path)
            if case .null = value { continue }
            let isUnchanged = try old?.withUnsafeBytes { bytes in
                let old = try RecordView(bytes)
                return try old.header.expiry == view.header.expiry && old.scalar(at: reference.path).isEqual(value)
            }
            if isUnchanged == true { continue }
            guard let target = try reference.targetKey(value) else { continue }
            // A document may refer to itself.
            let isItself =
                reference.targetKeyspace.name == keyspace.name
                && target.dropFirst(Self.documentPrefix.count).elementsEqual(key)
            if isItself { continue }
            let expiry = try transaction.withValue(for: target, in: reference.targetKeyspace) { value in
                try value.withUnsafeBytes { try RecordView($0).header.expiry }
            }
            let targetKey = Self.shown(target.dropFirst(Self.documentPrefix.count))
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

    private struct Entry: Hashable {
        var key: [UInt8]
        var keyOffset: Int
        var isUnique: Bool
    }

    private func writeEntries(
        of view: RecordView, _ record: UnsafeRawBufferPointer, old: [UInt8]?, _ key: UnsafeRawBufferPointer,
        _ expiry: Expiry, in transaction: StoreTransaction
    ) throws {
        let indexes = indexes
        for index in indexes where index.definition.isUnique {
            try index.forEachEntry(of: view, key: key) { entry, _, isUnique in
                if isUnique { try checkUnique(index, entry, key, in: transaction) }
            }
        }
        guard let old else {
            for index in indexes {
                try index.forEachEntry(of: view, key: key) { entry, keyOffset, isUnique in
                    let value = index.value(keyOffset: keyOffset, isUnique: isUnique, key: key, record: record)
                    transaction.put(entry, value, in: keyspace, expiry: expiry)
                }
            }
            return
        }
        for index in indexes {
            try replaceEntries(index, of: view, record, old: old, key, expiry, in: transaction)
        }
    }

    private func replaceEntries(
        _ index: DocumentIndex, of view: RecordView, _ record: UnsafeRawBufferPointer, old: [UInt8],
        _ key: UnsafeRawBufferPointer, _ expiry: Expiry, in transaction: StoreTransaction
    ) throws {
        var oldEntries: [Entry] = []
        let oldExpiry = try old.withUnsafeBytes { bytes in
            let oldView = try RecordView(bytes)
            try index.forEachExistingEntry(of: oldView, key: key) { entry, keyOffset, isUnique in
                oldEntries.append(Entry(key: [UInt8](entry), keyOffset: keyOffset, isUnique: isUnique))
            }
            return oldView.header.expiry
        }
        var newEntries: [Entry] = []
        try index.forEachEntry(of: view, key: key) { entry, keyOffset, isUnique in
            newEntries.append(Entry(key: [UInt8](entry), keyOffset: keyOffset, isUnique: isUnique))
        }
        // What stays as it is need not be written, unless the entry holds more than its key, or the index is being
        // built and may not have it yet.
        let isSame = !index.definition.isCovering && oldExpiry == view.header.expiry && index.isReady
        for entry in oldEntries where !newEntries.contains(entry) { transaction.delete(entry.key, in: keyspace) }
        for entry in newEntries where !isSame || !oldEntries.contains(entry) {
            let value = index.value(keyOffset: entry.keyOffset, isUnique: entry.isUnique, key: key, record: record)
            transaction.put(entry.key, value, in: keyspace, expiry: expiry)
        }
    }

    /// Throws if another document has the entry.
    func checkUnique(
        _ index: DocumentIndex, _ entry: UnsafeRawBufferPointer, _ key: UnsafeRawBufferPointer,
        in transaction: StoreTransaction
    ) throws {
        let other = try transaction.withValue(for: entry, in: keyspace) { value -> [UInt8]? in
            try value.withUnsafeBytes { value in
                let owner = try DocumentIndex.parse(entry, value).key
                return owner.elementsEqual(key) ? nil : [UInt8](owner)
            }
        }
        if let other = other ?? nil {
            throw violation(
                of: .unique, "the document \(Self.shown(other)) has the same values in the index "
                    + "\"\(index.definition.name)\"", field: index.definition.components[0].path.description,
                key: Self.shown(key))
        }
    }

    /// Deletes every entry of a document.
    func deleteEntries(of view: RecordView, key: UnsafeRawBufferPointer, in transaction: StoreTransaction) throws {
        for index in indexes {
            try index.forEachExistingEntry(of: view, key: key) { entry, _, _ in
                transaction.delete(entry, in: keyspace)
            }
        }
    }
}

extension UInt64 {
    func saturatingAdd(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
