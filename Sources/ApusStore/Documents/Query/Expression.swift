// Conditions as a tree: what filters, checks and partial indexes are made of, whether they come from key paths or from
// text. A tree prints as the text that parses to it again; that is how checks lie in the catalogue.

import Apus

/// How a field is compared with a value.
public enum Comparison: String, Sendable, Hashable, CaseIterable {
    case equal = "=="
    case notEqual = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="

    /// Whether a value that is ordered so against the constant satisfies the comparison.
    func holds(_ order: Int) -> Bool {
        switch self {
        case .equal: order == 0
        case .notEqual: order != 0
        case .less: order < 0
        case .lessOrEqual: order <= 0
        case .greater: order > 0
        case .greaterOrEqual: order >= 0
        }
    }
}

/// How the text of a field is compared.
enum TextMatch: String, Sendable, Hashable, CaseIterable {
    case prefix = "starts with"
    case suffix = "ends with"
    case inside = "contains text"
}

indirect enum Expression: Sendable, Hashable {
    case always
    case compare(FieldPath, Comparison, JSONValue)
    /// Equal to one of these.
    case among(FieldPath, [JSONValue])
    /// The field is an array with such an element.
    case contains(FieldPath, JSONValue)
    case text(FieldPath, TextMatch, String)
    case not(Expression)
    case and([Expression])
    case or([Expression])

    /// The conditions that all have to hold.
    var conjuncts: [Expression] {
        switch self {
        case .always: []
        case .and(let parts): parts.flatMap(\.conjuncts)
        default: [self]
        }
    }

    static func conjunction(_ conditions: [Expression]) -> Expression {
        let parts = conditions.flatMap(\.conjuncts)
        return parts.isEmpty ? .always : parts.count == 1 ? parts[0] : .and(parts)
    }

    static func disjunction(_ conditions: [Expression]) -> Expression {
        if conditions.count == 1 { return conditions[0] }
        var parts: [Expression] = []
        for part in conditions {
            if case .or(let inner) = part { parts += inner } else { parts.append(part) }
        }
        // `a == 1 || a == 2` is one question to an index.
        var path: FieldPath?
        var values: [JSONValue] = []
        for part in parts {
            switch part {
            case .compare(let field, .equal, let value) where path == nil || path == field:
                path = field
                values.append(value)
            case .among(let field, let some) where path == nil || path == field:
                path = field
                values += some
            default: return .or(parts)
            }
        }
        return path.map { .among($0, values) } ?? .or(parts)
    }

    /// With every constant changed to what its field holds.
    func mapConstants(
        _ change: (FieldPath, JSONValue) throws(StoreError) -> JSONValue
    ) throws(StoreError) -> Expression {
        switch self {
        case .always, .text: return self
        case .compare(let path, let comparison, let value):
            return .compare(path, comparison, try change(path, value))
        case .contains(let path, let value): return .contains(path, try change(path, value))
        case .among(let path, let values):
            var changed: [JSONValue] = []
            for value in values { changed.append(try change(path, value)) }
            return .among(path, changed)
        case .not(let inner): return .not(try inner.mapConstants(change))
        case .and(let parts): return .and(try Self.map(parts, change))
        case .or(let parts): return .or(try Self.map(parts, change))
        }
    }

    private static func map(
        _ parts: [Expression], _ change: (FieldPath, JSONValue) throws(StoreError) -> JSONValue
    ) throws(StoreError) -> [Expression] {
        var changed: [Expression] = []
        for part in parts { changed.append(try part.mapConstants(change)) }
        return changed
    }

    var paths: Set<FieldPath> {
        switch self {
        case .always: []
        case .compare(let path, _, _), .among(let path, _), .contains(let path, _), .text(let path, _, _): [path]
        case .not(let inner): inner.paths
        case .and(let parts), .or(let parts): parts.reduce(into: []) { $0.formUnion($1.paths) }
        }
    }
}

// MARK: - Text

extension Expression: CustomStringConvertible {
    var description: String {
        switch self {
        case .always: "true"
        case .compare(let path, let comparison, let value):
            "\(path.queryText) \(comparison.rawValue) \(value.queryText)"
        case .among(let path, let values):
            "\(path.queryText) in [\(values.map(\.queryText).joined(separator: ", "))]"
        case .contains(let path, let value): "\(path.queryText) contains \(value.queryText)"
        case .text(let path, let match, let text):
            "\(path.queryText) \(match.rawValue) \(JSONValue.string(text).queryText)"
        case .not(let inner): "not (\(inner))"
        case .and(let parts): parts.map { $0.isDisjunction ? "(\($0))" : "\($0)" }.joined(separator: " and ")
        case .or(let parts): parts.map { "\($0)" }.joined(separator: " or ")
        }
    }

    private var isDisjunction: Bool {
        if case .or = self { true } else { false }
    }
}

extension JSONValue {
    /// As it stands in a query.
    var queryText: String {
        switch self {
        case .date(let value): "date(\"\(value)\")"
        case .id(let value): "id(\"\(value)\")"
        case .bytes(let value): "bytes(\"\(base64(value))\")"
        case .double(let value) where !value.isFinite: value.isNaN ? "nan" : value < 0 ? "-infinity" : "infinity"
        case .array(let elements): "[\(elements.map(\.queryText).joined(separator: ", "))]"
        default: jsonText
        }
    }
}

extension FieldPath {
    /// As it stands in a query: in backticks where it is no plain word.
    var queryText: String {
        let isPlain = names.allSatisfy { name in
            guard let first = name.utf8.first, QueryLexer.beginsWord(first) else { return false }
            return name.utf8.allSatisfy { QueryLexer.continuesWord($0) }
        }
        return isPlain && !QueryLexer.keywords.contains(description.lowercased()) ? description : "`\(description)`"
    }
}
