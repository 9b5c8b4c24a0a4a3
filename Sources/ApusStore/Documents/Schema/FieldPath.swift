// Names of fields, and how key paths become names. A key path knows the properties it goes through; Swift prints them
// where reflection metadata is present. Types whose coding keys differ from their properties say so in their schema.

import Apus
import ApusIO

/// A field, or a field inside a field: `time`, `address.city`.
public struct FieldPath: Sendable, Hashable, CustomStringConvertible, ExpressibleByStringLiteral {
    public var names: [String]

    public init(_ text: String) {
        names = text.split(separator: ".", omittingEmptySubsequences: false).map { String($0) }
    }

    public init(stringLiteral value: String) { self.init(value) }

    public var description: String { names.joined(separator: ".") }

    /// The names of the properties that a key path goes through.
    ///
    /// - Throws: `StoreError` for key paths that go through anything but stored properties.
    public init(_ keyPath: AnyKeyPath) throws(StoreError) {
        if let known = Self.known.withLock({ $0.path(of: keyPath) }) {
            self = known
            return
        }
        let text = String(describing: keyPath)
        let root = "\\\(type(of: keyPath).rootType)."
        guard text.hasPrefix(root) else { throw Self.unnamed(text) }
        // Optional properties print as `address?.city?`.
        let names = text.dropFirst(root.count).split(separator: ".", omittingEmptySubsequences: false).map { name in
            String(name.last == "?" || name.last == "!" ? name.dropLast() : name)
        }
        let areNames = names.allSatisfy { name in
            !name.isEmpty && name.unicodeScalars.allSatisfy { $0.properties.isIDContinue || $0 == "_" }
        }
        guard areNames else { throw Self.unnamed(text) }
        self.names = names
        let path = self
        Self.known.withLock { $0.add(path, for: keyPath) }
    }

    /// From now on the key path has this name.
    static func register(_ path: FieldPath, for keyPath: AnyKeyPath) {
        known.withLock { $0.add(path, for: keyPath) }
    }

    private static func unnamed(_ text: String) -> StoreError {
        StoreError(
            .invalidArgument,
            "the key path \(text) does not go through stored properties alone, so it has no field name; give the name")
    }

    /// The programs' own key paths, so there are few.
    private static let known = Monitor(KnownPaths())

    private struct KnownPaths {
        private var paths: [AnyKeyPath: FieldPath] = [:]
        /// The same by the object that a key path is: one that is written in a program is nearly always the same object, and
        /// to compare two by what they go through takes as long as reading a document.
        private var pathsOfObjects: [ObjectIdentifier: (keyPath: AnyKeyPath, path: FieldPath)] = [:]
        private static let objectLimit = 1024

        mutating func path(of keyPath: AnyKeyPath) -> FieldPath? {
            if let known = pathsOfObjects[ObjectIdentifier(keyPath)] { return known.path }
            guard let path = paths[keyPath] else { return nil }
            if pathsOfObjects.count == Self.objectLimit { pathsOfObjects.removeAll() }
            pathsOfObjects[ObjectIdentifier(keyPath)] = (keyPath, path)
            return path
        }

        mutating func add(_ path: FieldPath, for keyPath: AnyKeyPath) {
            paths[keyPath] = path
            pathsOfObjects.removeAll()
        }
    }
}

/// What the values of a field are, as far as it is known.
public enum FieldKind: String, Sendable, Hashable, CaseIterable {
    /// Anything, also different things in different documents.
    case any
    case bool
    case integer
    case double
    case string
    case bytes
    case date
    case id

    struct Description {
        var kind: FieldKind
        var isOptional = false
        var isArray = false
    }

    /// What the values of a Swift type become in a record.
    static func describe(_ type: Any.Type) -> Description {
        switch type {
        case is String.Type: return Description(kind: .string)
        case is Bool.Type: return Description(kind: .bool)
        case is Double.Type, is Float.Type: return Description(kind: .double)
        case is DocumentID.Type: return Description(kind: .id)
        case is Timestamp.Type: return Description(kind: .date)
        case is [UInt8].Type: return Description(kind: .bytes)
        case is JSONValue.Type: return Description(kind: .any, isOptional: true)
        case let type as any WrappingType.Type:
            var description = describe(type.wrapped)
            if type.isCollection {
                description.isArray = true
            } else {
                description.isOptional = true
            }
            return description
        case is any FixedWidthInteger.Type: return Description(kind: .integer)
        case let type as any RawRepresentable.Type: return describeRaw(type)
        default: return Description(kind: .any)
        }
    }

    private static func describeRaw<Value: RawRepresentable>(_ type: Value.Type) -> Description {
        describe(Value.RawValue.self)
    }
}

private protocol WrappingType {
    static var wrapped: Any.Type { get }
    static var isCollection: Bool { get }
}

extension Optional: WrappingType {
    fileprivate static var wrapped: Any.Type { Wrapped.self }
    fileprivate static var isCollection: Bool { false }
}

extension Array: WrappingType {
    fileprivate static var wrapped: Any.Type { Element.self }
    fileprivate static var isCollection: Bool { true }
}

extension Set: WrappingType {
    fileprivate static var wrapped: Any.Type { Element.self }
    fileprivate static var isCollection: Bool { true }
}
