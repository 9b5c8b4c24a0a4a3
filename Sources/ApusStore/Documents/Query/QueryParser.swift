// Queries as text, for the command line and for conditions in the catalogue.
//
//   query:      clauses in any order, each at most once; the first may be a condition without `where`
//   clause:     where condition │ order by field [asc│desc], … │ limit n │ offset n
//               │ count │ distinct field │ group by field, … : aggregate, …
//   aggregate:  count │ sum(field) │ avg(field) │ min(field) │ max(field)
//   condition:  comparisons joined by and (&&), or (││), not (!) and parentheses
//   comparison: field == value   also = != <> < <= > >= │ field in [value, …] │ field contains value
//               │ field between value and value │ field starts with "…" │ field ends with "…"
//               │ field contains text "…" │ field is null │ field is not null
//   value:      JSON │ 'text' │ date("2024-01-31T12:00:00Z") │ id("…") │ bytes("base64") │ infinity │ nan
//
// A field is a name, or names with dots between them; in backticks if it is no plain word.

import Apus

struct QueryParser {
    private let tokens: [(token: QueryToken, offset: Int)]
    private var index = 0
    static let nestingLimit = 64
    /// More text than this is nobody's question.
    static let longestText = 1 << 20

    static func query(_ text: String) throws(StoreError) -> QuerySpecification {
        var parser = QueryParser(tokens: try QueryLexer.tokens(of: text))
        return try parser.query()
    }

    static func condition(_ text: String) throws(StoreError) -> Expression {
        var parser = QueryParser(tokens: try QueryLexer.tokens(of: text))
        let condition = try parser.disjunction(nesting: 0)
        try parser.expectEnd()
        return condition
    }

    private init(tokens: [(token: QueryToken, offset: Int)]) { self.tokens = tokens }

    // MARK: Tokens

    private var token: QueryToken { tokens[index].token }

    private func failure(_ message: String) -> StoreError {
        StoreError(.invalidQuery, "\(message) at byte \(tokens[index].offset) of the query")
    }

    private mutating func take(_ word: String) -> Bool {
        guard case .word(let text) = token, text.lowercased() == word else { return false }
        index += 1
        return true
    }

    private mutating func take(symbol: String) -> Bool {
        guard token == .symbol(symbol) else { return false }
        index += 1
        return true
    }

    private mutating func expect(_ word: String) throws(StoreError) {
        guard take(word) else { throw failure("\"\(word)\" was expected") }
    }

    private mutating func expect(symbol: String) throws(StoreError) {
        guard take(symbol: symbol) else { throw failure("\"\(symbol)\" was expected") }
    }

    private func expectEnd() throws(StoreError) {
        guard token == .end else { throw failure("nothing more was expected") }
    }

    private mutating func field() throws(StoreError) -> FieldPath {
        switch token {
        case .word(let text) where !QueryLexer.keywords.contains(text.lowercased()) || text == "id" || text == "text":
            index += 1
            return FieldPath(text)
        case .quotedWord(let text):
            index += 1
            return FieldPath(text)
        default: throw failure("the name of a field was expected")
        }
    }

    private mutating func number() throws(StoreError) -> Int {
        guard case .number(.integer(let value)) = token, let result = Int(exactly: value) else {
            throw failure("a whole number was expected")
        }
        index += 1
        return result
    }

    // MARK: Clauses

    private mutating func query() throws(StoreError) -> QuerySpecification {
        var result = QuerySpecification()
        var seen: Set<String> = []
        var isFirst = true
        while token != .end {
            let clause = clause()
            // What is asked for is one of these.
            let role = ["count", "distinct", "group"].contains(clause) ? "output" : clause
            if let role, let clause, !seen.insert(role).inserted { throw failure("\"\(clause)\" is one too many") }
            switch clause {
            case "where": result.condition = try disjunction(nesting: 0)
            case "order": result.order = try order()
            case "limit": result.limit = try number()
            case "offset": result.offset = try number()
            case "count": result.output = .count
            case "distinct": result.output = .distinct(try field())
            case "group": result.output = try groups()
            default:
                guard isFirst else { throw failure("a clause was expected: where, order by, limit, offset, count, …") }
                seen.insert("where")
                result.condition = try disjunction(nesting: 0)
            }
            isFirst = false
        }
        return result
    }

    private mutating func clause() -> String? {
        let start = index
        for word in ["where", "limit", "offset", "count", "distinct", "group"] where take(word) { return word }
        if take("order") || take("sort") {
            if take("by") { return "order" }
            index = start
        }
        return nil
    }

    private mutating func order() throws(StoreError) -> [SortKey] {
        var keys: [SortKey] = []
        repeat {
            let path = try field()
            let isDescending = take("desc")
            if !isDescending { _ = take("asc") }
            keys.append(SortKey(path: path, order: isDescending ? .descending : .ascending))
        } while take(symbol: ",")
        return keys
    }

    private mutating func groups() throws(StoreError) -> QuerySpecification.Output {
        try expect("by")
        var fields: [FieldPath] = []
        repeat { fields.append(try field()) } while take(symbol: ",")
        guard take(symbol: ":") || take("select") else { return .groups(by: fields, [Computation(function: .count)]) }
        var computations: [Computation] = []
        repeat {
            guard case .word(let name) = token, let function = Computation.Function(rawValue: name.lowercased()) else {
                throw failure("count, sum, avg, min or max was expected")
            }
            index += 1
            if function == .count {
                computations.append(Computation(function: .count))
            } else {
                try expect(symbol: "(")
                computations.append(Computation(function: function, path: try field()))
                try expect(symbol: ")")
            }
        } while take(symbol: ",")
        return .groups(by: fields, computations)
    }

    // MARK: Conditions

    private mutating func disjunction(nesting: Int) throws(StoreError) -> Expression {
        guard nesting < Self.nestingLimit else { throw failure("parentheses nest too deeply") }
        var parts = [try conjunction(nesting: nesting)]
        while take("or") || take(symbol: "||") { parts.append(try conjunction(nesting: nesting)) }
        return .disjunction(parts)
    }

    private mutating func conjunction(nesting: Int) throws(StoreError) -> Expression {
        var parts = [try negation(nesting: nesting)]
        while take("and") || take(symbol: "&&") { parts.append(try negation(nesting: nesting)) }
        return .conjunction(parts)
    }

    private mutating func negation(nesting: Int) throws(StoreError) -> Expression {
        guard nesting < Self.nestingLimit else { throw failure("negations nest too deeply") }
        if take("not") || take(symbol: "!") { return .not(try negation(nesting: nesting + 1)) }
        if take(symbol: "(") {
            let inner = try disjunction(nesting: nesting + 1)
            try expect(symbol: ")")
            return inner
        }
        if take("true") { return .always }
        return try comparison()
    }

    private mutating func comparison() throws(StoreError) -> Expression {
        let path = try field()
        if case .symbol(let text) = token {
            let spelling = ["=": "==", "<>": "!="][text] ?? text
            guard let comparison = Comparison(rawValue: spelling) else { throw failure("a comparison was expected") }
            index += 1
            return .compare(path, comparison, try value())
        }
        if take("in") { return .among(path, try values()) }
        if take("contains") {
            return take("text") ? .text(path, .inside, try string()) : .contains(path, try value())
        }
        if take("starts") {
            try expect("with")
            return .text(path, .prefix, try string())
        }
        if take("ends") {
            try expect("with")
            return .text(path, .suffix, try string())
        }
        if take("between") {
            let low = try value()
            try expect("and")
            return .conjunction([.compare(path, .greaterOrEqual, low), .compare(path, .lessOrEqual, try value())])
        }
        if take("is") {
            let comparison: Comparison = take("not") ? .notEqual : .equal
            try expect("null")
            return .compare(path, comparison, .null)
        }
        throw failure("a comparison was expected")
    }

    private mutating func values() throws(StoreError) -> [JSONValue] {
        let close = take(symbol: "(") ? ")" : "]"
        if close == "]" { try expect(symbol: "[") }
        var values: [JSONValue] = []
        if take(symbol: close) { return values }
        repeat { values.append(try value()) } while take(symbol: ",")
        try expect(symbol: close)
        return values
    }

    private mutating func string() throws(StoreError) -> String {
        guard case .string(let text) = token else { throw failure("a string was expected") }
        index += 1
        return text
    }

    private mutating func value() throws(StoreError) -> JSONValue {
        if take(symbol: "-") {
            if take("infinity") { return .double(-.infinity) }
            guard case .number(let number) = token else { throw failure("a number was expected") }
            index += 1
            switch number {
            case .integer(let value): return .integer(-value)
            // Exactly the magnitude of the least integer, or a number that no integer is.
            case .unsigned(let value): return value == 1 << 63 ? .integer(.min) : .double(-Double(value))
            default: return .double(-(number.doubleValue ?? 0))
            }
        }
        switch token {
        case .number(let value):
            index += 1
            return value
        case .string(let text):
            index += 1
            return .string(text)
        case .word(let word):
            index += 1
            return try named(word.lowercased())
        default: throw failure("a value was expected")
        }
    }

    private mutating func named(_ word: String) throws(StoreError) -> JSONValue {
        switch word {
        case "true": return .bool(true)
        case "false": return .bool(false)
        case "null": return .null
        case "nan": return .double(.nan)
        case "infinity": return .double(.infinity)
        case "date", "id", "bytes":
            try expect(symbol: "(")
            let text = try string()
            try expect(symbol: ")")
            let value: JSONValue? =
                switch word {
                case "date": Timestamp(text).map { .date($0) }
                case "id": DocumentID(text).map { .id($0) }
                default: bytes(base64: text).map { .bytes($0) }
                }
            if let value { return value }
            index -= 2
            throw failure("\"\(text)\" is no \(word),")
        default:
            index -= 1
            throw failure("a value was expected (text stands in quotation marks)")
        }
    }
}

func bytes(base64 text: String) -> [UInt8]? {
    var result: [UInt8] = []
    var group: UInt32 = 0
    var bits = 0
    for byte in text.utf8 where byte != UInt8(ascii: "=") {
        let digit: UInt8
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): digit = byte - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): digit = byte - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): digit = 62
        case UInt8(ascii: "/"): digit = 63
        default: return nil
        }
        group = group << 6 | UInt32(digit)
        bits += 6
        if bits >= 8 {
            bits -= 8
            result.append(UInt8(truncatingIfNeeded: group >> UInt32(bits)))
        }
    }
    return result
}
