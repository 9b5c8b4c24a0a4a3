// What documents should be, in plain dictionaries, and what conditions mean, written without a look at the store's
// code: every question is answered by looking at every document.

import Apus

@testable import ApusStore

struct ModelDocument: Equatable {
    var fields: [String: JSONValue]
    var version: UInt64
    /// 0: never.
    var expiry: UInt64

    func value(_ path: FieldPath) -> JSONValue {
        var value = JSONValue.object(fields)
        for name in path.names { value = value[name] ?? .null }
        return value
    }
}

/// The documents of one collection by key.
typealias ModelCollection = [Int: ModelDocument]

extension ModelCollection {
    func live(at time: UInt64) -> ModelCollection {
        filter { $0.value.expiry == 0 || $0.value.expiry > time }
    }
}

enum ModelOrder {
    /// Where a value sorts among values of other types.
    private static func rank(_ value: JSONValue) -> Int {
        switch value {
        case .null: 0
        case .bool: 1
        case .integer, .unsigned, .double: 2
        case .date: 3
        case .id: 4
        case .bytes: 5
        case .string: 6
        case .array, .object: 7
        }
    }

    /// The order for sorting; all values have one. Numbers of the tests are small enough for fractions to be exact.
    static func compare(_ a: JSONValue, _ b: JSONValue) -> Int {
        if rank(a) != rank(b) { return rank(a) < rank(b) ? -1 : 1 }
        switch (a, b) {
        case (.bool(let x), .bool(let y)): return x == y ? 0 : y ? -1 : 1
        case (.string(let x), .string(let y)):
            return x == y ? 0 : Array(x.utf8).lexicographicallyPrecedes(Array(y.utf8)) ? -1 : 1
        default:
            guard let x = a.doubleValue, let y = b.doubleValue else { return 0 }
            return x < y ? -1 : x > y ? 1 : 0
        }
    }

    /// The order for conditions: nil between values that have none.
    static func relation(_ a: JSONValue, _ b: JSONValue) -> Int? {
        if case .array = a { return nil }
        if case .object = a { return nil }
        return rank(a) == rank(b) ? compare(a, b) : nil
    }
}

extension Expression {
    func holds(_ document: ModelDocument) -> Bool {
        switch self {
        case .always: return true
        case .compare(let path, let comparison, let constant):
            let order = ModelOrder.relation(document.value(path), constant)
            switch comparison {
            case .equal: return order == 0
            case .notEqual: return order != 0
            case .less: return order.map { $0 < 0 } ?? false
            case .lessOrEqual: return order.map { $0 <= 0 } ?? false
            case .greater: return order.map { $0 > 0 } ?? false
            case .greaterOrEqual: return order.map { $0 >= 0 } ?? false
            }
        case .among(let path, let constants):
            return constants.contains { ModelOrder.relation(document.value(path), $0) == 0 }
        case .contains(let path, let constant):
            return (document.value(path).arrayValue ?? []).contains { ModelOrder.relation($0, constant) == 0 }
        case .text(let path, let match, let part):
            guard case .string(let text) = document.value(path) else { return false }
            switch match {
            case .prefix: return text.hasPrefix(part)
            case .suffix: return text.hasSuffix(part)
            case .inside: return part.isEmpty || text.split(separator: part, omittingEmptySubsequences: false).count > 1
            }
        case .not(let inner): return !inner.holds(document)
        case .and(let parts): return parts.allSatisfy { $0.holds(document) }
        case .or(let parts): return parts.contains { $0.holds(document) }
        }
    }
}
