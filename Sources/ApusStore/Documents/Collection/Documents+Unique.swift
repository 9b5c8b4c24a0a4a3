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
        try collection.read(by: FieldPath(field), JSONValue(scalar: value), in: reader) { view, names in
            try RecordDecoder.decode(Root.self, from: view, names: names)
        }
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
        try collection.read(by: field, value, in: reader) { try JSONValue(fields: $0.fields, names: $1) }
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
    func read<Result>(
        by field: FieldPath, _ value: JSONValue, in reader: (any StoreReader)?,
        _ body: (RecordView, FieldNameTable) throws -> Result
    ) throws -> Result? {
        let index = try indexes(for: reader).first { index in
            index.definition.isUnique && index.isReady && index.definition.condition == .always
                && index.definition.components.count == 1 && index.definition.components[0].path == field
        }
        guard let index else {
            throw error(.invalidQuery, "there is no unique index of this field alone", field: field.description)
        }
        let component = index.definition.components[0]
        var writer = KeyWriter(index.prefix)
        let converted = value.converted(to: component.kind) ?? value
        guard !converted.isNull,
            converted.withScalar({ writer.append($0, component.kind, descending: component.isDescending) })
        else { return nil }
        let entry = writer.bytes
        guard let reader, !(reader is Store) else { return try readLatest(entry, of: index, body) }
        return try read(entry, in: reader, body)
    }

    private func read<Result>(
        _ entry: [UInt8], in reader: some StoreReader, _ body: (RecordView, FieldNameTable) throws -> Result
    ) throws -> Result? {
        guard let documentKey = try documentKey(behind: entry, in: reader) else { return nil }
        return try reader.withValue(for: documentKey, in: keyspace) { value in
            try value.withUnsafeBytes { try decode($0, documentKey, body) }
        }
    }

    /// Entry and document are read one after the other, without a snapshot. Between the two the document may have
    /// changed: then it is not the one any more, and it is asked again.
    private func readLatest<Result>(
        _ entry: [UInt8], of index: DocumentIndex, _ body: (RecordView, FieldNameTable) throws -> Result
    ) throws -> Result? {
        for _ in 0..<Self.attemptLimit {
            let sequence = store.database.sequence
            guard let documentKey = try documentKey(behind: entry, in: store) else { return nil }
            let result = try keyspace.withValue(for: documentKey) { value -> Result? in
                try value.withUnsafeBytes { bytes in
                    try decode(bytes, documentKey) { view, names in
                        // Nothing at all has been written in between.
                        if store.database.sequence == sequence { return try body(view, names) }
                        let key = UnsafeRawBufferPointer(start: nil, count: 0)
                        var entries = IndexEntries()
                        try index.collectExisting(into: &entries, of: view, key: key)
                        let isStillIt = entry.withUnsafeBytes { entries.contains($0, of: 0) }
                        return isStillIt ? try body(view, names) : nil
                    }
                }
            }
            if let result = result ?? nil { return result }
        }
        throw error(.corruption, "the index \"\(index.definition.name)\" has an entry that no document has")
    }

    /// So often nobody changes a document between two look-ups: the entry is a stray one.
    private static let attemptLimit = 1000

    private func documentKey(behind entry: [UInt8], in reader: some StoreReader) throws -> [UInt8]? {
        try reader.withValue(for: entry, in: keyspace) { value in
            try value.withUnsafeBytes { value in
                try entry.withUnsafeBytes { entry in
                    do throws(RecordDamage) {
                        return Self.documentPrefix + (try DocumentIndex.parse(entry, value).key)
                    } catch {
                        throw self.error(.corruption, error.what)
                    }
                }
            }
        }
    }

    private func decode<Result>(
        _ record: UnsafeRawBufferPointer, _ documentKey: [UInt8],
        _ body: (RecordView, FieldNameTable) throws -> Result
    ) throws -> Result {
        do {
            return try body(try RecordView(record), names.current)
        } catch let damage as RecordDamage {
            throw error(.corruption, damage.what, key: Self.shown(documentKey.dropFirst(Self.documentPrefix.count)))
        }
    }
}
