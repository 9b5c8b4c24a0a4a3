// Documents read where they lie, field by field: for those who need little of each, or make something of their own of
// it, and would pay for a Swift value that they do not want.

public import Apus

/// A field of a collection's documents, found once and read of many: see `Documents.field(_:)`.
public struct DocumentField: Sendable {
    let path: ResolvedPath
}

/// A document in the bytes in which it is stored. Lives as long as the call that gets it.
public struct DocumentRecord: ~Copyable {
    let view: RecordView

    /// How often the document has been written.
    public var version: UInt64 { view.header.version }
    /// What its fields take in the database.
    public var byteCount: Int { view.fields.count }

    /// The value of a field; null if it is missing. Arrays and objects are null here.
    public borrowing func value(_ field: DocumentField) throws -> JSONValue {
        JSONValue(try view.scalar(at: field.path))
    }

    /// The whole number in a field; nil if there is none.
    public borrowing func integer(_ field: DocumentField) throws -> Int64? {
        guard let value = try view.value(at: field.path) else { return nil }
        return value.tag == RecordTag.date ? unzigzag(value.varint) : value.int64
    }

    /// Calls `body` with the UTF-8 of a text; nil if the field holds none.
    @inlinable
    public borrowing func withText<Result>(
        _ field: DocumentField, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result? {
        try text(field).map(body)
    }

    @usableFromInline
    borrowing func text(_ field: DocumentField) throws -> UnsafeRawBufferPointer? {
        guard let value = try view.value(at: field.path), value.isString else { return nil }
        return value.content
    }
}

extension DocumentCollection {
    /// A name without a number gets one, so that documents written later are read by it too.
    func field(_ path: FieldPath) throws -> DocumentField {
        if !store.database.isReadOnly { for name in path.names { _ = try names.register(name) } }
        return DocumentField(path: names.current.resolve(path))
    }
}

extension Documents {
    /// A field for reading records: `let text = try messages.field(\.text)`.
    public func field(_ field: PartialKeyPath<Root>) throws -> DocumentField {
        try collection.field(FieldPath(field))
    }

    /// Calls `body` with the document where it lies; nil if there is none.
    @inlinable
    public func withRecord<Result>(
        _ id: Root.ID, in reader: (any StoreReader)? = nil, _ body: (borrowing DocumentRecord) throws -> Result
    ) throws -> Result? {
        var result: Result?
        try visitRecord(id, in: reader) { result = try body($0) }
        return result
    }

    @usableFromInline
    func visitRecord(
        _ id: Root.ID, in reader: (any StoreReader)?, _ body: (borrowing DocumentRecord) throws -> Void
    ) throws {
        try collection.read(id.documentKeyValue, in: reader) { try body(DocumentRecord(view: $0)) }
    }

    /// The same by a unique field; see `get(by:_:in:)`.
    @inlinable
    public func withRecord<Value: Encodable, Result>(
        by field: KeyPath<Root, Value>, _ value: Value, in reader: (any StoreReader)? = nil,
        _ body: (borrowing DocumentRecord) throws -> Result
    ) throws -> Result? {
        var result: Result?
        try visitRecord(by: field, value, in: reader) { result = try body($0) }
        return result
    }

    @usableFromInline
    func visitRecord<Value: Encodable>(
        by field: KeyPath<Root, Value>, _ value: Value, in reader: (any StoreReader)?,
        _ body: (borrowing DocumentRecord) throws -> Void
    ) throws {
        try collection.read(by: FieldPath(field), JSONValue(scalar: value), in: reader) {
            try body(DocumentRecord(view: $0))
        }
    }
}

extension JSONDocuments {
    /// See `Documents.field(_:)`.
    public func field(_ path: FieldPath) throws -> DocumentField { try collection.field(path) }

    /// See `Documents.withRecord(_:in:_:)`.
    @inlinable
    public func withRecord<Result>(
        _ key: JSONValue, in reader: (any StoreReader)? = nil, _ body: (borrowing DocumentRecord) throws -> Result
    ) throws -> Result? {
        var result: Result?
        try visitRecord(key, in: reader) { result = try body($0) }
        return result
    }

    @usableFromInline
    func visitRecord(
        _ key: JSONValue, in reader: (any StoreReader)?, _ body: (borrowing DocumentRecord) throws -> Void
    ) throws {
        try collection.read(key, in: reader) { try body(DocumentRecord(view: $0)) }
    }
}

extension DocumentQuery {
    /// Calls `body` with one document after the other, where it lies, until it returns `.stop`.
    public func forEachRecord(_ body: (borrowing DocumentRecord) throws -> ScanStep) throws {
        try run { run, reader in
            try run.forEachDocument(in: reader) { match in try body(DocumentRecord(view: match.view)) }
        }
    }
}
