// Filters as text, in the language of queries to documents.

import Apus

extension VectorFilter {
    /// A filter from text: `year >= 2020 and labels contains "sea"`. The language is that of conditions on documents
    /// (`Condition.init(_:)`); a field is the name of a metadata field, dots and all.
    ///
    /// - Throws: `StoreError` with `invalidQuery` that says where the text makes no sense, or which value metadata
    ///   cannot have.
    public init(_ text: String) throws(StoreError) {
        self = try Self.filter(QueryParser.condition(text))
    }

    private static func filter(_ expression: Expression) throws(StoreError) -> VectorFilter {
        switch expression {
        case .always: return .all([])
        case .compare(let path, let comparison, let value): return try compare("\(path)", comparison, value)
        case .among(let path, let values):
            var filters: [VectorFilter] = []
            for value in values { filters.append(try compare("\(path)", .equal, value)) }
            return .any(filters)
        case .contains(let path, let value):
            guard case .string(let text) = value else { throw invalid("\(path)", value) }
            return .contains("\(path)", text)
        case .text(let path, let match, let part):
            let name = "\(path)"
            return .matching { metadata in
                guard case .string(let text) = metadata[name] else { return false }
                return switch match {
                case .prefix: text.utf8.starts(with: part.utf8)
                case .suffix: text.utf8.reversed().starts(with: part.utf8.reversed())
                case .inside: hasPart(Array(text.utf8), Array(part.utf8))
                }
            }
        case .not(let inner): return .not(try filter(inner))
        case .and(let parts): return .all(try filters(parts))
        case .or(let parts): return .any(try filters(parts))
        }
    }

    private static func filters(_ expressions: [Expression]) throws(StoreError) -> [VectorFilter] {
        var filters: [VectorFilter] = []
        for expression in expressions { filters.append(try filter(expression)) }
        return filters
    }

    private static func compare(
        _ name: String, _ comparison: Comparison, _ value: JSONValue
    ) throws(StoreError) -> VectorFilter {
        let constant: MetadataValue
        switch value {
        case .null:
            // A field that is missing is null.
            let isNull = VectorFilter.not(.exists(name)) || .equal(name, .null)
            switch comparison {
            case .equal: return isNull
            case .notEqual: return .not(isNull)
            default: return .any([])
            }
        case .bool(let value): constant = .bool(value)
        case .integer(let value): constant = .integer(value)
        case .double(let value): constant = .double(value)
        case .string(let value): constant = .string(value)
        default: throw invalid(name, value)
        }
        return switch comparison {
        case .equal: .equal(name, constant)
        case .notEqual: .not(.equal(name, constant))
        case .less: .less(name, constant)
        case .lessOrEqual: .lessOrEqual(name, constant)
        case .greater: .greater(name, constant)
        case .greaterOrEqual: .greaterOrEqual(name, constant)
        }
    }

    private static func invalid(_ name: String, _ value: JSONValue) -> StoreError {
        StoreError(.invalidQuery, "metadata has no values such as \(value.jsonText)", field: name)
    }

    private static func hasPart(_ text: [UInt8], _ part: [UInt8]) -> Bool {
        guard part.count <= text.count else { return false }
        return (0...(text.count - part.count)).contains { text[$0...].starts(with: part) }
    }
}
