// Reading by a unique field: two look-ups, and none of what a query has to think about first.

import Apus

extension Documents {
    /// The document whose field has that value; nil if there is none: `users.get(by: \.email, "ada@example.org")`.
    ///
    /// - Throws: `StoreError` with `invalidQuery` if the schema has no `unique(\.field)`, of that field alone and without
    ///   a condition, or its index is not ready: without one, several documents may have the value.
    public func get<Value: Encodable>(
        by field: KeyPath<Root, Value>, _ value: Value, in reader: (any StoreReader)? = nil
    ) throws -> Root? {
        var document: Root?
        try collection.read(by: FieldPath(field), JSONValue(scalar: value), in: reader) { view in
            document = try RecordDecoder.decode(Root.self, from: view, names: collection.names.current)
        }
        return document
    }

    /// See the synchronous form.
    public func get<Value: Encodable & Sendable>(
        by field: any KeyPath<Root, Value> & Sendable, _ value: Value, in snapshot: StoreSnapshot? = nil
    ) async throws -> Root? {
        try await store.onWorker { try get(by: field, value, in: snapshot) }
    }
}

extension JSONDocuments {
    /// The same by the name of a field.
    public func get(by field: FieldPath, _ value: JSONValue, in reader: (any StoreReader)? = nil) throws -> JSONValue? {
        var document: JSONValue?
        try collection.read(by: field, value, in: reader) { view in
            document = try JSONValue(fields: view.fields, names: collection.names.current)
        }
        return document
    }

    /// See the synchronous form.
    public func get(
        by field: FieldPath, _ value: JSONValue, in snapshot: StoreSnapshot? = nil
    ) async throws -> JSONValue? {
        try await store.onWorker { try get(by: field, value, in: snapshot) }
    }
}

extension DocumentCollection {
    /// Calls `body` with the document that has that value of a unique field.
    /// - Returns: whether there is one.
    @discardableResult
    func read(
        by field: FieldPath, _ value: JSONValue, in reader: (any StoreReader)?, _ body: (RecordView) throws -> Void
    ) throws -> Bool {
        guard let index = try uniqueIndex(of: field, for: reader) else {
            throw error(.invalidQuery, "there is no unique index of this field alone", field: field.description)
        }
        let component = index.definition.components[0]
        var writer = KeyWriter(reservingCapacity: 96)
        writer.append(encoded: index.prefix)
        let converted = value.converted(to: component.kind) ?? value
        guard !converted.isNull,
            converted.withScalar({ writer.append($0, component.kind, descending: component.isDescending) })
        else { return false }
        let entry = writer.bytes
        guard let reader, !(reader is Store) else { return try readLatest(entry, of: index, body) }
        guard let documentKey = try documentKey(behind: entry, in: reader) else { return false }
        return try reader.lookUp(documentKey, in: keyspace) { try view($0, documentKey, body) }
    }

    /// Entry and document are read one after the other, without a snapshot. Between the two the document may have
    /// changed: then it is not the one any more, and it is asked again.
    private func readLatest(
        _ entry: [UInt8], of index: DocumentIndex, _ body: (RecordView) throws -> Void
    ) throws -> Bool {
        for _ in 0..<Self.attemptLimit {
            let sequence = store.database.sequence
            guard let documentKey = try documentKey(behind: entry, in: store) else { return false }
            var isFound = false
            _ = try store.lookUp(documentKey, in: keyspace) { bytes in
                try view(bytes, documentKey) { view in
                    // It cannot be another one if nothing at all has been written in between.
                    if store.database.sequence != sequence {
                        let key = UnsafeRawBufferPointer(start: nil, count: 0)
                        var entries = IndexEntries()
                        try index.collectExisting(into: &entries, of: view, key: key)
                        guard entry.withUnsafeBytes({ entries.contains($0, of: 0) }) else { return }
                    }
                    isFound = true
                    try body(view)
                }
            }
            if isFound { return true }
        }
        throw error(.corruption, "the index \"\(index.definition.name)\" has an entry that no document has")
    }

    /// So often nobody changes a document between two look-ups: the entry is a stray one.
    private static let attemptLimit = 1000

    private func documentKey(behind entry: [UInt8], in reader: any StoreReader) throws -> [UInt8]? {
        var documentKey: [UInt8]?
        _ = try reader.lookUp(entry, in: keyspace) { value in
            try entry.withUnsafeBytes { entry in
                do throws(RecordDamage) {
                    documentKey = Self.documentKey(try DocumentIndex.parse(entry, value).key)
                } catch {
                    throw self.error(.corruption, error.what)
                }
            }
        }
        return documentKey
    }

    private func view(
        _ record: UnsafeRawBufferPointer, _ documentKey: [UInt8], _ body: (RecordView) throws -> Void
    ) throws {
        do {
            try body(try RecordView(record))
        } catch let damage as RecordDamage {
            throw error(.corruption, damage.what, key: Self.shown(documentKey.dropFirst(Self.documentPrefix.count)))
        }
    }
}
