// Conditions as Swift expressions over key paths: `\.role == .user && \.time > start`. The type checker finds the root
// type from where the condition is used; what comes out is an `Expression`.

import Apus

/// What documents have to satisfy: for `filter`, for checks, and for partial indexes.
///
/// ```swift
/// messages.query().filter(\.role == .user && \.time > start && !.contains(\.tags, "draft"))
/// ```
/// `&&`, `||` and `!` combine conditions. A field that is missing equals nil, and is neither less nor greater than
/// anything. For documents without a type, fields are named by strings: `field("role") == "user"`.
public struct Condition<Root>: Sendable {
    let expression: Expression
    /// A key path without a name, or a value that is no single value: whoever uses the condition throws it.
    let error: StoreError?

    init(_ expression: Expression, error: StoreError? = nil) {
        self.expression = expression
        self.error = error
    }

    fileprivate init(
        _ keyPath: AnyKeyPath, _ build: (FieldPath) throws(StoreError) -> Expression
    ) {
        do throws(StoreError) {
            self.init(try build(try FieldPath(keyPath)))
        } catch {
            self.init(.always, error: error)
        }
    }

    fileprivate static func compare(
        _ keyPath: AnyKeyPath, _ comparison: Comparison, _ value: some Encodable
    ) -> Condition {
        Condition(keyPath) { (path) throws(StoreError) in .compare(path, comparison, try JSONValue(scalar: value)) }
    }

    /// Every document.
    public static var always: Condition { Condition(.always) }

    /// A condition as text: `Condition("role == \"user\" and time > 100")`.
    public init(_ text: String) throws(StoreError) {
        self.init(try QueryParser.condition(text))
    }

    public static func && (a: Condition, b: Condition) -> Condition {
        Condition(.conjunction([a.expression, b.expression]), error: a.error ?? b.error)
    }

    public static func || (a: Condition, b: Condition) -> Condition {
        Condition(.disjunction([a.expression, b.expression]), error: a.error ?? b.error)
    }

    public static prefix func ! (a: Condition) -> Condition {
        Condition(.not(a.expression), error: a.error)
    }

    func get() throws(StoreError) -> Expression {
        if let error { throw error }
        return expression
    }
}

public func == <Root, Value: Encodable & Equatable>(field: KeyPath<Root, Value>, value: Value) -> Condition<Root> {
    .compare(field, .equal, value)
}

public func != <Root, Value: Encodable & Equatable>(field: KeyPath<Root, Value>, value: Value) -> Condition<Root> {
    .compare(field, .notEqual, value)
}

public func < <Root, Value: Encodable & Comparable>(field: KeyPath<Root, Value>, value: Value) -> Condition<Root> {
    .compare(field, .less, value)
}

public func <= <Root, Value: Encodable & Comparable>(field: KeyPath<Root, Value>, value: Value) -> Condition<Root> {
    .compare(field, .lessOrEqual, value)
}

public func > <Root, Value: Encodable & Comparable>(field: KeyPath<Root, Value>, value: Value) -> Condition<Root> {
    .compare(field, .greater, value)
}

public func >= <Root, Value: Encodable & Comparable>(field: KeyPath<Root, Value>, value: Value) -> Condition<Root> {
    .compare(field, .greaterOrEqual, value)
}

public func < <Root, Value: Encodable & Comparable>(field: KeyPath<Root, Value?>, value: Value) -> Condition<Root> {
    .compare(field, .less, value)
}

public func <= <Root, Value: Encodable & Comparable>(field: KeyPath<Root, Value?>, value: Value) -> Condition<Root> {
    .compare(field, .lessOrEqual, value)
}

public func > <Root, Value: Encodable & Comparable>(field: KeyPath<Root, Value?>, value: Value) -> Condition<Root> {
    .compare(field, .greater, value)
}

public func >= <Root, Value: Encodable & Comparable>(field: KeyPath<Root, Value?>, value: Value) -> Condition<Root> {
    .compare(field, .greaterOrEqual, value)
}

extension Condition {
    /// Equal to one of `values`: `.isOne(\.role, of: [.user, .assistant])`.
    public static func isOne<Value: Encodable>(
        _ field: KeyPath<Root, Value>, of values: some Sequence<Value>
    ) -> Condition {
        Condition(field) { (path) throws(StoreError) in
            var constants: [JSONValue] = []
            for value in values { constants.append(try JSONValue(scalar: value)) }
            return .among(path, constants)
        }
    }

    /// Between both ends: `.isBetween(\.score, 0, 1)`.
    public static func isBetween<Value: Encodable & Comparable>(
        _ field: KeyPath<Root, Value>, _ low: Value, _ high: Value
    ) -> Condition { field >= low && field <= high }

    /// The array has such an element: `.contains(\.tags, "draft")`.
    public static func contains<Element: Encodable>(
        _ field: KeyPath<Root, [Element]>, _ element: Element
    ) -> Condition {
        Condition(field) { (path) throws(StoreError) in .contains(path, try JSONValue(scalar: element)) }
    }

    public static func hasPrefix(_ field: KeyPath<Root, String>, _ prefix: String) -> Condition {
        Condition(field) { .text($0, .prefix, prefix) }
    }

    public static func hasSuffix(_ field: KeyPath<Root, String>, _ suffix: String) -> Condition {
        Condition(field) { .text($0, .suffix, suffix) }
    }

    /// The text has `part` somewhere in it, byte by byte.
    public static func contains(_ field: KeyPath<Root, String>, text part: String) -> Condition {
        Condition(field) { .text($0, .inside, part) }
    }
}

// MARK: - Fields by name

/// A field of documents without a type: `field("user.name") == "Ada"`.
public func field(_ path: FieldPath) -> FieldReference { FieldReference(path: path) }

/// See `field(_:)`.
public struct FieldReference: Sendable {
    public var path: FieldPath

    public static func == (field: FieldReference, value: JSONValue) -> Condition<JSONValue> {
        Condition(.compare(field.path, .equal, value))
    }

    public static func != (field: FieldReference, value: JSONValue) -> Condition<JSONValue> {
        Condition(.compare(field.path, .notEqual, value))
    }

    public static func < (field: FieldReference, value: JSONValue) -> Condition<JSONValue> {
        Condition(.compare(field.path, .less, value))
    }

    public static func <= (field: FieldReference, value: JSONValue) -> Condition<JSONValue> {
        Condition(.compare(field.path, .lessOrEqual, value))
    }

    public static func > (field: FieldReference, value: JSONValue) -> Condition<JSONValue> {
        Condition(.compare(field.path, .greater, value))
    }

    public static func >= (field: FieldReference, value: JSONValue) -> Condition<JSONValue> {
        Condition(.compare(field.path, .greaterOrEqual, value))
    }

    public func isOne(of values: [JSONValue]) -> Condition<JSONValue> { Condition(.among(path, values)) }
    public func contains(_ element: JSONValue) -> Condition<JSONValue> { Condition(.contains(path, element)) }
    public func hasPrefix(_ prefix: String) -> Condition<JSONValue> { Condition(.text(path, .prefix, prefix)) }
    public func hasSuffix(_ suffix: String) -> Condition<JSONValue> { Condition(.text(path, .suffix, suffix)) }
    public func contains(text part: String) -> Condition<JSONValue> { Condition(.text(path, .inside, part)) }
}
