// Changing one field of a stored document. Most updates change little, and to make a Swift value of all the rest only to
// encode it again would be most of their work: here the stored fields are copied with another value in one place. What
// follows (checks, references, indexes) is what follows every write.

import Apus

extension Documents {
    /// Changes one field of a document where it is stored: `try messages.set(\.tokens, to: 12, of: id)`.
    ///
    /// Does what `update(_:_:)` with a closure does, and costs less, because the rest of the document is not decoded and
    /// encoded again: where `encode(to:)` of the type makes one field of another, change both, or use `update`. The
    /// document keeps its expiry.
    /// - Returns: whether there is a document with that key.
    /// - Throws: `StoreError` with `constraintViolated` if the document breaks a rule of the schema, `invalidArgument` if the
    ///   field is the key.
    @discardableResult
    public func set<Value: Encodable>(
        _ field: WritableKeyPath<Root, Value>, to value: Value, of id: Root.ID, in transaction: StoreTransaction
    ) throws -> Bool {
        if let scalar = try? JSONValue(scalar: value),
            let isThere = try collection.set(
                FieldPath(field), to: scalar, of: id.documentKeyValue, in: transaction)
        {
            return isThere
        }
        return try update(id, in: transaction) { $0[keyPath: field] = value } != nil
    }

    @discardableResult
    public func set<Value: Encodable>(
        _ field: WritableKeyPath<Root, Value>, to value: Value, of id: Root.ID
    ) throws -> Bool {
        try store.transaction { try set(field, to: value, of: id, in: $0) }
    }

    /// See the synchronous form.
    @discardableResult
    public func set<Value: Encodable & Sendable>(
        _ field: any WritableKeyPath<Root, Value> & Sendable, to value: Value, of id: Root.ID
    ) async throws -> Bool {
        try await store.onWorker { try set(field, to: value, of: id) }
    }
}

extension JSONDocuments {
    /// Changes one field of a document, or adds it; see `Documents.set`.
    @discardableResult
    public func set(
        _ field: FieldPath, to value: JSONValue, of key: JSONValue, in transaction: StoreTransaction
    ) throws -> Bool {
        let value = collection.converted(value, of: field)
        if let isThere = try collection.set(field, to: value, of: key, in: transaction) { return isThere }
        return try update(key, in: transaction) { $0.setValue(value, at: field) } != nil
    }

    @discardableResult
    public func set(_ field: FieldPath, to value: JSONValue, of key: JSONValue) throws -> Bool {
        try store.transaction { try set(field, to: value, of: key, in: $0) }
    }

    /// See the synchronous form.
    @discardableResult
    public func set(_ field: FieldPath, to value: JSONValue, of key: JSONValue) async throws -> Bool {
        try await store.onWorker { try set(field, to: value, of: key) }
    }
}

extension DocumentCollection {
    /// Puts a value in the place of the one that a field of a stored document has.
    /// - Returns: whether there is a document with that key; nil if there is, but its field cannot be changed like that:
    ///   it lies inside another one, is not there, or becomes null, which many types write by leaving it out.
    fileprivate func set(
        _ field: FieldPath, to value: JSONValue, of key: JSONValue, in transaction: StoreTransaction
    ) throws -> Bool? {
        let number = names.current.resolve(field).number
        guard number != 0, value.isScalar, field != schema.key else { return nil }
        let documentKey = try documentKey(key)
        var isSet = false
        let isThere = try documentKey.withUnsafeBytes { documentKey in
            try transaction.lookUp(documentKey, in: keyspace) { old in
                try withScratch { scratch in
                    let key = UnsafeRawBufferPointer(rebasing: documentKey[Self.documentPrefix.count...])
                    do {
                        let fields = try RecordView(old).fields
                        guard let place = try RecordCursor.place(of: number, in: fields) else { return }
                        try scratch.encoder.copy(fields, replacing: place, by: value)
                    } catch let damage as RecordDamage {
                        throw self.damage(damage, key: key)
                    }
                    let write = DocumentWrite(mode: .update, keepsExpiry: true)
                    try self.write(scratch, write, old, documentKey, in: transaction)
                    isSet = true
                }
            }
        }
        return isThere && !isSet ? nil : isThere
    }
}

extension JSONValue {
    fileprivate var isScalar: Bool {
        switch self {
        case .null, .array, .object: false
        default: true
        }
    }
}

extension RecordCursor {
    /// Where the value of the field with that number lies among `fields`, its tag included.
    fileprivate static func place(
        of number: UInt32, in fields: UnsafeRawBufferPointer
    ) throws(RecordDamage) -> Range<Int>? {
        var cursor = RecordCursor(fields)
        while !cursor.isAtEnd {
            let id = try cursor.fieldName().id
            let start = cursor.position
            _ = try cursor.content(of: try cursor.byte())
            if id == number { return start..<cursor.position }
        }
        return nil
    }
}
