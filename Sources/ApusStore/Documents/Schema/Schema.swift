// Declaring a collection: a schema is built up by calls that read like the declarations of a table. Mistakes in it (a
// key path without a name, a reference that cannot become null) are kept and thrown when the collection is opened.

import Apus

/// A type whose values are documents of a collection.
///
/// ```swift
/// struct Message: Document {
///     enum Role: String, Codable { case user, assistant, tool }
///     var id = DocumentID.automatic
///     var conversation: DocumentID
///     var role: Role
///     var time: Timestamp
///     var text: String
///
///     static let schema = Schema<Message>()
///         .index(\.conversation, \.time)
///         .check("text is not empty", \.text != "")
///         .references(Conversation.self, by: \.conversation, onDelete: .cascade)
/// }
/// ```
/// The property `id` is the primary key. An identifier that is `.automatic` is assigned by `insert`.
public protocol Document: Codable, Identifiable, Sendable where ID: DocumentKey {
    /// The name of the collection: the name of the type by default.
    static var collectionName: String { get }
    /// Indexes, checks, references: none by default.
    static var schema: Schema<Self> { get }
}

extension Document {
    public static var collectionName: String { "\(self)" }
    public static var schema: Schema<Self> { Schema() }
}

/// What a primary key can be: strings, integers, `DocumentID`, and types that have one of them as raw value.
///
/// A type of one's own has to encode (`Codable`) as the same single value.
public protocol DocumentKey: Codable, Hashable, Sendable {
    var documentKeyValue: JSONValue { get }
    /// The key with an identifier that the store has made, for types whose keys it makes; nil for others.
    init?(assigned id: DocumentID)
}

extension DocumentKey {
    public init?(assigned id: DocumentID) { return nil }
}

extension String: DocumentKey {
    public var documentKeyValue: JSONValue { .string(self) }
}

extension DocumentID: DocumentKey {
    public var documentKeyValue: JSONValue { .id(self) }
    public init?(assigned id: DocumentID) { self = id }
}

extension DocumentKey where Self: FixedWidthInteger {
    public var documentKeyValue: JSONValue { JSONValue(self) }
}

extension Int: DocumentKey {}
extension Int64: DocumentKey {}
extension Int32: DocumentKey {}
extension UInt64: DocumentKey {}
extension UInt32: DocumentKey {}

extension DocumentKey where Self: RawRepresentable, RawValue: DocumentKey {
    public var documentKeyValue: JSONValue { rawValue.documentKeyValue }
}

extension DocumentKey where Self: RawRepresentable, RawValue == DocumentID {
    public init?(assigned id: DocumentID) { self.init(rawValue: id) }
}

/// One field of an index and its direction.
public struct IndexField<Root>: Sendable {
    let component: Result<IndexComponent, StoreError>

    private init(_ keyPath: AnyKeyPath, isDescending: Bool, isEach: Bool = false) {
        do throws(StoreError) {
            let kind = FieldKind.describe(type(of: keyPath).valueType).kind
            component = .success(
                IndexComponent(
                    path: try FieldPath(keyPath), kind: kind, isDescending: isDescending, isEach: isEach))
        } catch {
            component = .failure(error)
        }
    }

    init(_ path: FieldPath, _ kind: FieldKind, isDescending: Bool = false, isEach: Bool = false) {
        component = .success(IndexComponent(path: path, kind: kind, isDescending: isDescending, isEach: isEach))
    }

    public static func ascending(_ field: PartialKeyPath<Root>) -> IndexField { IndexField(field, isDescending: false) }
    public static func descending(_ field: PartialKeyPath<Root>) -> IndexField { IndexField(field, isDescending: true) }

    /// Every element of an array has an entry.
    public static func each<Element>(_ field: KeyPath<Root, [Element]>) -> IndexField {
        IndexField(field, isDescending: false, isEach: true)
    }
}

extension IndexField where Root == JSONValue {
    public static func ascending(_ field: FieldPath, _ kind: FieldKind = .any) -> IndexField { IndexField(field, kind) }

    public static func descending(_ field: FieldPath, _ kind: FieldKind = .any) -> IndexField {
        IndexField(field, kind, isDescending: true)
    }

    public static func each(_ field: FieldPath, _ kind: FieldKind = .any) -> IndexField {
        IndexField(field, kind, isEach: true)
    }
}

/// What a collection of documents keeps to. See `Document`.
public struct Schema<Root>: Sendable {
    var definition = SchemaDefinition()
    /// What is wrong with it.
    var error: StoreError?
    /// By the version that they lead to.
    var migrations: [UInt64: @Sendable (inout JSONValue) throws -> Void] = [:]

    // MARK: Indexes

    /// An index over these fields, in this order: it serves queries that compare the first fields for equality, the
    /// next one with anything, and sort by those that follow.
    public func index(_ fields: PartialKeyPath<Root>..., where condition: Condition<Root> = .always) -> Schema {
        adding(fields.map { .ascending($0) }, condition, isUnique: false)
    }

    /// The same with directions: `.index(.ascending(\.owner), .descending(\.time))`.
    ///
    /// - Parameters:
    ///   - fields: at most one of them `.each`.
    ///   - condition: only documents that satisfy it are in the index.
    ///   - isCovering: entries hold the whole document, so that a range of the index is read in one piece. Every change
    ///     of a document then writes it once more.
    public func index(
        _ fields: IndexField<Root>..., where condition: Condition<Root> = .always, isCovering: Bool = false
    ) -> Schema {
        adding(fields, condition, isUnique: false, isCovering: isCovering)
    }

    /// The same as `index`, and no two documents may have the same values. Documents in which one of the fields is
    /// missing or null are not compared.
    public func unique(_ fields: PartialKeyPath<Root>..., where condition: Condition<Root> = .always) -> Schema {
        adding(fields.map { .ascending($0) }, condition, isUnique: true)
    }

    public func unique(_ fields: IndexField<Root>..., where condition: Condition<Root> = .always) -> Schema {
        adding(fields, condition, isUnique: true)
    }

    /// An entry for every element of an array: for `.contains(\.tags, "draft")`.
    public func index<Element>(each field: KeyPath<Root, [Element]>) -> Schema {
        adding([.each(field)], .always, isUnique: false)
    }

    // MARK: Rules

    /// Documents have to satisfy the condition.
    public func check(_ name: String, _ condition: Condition<Root>) -> Schema {
        changing { schema throws(StoreError) in
            schema.definition.checks.append(CheckDefinition(name: name, condition: try condition.get()))
        }
    }

    /// The field holds the key of a document of another collection, which has to exist. nil is no reference.
    public func references<Target: Document, Key>(
        _ target: Target.Type, by field: KeyPath<Root, Key>, onDelete action: ReferenceAction = .restrict
    ) -> Schema {
        changing { schema throws(StoreError) in
            let description = FieldKind.describe(Key.self)
            let path = try FieldPath(field)
            if action == .setNull, !description.isOptional {
                throw StoreError(
                    .invalidArgument, "a reference that becomes null has to be optional", field: path.description)
            }
            schema.definition.references.append(
                ReferenceDefinition(
                    path: path, kind: description.kind, target: target.collectionName, action: action))
        }
    }

    /// Documents disappear this long after they were written last, and their index entries with them.
    public func expires(after duration: Duration) -> Schema {
        changing { schema in
            schema.definition.timeToLive = UInt64(max(1, duration.saturatedMilliseconds))
        }
    }

    /// Documents disappear at the time in this field; those where it is nil stay.
    public func expires(at field: KeyPath<Root, Timestamp?>) -> Schema {
        changing { schema throws(StoreError) in schema.definition.expiryPath = try FieldPath(field) }
    }

    // MARK: Versions

    /// How documents of the version before become documents of `version`, which is the version of the schema from then
    /// on if no later one is given. Runs once for each document, when the collection is opened.
    public func migration(
        to version: Int, _ change: @escaping @Sendable (inout JSONValue) throws -> Void
    ) -> Schema {
        changing { schema throws(StoreError) in
            guard version > 1 else { throw StoreError(.invalidArgument, "migrations lead to version 2 and later ones") }
            schema.migrations[UInt64(version)] = change
            schema.definition.version = max(schema.definition.version, UInt64(version))
        }
    }

    // MARK: Building

    private func changing(_ change: (inout Schema) throws(StoreError) -> Void) -> Schema {
        var copy = self
        do throws(StoreError) { try change(&copy) } catch { copy.error = copy.error ?? error }
        return copy
    }

    private func adding(
        _ fields: [IndexField<Root>], _ condition: Condition<Root>, isUnique: Bool, isCovering: Bool = false
    ) -> Schema {
        changing { schema throws(StoreError) in
            var components: [IndexComponent] = []
            for field in fields { components.append(try field.component.get()) }
            guard !components.isEmpty, components.count(where: \.isEach) <= 1 else {
                throw StoreError(.invalidArgument, "an index has at least one field, and at most one that is an array")
            }
            let index = IndexDefinition(
                components: components, isUnique: isUnique, condition: try condition.get(), isCovering: isCovering)
            guard !schema.definition.indexes.contains(index) else {
                throw StoreError(.invalidArgument, "the index \"\(index.name)\" is declared twice")
            }
            schema.definition.indexes.append(index)
        }
    }
}

extension Schema where Root: Document {
    /// - Parameters:
    ///   - key: the name that the property `id` has in the type's coding keys.
    ///   - version: raised by migrations.
    public init(key: FieldPath = "id", version: Int = 1) {
        definition.version = UInt64(max(1, version))
        definition.key = key
        definition.keyKind = FieldKind.describe(Root.ID.self).kind
    }

    /// Says what a property is called in the type's coding keys, if not as itself. Comes before any other use of the
    /// key path.
    public func field(_ field: PartialKeyPath<Root>, named name: FieldPath) -> Schema {
        FieldPath.register(name, for: field)
        return self
    }
}

extension Schema where Root == JSONValue {
    /// A schema of documents without a type.
    ///
    /// - Parameters:
    ///   - key: the field that is the primary key. A document without it gets a new `DocumentID`.
    ///   - kind: what keys are.
    public init(key: FieldPath = "id", _ kind: FieldKind = .any, version: Int = 1) {
        definition.version = UInt64(max(1, version))
        definition.key = key
        definition.keyKind = kind
    }

    public func index(_ fields: FieldPath..., where condition: Condition<JSONValue> = .always) -> Schema {
        adding(fields.map { .ascending($0) }, condition, isUnique: false)
    }

    public func unique(_ fields: FieldPath..., where condition: Condition<JSONValue> = .always) -> Schema {
        adding(fields.map { .ascending($0) }, condition, isUnique: true)
    }

    public func index(each field: FieldPath) -> Schema { adding([.each(field)], .always, isUnique: false) }

    /// The field holds the key of a document of the collection `target`.
    public func references(
        _ target: String, by field: FieldPath, _ kind: FieldKind = .any, onDelete action: ReferenceAction = .restrict
    ) -> Schema {
        changing { schema in
            schema.definition.references.append(
                ReferenceDefinition(path: field, kind: kind, target: target, action: action))
        }
    }

    public func expires(at field: FieldPath) -> Schema {
        changing { schema in schema.definition.expiryPath = field }
    }
}
