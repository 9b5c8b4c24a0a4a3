// Query text in tokens: words, numbers, strings and symbols.

import Apus

enum QueryToken: Hashable {
    case word(String)
    /// In backticks: never a keyword.
    case quotedWord(String)
    case number(JSONValue)
    case string(String)
    case symbol(String)
    case end
}

struct QueryLexer {
    /// Words that a field has to stand in backticks to be called.
    static let keywords: Set<String> = [
        "and", "or", "not", "in", "is", "null", "true", "false", "contains", "starts", "ends", "with", "text", "where",
        "order", "sort", "by", "asc", "desc", "limit", "offset", "count", "distinct", "group", "select", "sum", "avg",
        "min", "max", "nan", "infinity", "date", "id", "bytes", "between",
    ]

    private let bytes: [UInt8]
    private var position = 0

    init(_ text: String) { bytes = Array(text.utf8) }

    static func beginsWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"), 0x80...:
            true
        default: false
        }
    }

    static func continuesWord(_ byte: UInt8) -> Bool {
        beginsWord(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    /// All tokens with the offsets where they begin, and `end`.
    static func tokens(of text: String) throws(StoreError) -> [(token: QueryToken, offset: Int)] {
        guard text.utf8.count <= QueryParser.longestText else {
            throw StoreError(.invalidQuery, "a query has at most \(QueryParser.longestText) bytes")
        }
        var lexer = QueryLexer(text)
        var tokens: [(QueryToken, Int)] = []
        while true {
            lexer.skipSpace()
            let offset = lexer.position
            let token = try lexer.next()
            tokens.append((token, offset))
            if token == .end { return tokens }
        }
    }

    private mutating func skipSpace() {
        while position < bytes.count, bytes[position] <= 0x20 { position += 1 }
    }

    private func failure(_ message: String) -> StoreError {
        StoreError(.invalidQuery, "\(message) at byte \(position) of the query")
    }

    private mutating func next() throws(StoreError) -> QueryToken {
        guard position < bytes.count else { return .end }
        let byte = bytes[position]
        if Self.beginsWord(byte) { return .word(path()) }
        switch byte {
        case UInt8(ascii: "`"): return .quotedWord(try quoted(by: byte))
        case UInt8(ascii: "'"): return .string(try quoted(by: byte))
        case UInt8(ascii: "\""): return .string(try jsonString())
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: return try symbol()
        }
    }

    /// A word, or several with dots between them.
    private mutating func path() -> String {
        let start = position
        while position < bytes.count {
            let isDot = bytes[position] == UInt8(ascii: ".") && position + 1 < bytes.count
            guard Self.continuesWord(bytes[position]) || isDot && Self.beginsWord(bytes[position + 1]) else { break }
            position += 1
        }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private mutating func quoted(by quote: UInt8) throws(StoreError) -> String {
        guard let end = bytes[(position + 1)...].firstIndex(of: quote) else {
            throw failure("the quotation does not end that begins")
        }
        defer { position = end + 1 }
        return String(decoding: bytes[(position + 1)..<end], as: UTF8.self)
    }

    private mutating func jsonString() throws(StoreError) -> String {
        var end = position + 1
        while end < bytes.count, bytes[end] != UInt8(ascii: "\"") { end += bytes[end] == UInt8(ascii: "\\") ? 2 : 1 }
        guard end < bytes.count else { throw failure("the string does not end that begins") }
        var parser = JSONTextParser(Array(bytes[position...end]))
        do throws(JSONTextError) {
            let text = try parser.string()
            position = end + 1
            return text
        } catch {
            throw failure("the string makes no sense (\(error.message)) that begins")
        }
    }

    private mutating func number() throws(StoreError) -> QueryToken {
        let start = position
        while position < bytes.count {
            let byte = bytes[position]
            let isSign = byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+")
            let isAfterExponent = position > start && (bytes[position - 1] | 0x20) == UInt8(ascii: "e")
            guard Self.continuesWord(byte) || byte == UInt8(ascii: ".") || isSign && isAfterExponent else { break }
            position += 1
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        do throws(JSONTextError) {
            return .number(try JSONValue(parsing: text))
        } catch {
            position = start
            throw failure("\"\(text)\" is no number,")
        }
    }

    private mutating func symbol() throws(StoreError) -> QueryToken {
        for candidate in [
            "==", "!=", "<=", ">=", "&&", "||", "<>", "=", "<", ">", "!", "(", ")", "[", "]", ",", ":", "-",
        ]
        where bytes[position...].starts(with: candidate.utf8) {
            position += candidate.utf8.count
            return .symbol(candidate)
        }
        throw failure("a query has no such character,")
    }
}
