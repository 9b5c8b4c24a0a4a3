// Deleting a document and what its references demand: a list of work instead of recursion, so that no chain of
// documents is too long for the stack.

import Apus

extension DocumentCollection {
    /// Deletes the document with that primary key (encoded), and what refers to it as its references say. False if
    /// there is none. If a reference forbids it, nothing has changed.
    func delete(
        _ key: [UInt8], expecting version: UInt64? = nil, in transaction: StoreTransaction
    ) throws -> Bool {
        let documentKey = Self.documentPrefix + key
        guard let record = try transaction.get(documentKey, in: keyspace) else {
            if version != nil { throw notFound(key) }
            return false
        }
        if let version {
            let found = try header(of: record, key).version
            guard found == version else {
                throw error(
                    .versionConflict, "the document has version \(found), not \(version)", key: Self.shown(key))
            }
        }
        if try referrers().isEmpty {
            try remove(key, record, in: transaction)
            return true
        }
        let savepoint = transaction.savepoint()
        do {
            var work: [(collection: DocumentCollection, key: [UInt8])] = [(self, key)]
            // Asked at the end, so that what the deletion takes along is no obstacle, in whatever order it goes.
            var restrictions: [Restriction] = []
            while let next = work.popLast() {
                guard let record = try transaction.get(Self.documentPrefix + next.key, in: next.collection.keyspace)
                else { continue }
                // The document goes first, so that a cycle of references ends.
                try next.collection.remove(next.key, record, in: transaction)
                for (collection, reference) in try next.collection.referrers() {
                    if reference.action == .restrict {
                        restrictions.append(
                            Restriction(
                                target: next.collection, key: next.key, source: collection, reference: reference))
                        continue
                    }
                    let keys = try collection.referrers(to: next.key, by: reference, in: transaction)
                    if reference.action == .cascade {
                        work += keys.map { (collection, $0) }
                    } else {
                        for key in keys { try collection.setNull(reference.path, key, in: transaction) }
                    }
                }
            }
            for restriction in restrictions { try restriction.check(in: transaction) }
        } catch {
            try transaction.rollBack(to: savepoint)
            throw error
        }
        return true
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

    private func header(of record: [UInt8], _ key: [UInt8]) throws -> RecordHeader {
        do throws(RecordDamage) {
            return try Self.header(record)
        } catch {
            throw key.withUnsafeBytes { damage(error, key: $0) }
        }
    }

    private func remove(_ key: [UInt8], _ record: [UInt8], in transaction: StoreTransaction) throws {
        try key.withUnsafeBytes { key in
            do {
                try record.withUnsafeBytes { record in
                    try deleteEntries(of: try RecordView(record), key: key, in: transaction)
                }
            } catch let damage as RecordDamage {
                throw self.damage(damage, key: key)
            }
        }
        transaction.delete(Self.documentPrefix + key, in: keyspace)
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
