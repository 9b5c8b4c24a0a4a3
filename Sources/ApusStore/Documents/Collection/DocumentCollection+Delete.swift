// Deleting a document and what its references demand: a list of work instead of recursion, so that no chain of
// documents is too long for the stack.

import Apus

extension DocumentCollection {
    /// Deletes the document with that primary key (encoded), and what refers to it as its references say. False if
    /// there is none. If a reference forbids it, nothing has changed.
    func delete(
        _ key: [UInt8], expecting version: UInt64? = nil, in transaction: StoreTransaction
    ) throws -> Bool {
        if let version {
            let found = try self.version(of: key, in: transaction)
            guard let found else { throw notFound(key) }
            guard found == version else {
                throw error(
                    .versionConflict, "the document has version \(found), not \(version)", key: Self.shown(key))
            }
        }
        if try referrers().isEmpty { return try !remove([key], in: transaction).isEmpty }
        let savepoint = transaction.savepoint()
        do {
            return try cascade(from: key, in: transaction)
        } catch {
            try transaction.rollBack(to: savepoint)
            throw error
        }
    }

    private func version(of key: [UInt8], in transaction: StoreTransaction) throws -> UInt64? {
        var version: UInt64?
        _ = try transaction.lookUp(Self.documentPrefix + key, in: keyspace) { record in
            do throws(RecordDamage) {
                version = try RecordView(record).header.version
            } catch {
                throw key.withUnsafeBytes { damage(error, key: $0) }
            }
        }
        return version
    }

    /// Documents of one collection that are to be deleted.
    private struct Work {
        var collection: DocumentCollection
        var keys: ArraySlice<[UInt8]>
    }

    /// So many documents are looked up at a time: their lookups overlap.
    private static let groupLimit = 256

    /// - Returns: false if there is no such document.
    private func cascade(from key: [UInt8], in transaction: StoreTransaction) throws -> Bool {
        var isThere = false
        var work = [Work(collection: self, keys: [key])]
        // Asked at the end, so that what the deletion takes along is no obstacle, in whatever order it goes.
        var restrictions: [Restriction] = []
        while !work.isEmpty {
            let collection = work[work.count - 1].collection
            let group = work[work.count - 1].keys.prefix(Self.groupLimit)
            work[work.count - 1].keys.removeFirst(group.count)
            if work[work.count - 1].keys.isEmpty { work.removeLast() }
            // The documents go first, so that a cycle of references ends.
            let removed = try collection.remove(group, in: transaction)
            if !removed.isEmpty { isThere = true }
            for (source, reference) in try collection.referrers() {
                for key in removed {
                    if reference.action == .restrict {
                        restrictions.append(
                            Restriction(target: collection, key: key, source: source, reference: reference))
                        continue
                    }
                    let keys = try source.referrers(to: key, by: reference, in: transaction)
                    if reference.action != .cascade {
                        for key in keys { try source.setNull(reference.path, key, in: transaction) }
                    } else if !keys.isEmpty {
                        work.append(Work(collection: source, keys: keys[...]))
                    }
                }
            }
        }
        for restriction in restrictions { try restriction.check(in: transaction) }
        return isThere
    }

    /// Removes documents and their entries: all of them are read before the first is deleted, so that the transaction
    /// need not look among what it has just written.
    /// - Returns: the keys of those that were there.
    private func remove(_ keys: ArraySlice<[UInt8]>, in transaction: StoreTransaction) throws -> [[UInt8]] {
        var removed: [[UInt8]] = []
        removed.reserveCapacity(keys.count)
        var documentKeys = DocumentGroupKeys()
        for key in keys { key.withUnsafeBytes { documentKeys.append($0) } }
        try withScratch { scratch in
            scratch.indexes = indexes
            scratch.old.removeAll()
            try documentKeys.withKeys { documentKeys in
                _ = try transaction.lookUp(documentKeys, in: keyspace) { number, record in
                    guard let record else { return .next }
                    try collectEntries(of: record, documentKeys[number], into: scratch, in: transaction)
                    removed.append(keys[keys.startIndex + number])
                    return .next
                }
            }
            // Index by index: what lies side by side is written one after the other.
            for position in scratch.indexes.indices {
                scratch.old.visit { entry, key in
                    if entry.index == position { transaction.delete(key, in: keyspace) }
                }
            }
        }
        for key in removed {
            key.withUnsafeBytes { key in
                Self.withDocumentKey(key) { transaction.delete($0, in: keyspace) }
            }
        }
        return removed
    }

    /// Adds the entries of a document that is to go.
    private func collectEntries(
        of record: UnsafeRawBufferPointer, _ documentKey: UnsafeRawBufferPointer, into scratch: WriteScratch,
        in transaction: StoreTransaction
    ) throws {
        let key = UnsafeRawBufferPointer(rebasing: documentKey[Self.documentPrefix.count...])
        do {
            try collectExisting(of: try RecordView(record), key: key, into: scratch, in: transaction)
        } catch let damage as RecordDamage {
            throw self.damage(damage, key: key)
        }
    }

    /// A document that is gone only if nobody refers to it.
    private struct Restriction {
        var target: DocumentCollection
        var key: [UInt8]
        var source: DocumentCollection
        var reference: ReferenceDefinition

        func check(in transaction: StoreTransaction) throws {
            let first = try source.referrers(to: key, by: reference, limit: 1, in: transaction).first
            guard let first else { return }
            throw target.violation(
                of: .restriction, "the document \(DocumentCollection.shown(first)) of \(source.name) refers to it",
                field: reference.path.description, key: DocumentCollection.shown(key))
        }
    }

    /// A document of which only one field changes, and that to null.
    private func setNull(_ path: FieldPath, _ key: [UInt8], in transaction: StoreTransaction) throws {
        guard var document = try value(of: key, in: transaction) else { return }
        document.setValue(.null, at: path)
        let write = DocumentWrite(mode: .update, keepsExpiry: true, keepsSchemaVersion: true)
        _ = try self.write(document, write, in: transaction)
    }

    /// The document as JSON.
    func value(of key: [UInt8], in reader: any StoreReader) throws -> JSONValue? {
        var document: JSONValue?
        _ = try reader.lookUp(Self.documentPrefix + key, in: keyspace) { bytes in
            do {
                document = try JSONValue(fields: RecordView(bytes).fields, names: names.current)
            } catch let damage as RecordDamage {
                throw key.withUnsafeBytes { self.damage(damage, key: $0) }
            }
        }
        return document
    }

    // MARK: Who refers to a document

    /// The range of an index that has the documents of this collection whose reference is `key`.
    private func range(to key: some Collection<UInt8>, by reference: ReferenceDefinition) throws -> KeyRange? {
        let index = indexes.first { index in
            index.isReady && index.definition.condition == .always && !index.definition.isUnique
                && index.definition.components[0].path == reference.path && !index.definition.components[0].isEach
        }
        guard let index else { return nil }
        var writer = KeyWriter()
        writer.append(encoded: index.prefix)
        // The key of the other collection holds the value in its own kind; here it has that of this field.
        let component = index.definition.components[0]
        let elements = try KeyCoder.decode(Array(key))
        let value = JSONValue(keyElements: elements).flatMap { $0.converted(to: component.kind) }
        guard let value, value.withScalar({ writer.append($0, component.kind, descending: component.isDescending) })
        else { return KeyRange(lower: [0], upper: [0]) }
        return .prefix(writer.bytes)
    }

    /// The keys of the documents that refer to `key`.
    func referrers(
        to key: [UInt8], by reference: ReferenceDefinition, limit: Int = .max, in reader: any StoreReader
    ) throws -> [[UInt8]] {
        var keys: [[UInt8]] = []
        if let range = try range(to: key, by: reference) {
            try reader.scan(range, in: keyspace, reversed: false, limit: limit) { entry, value in
                try entry.withUnsafeBytes { entry in
                    try value.withUnsafeBytes { value in keys.append([UInt8](try DocumentIndex.parse(entry, value).key))
                    }
                }
                return .next
            }
            return keys
        }
        // The index is still being built: every document is looked at.
        let path = names.current.resolve(reference.path)
        guard let wanted = JSONValue(keyElements: try KeyCoder.decode(key)) else { return [] }
        try reader.scan(Self.documentRange, in: keyspace, reversed: false, limit: .max) { entry, value in
            let refers = try value.withUnsafeBytes { value in
                let found = try RecordView(value).scalar(at: path)
                return wanted.withScalar { found.isEqual($0) }
            }
            if refers {
                keys.append(entry.withUnsafeBytes { [UInt8]($0.dropFirst(Self.documentPrefix.count)) })
                if keys.count == limit { return .stop }
            }
            return .next
        }
        return keys
    }
}

extension JSONValue {
    /// The value that a decoded key or component stands for; nil if it is none.
    init?(keyElements elements: [KeyElement]) {
        guard let first = elements.first else { return nil }
        switch first {
        case .descending(let element): self.init(keyElements: [element] + elements.dropFirst())
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .integer(let value): self = .integer(value)
        case .unsigned(let value): self = .unsigned(value)
        case .double(let value):
            // Numbers of fields that hold integers and fractions alike are pairs.
            guard elements.count > 1, case .integer(let rest) = elements[1] else {
                self = .double(value)
                return
            }
            guard value.magnitude < 0x1p65, rest != 0 || Int64(exactly: value) != nil else {
                self = .double(value)
                return
            }
            self = JSONValue(Int128(value) + Int128(rest))
        case .date(let milliseconds): self = .date(Timestamp(milliseconds: milliseconds))
        case .uuid(let value): self = .id(DocumentID(value))
        case .bytes(let content): self = .bytes(content)
        case .string(let text): self = .string(text)
        case .tuple: return nil
        }
    }

    /// Sets the value at a path of names.
    mutating func setValue(_ value: JSONValue, at path: FieldPath) {
        setValue(value, at: path.names[...])
    }

    private mutating func setValue(_ value: JSONValue, at names: ArraySlice<String>) {
        guard let first = names.first else {
            self = value
            return
        }
        if names.count == 1 {
            self[first] = value
        } else {
            var inner = self[first] ?? .object([:])
            inner.setValue(value, at: names.dropFirst())
            self[first] = inner
        }
    }
}
