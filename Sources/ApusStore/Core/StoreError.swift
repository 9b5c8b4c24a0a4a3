// What only the store can find wrong: the engine's own errors pass through it as they are.

/// An error of a collection.
///
/// `kind` says what a caller can do about it; `description` is one sentence for people that names collection, field and
/// key as far as they are known.
public struct StoreError: Error, Sendable, Equatable {
    /// What a caller can do about an error.
    public enum Kind: String, Sendable, CaseIterable {
        /// The change would break a rule that the collection declares; nothing was written.
        case constraintViolated
        /// The collection exists, or is in use, with another definition (schema, dimension, …).
        case definitionMismatch
        /// What was expected to be there has been changed by somebody else since it was read. Read it again.
        case versionConflict
        /// There is no such thing.
        case notFound
        /// An argument makes no sense here; nothing was written.
        case invalidArgument
        /// A query that cannot be understood, or not be answered.
        case invalidQuery
        /// Bytes of the collection are not what was written.
        case corruption
        /// The collection was written by a newer version.
        case unsupportedFormat
    }

    /// The rule that a `constraintViolated` is about, where the collection declares one.
    public enum Constraint: String, Sendable, CaseIterable {
        /// There is a document with the key already.
        case primaryKey
        /// Another document has the same values in a unique index.
        case unique
        /// A declared condition does not hold.
        case check
        /// What the document refers to does not exist, or not for as long as the document.
        case reference
        /// The document cannot go while others refer to it.
        case restriction
    }

    public var kind: Kind
    /// Which rule would be broken; nil for what no schema declares.
    public var constraint: Constraint?
    /// Says of the collection, or of field and key, what is wrong.
    public var message: String
    /// Kind and name of the collection: `doc:message`.
    public var collection: String?
    /// The field or index concerned.
    public var field: String?
    /// The key concerned, as people read it.
    public var key: String?

    public init(
        _ kind: Kind, _ message: String, collection: String? = nil, field: String? = nil, key: String? = nil,
        constraint: Constraint? = nil
    ) {
        self.kind = kind
        self.constraint = constraint
        self.message = message
        self.collection = collection
        self.field = field
        self.key = key
    }
}

extension StoreError: CustomStringConvertible {
    public var description: String {
        var place: [String] = []
        if let collection { place.append("collection \(collection)") }
        if let field { place.append("field \(field)") }
        if let key { place.append("key \(key)") }
        return place.isEmpty ? message : "\(place.joined(separator: ", ")): \(message)"
    }
}
