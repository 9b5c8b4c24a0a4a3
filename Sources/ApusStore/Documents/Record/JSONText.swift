// JSON text (RFC 8259) to and from `JSONValue`: what the command line reads and prints, and how schemas lie in the
// catalogue.

import Apus

/// Text that is not JSON.
public struct JSONTextError: Error, Sendable, Hashable, CustomStringConvertible {
    public var message: String
    /// In bytes of UTF-8 from the start of the text.
    public var offset: Int

    public var description: String { "\(message) at byte \(offset)" }
}

extension JSONValue {
    /// Parses JSON text.
    public init(parsing text: String) throws(JSONTextError) {
        var parser = JSONTextParser(Array(text.utf8))
        self = try parser.document()
    }

    /// As JSON text in one line, fields in the order of their names. Times are ISO 8601, bytes base64.
    public var jsonText: String {
        var text = ""
        write(to: &text)
        return text
    }

    /// The same, but strings, times and identifiers as they are.
    var plainText: String {
        switch self {
        case .string(let value): value
        case .date(let value): value.description
        case .id(let value): value.description
        default: jsonText
        }
    }

    private func write(to text: inout String) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .integer(let value): text += String(value)
        case .unsigned(let value): text += String(value)
        case .double(let value):
            // JSON has no infinities.
            text += value.isFinite ? "\(value)" : "null"
        case .string(let value): Self.write(quoted: value, to: &text)
        case .bytes(let value): Self.write(quoted: base64(value), to: &text)
        case .date(let value): Self.write(quoted: value.description, to: &text)
        case .id(let value): Self.write(quoted: value.description, to: &text)
        case .array(let elements):
            text += "["
            for (index, element) in elements.enumerated() {
                if index > 0 { text += "," }
                element.write(to: &text)
            }
            text += "]"
        case .object(let fields):
            text += "{"
            for (index, field) in fields.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { text += "," }
                Self.write(quoted: field.key, to: &text)
                text += ":"
                field.value.write(to: &text)
            }
            text += "}"
        }
    }

    static func write(quoted string: String, to text: inout String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{0}"..."\u{1F}":
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}

/// One pass over the text.
struct JSONTextParser {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws(JSONTextError) -> JSONValue {
        let value = try value(nesting: 0)
        skipSpace()
        guard position == bytes.count else { throw failure("something follows the value") }
        return value
    }

    private func failure(_ message: String) -> JSONTextError { JSONTextError(message: message, offset: position) }

    private mutating func skipSpace() {
        while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
    }

    private mutating func value(nesting: Int) throws(JSONTextError) -> JSONValue {
        skipSpace()
        guard position < bytes.count else { throw failure("the text ends where a value was expected") }
        guard nesting <= RecordFormat.nestingLimit else { throw failure("values nest too deeply") }
        switch bytes[position] {
        case UInt8(ascii: "{"): return try object(nesting: nesting)
        case UInt8(ascii: "["): return try array(nesting: nesting)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        default: throw failure("no value begins like this")
        }
    }

    private mutating func literal(_ text: String, _ value: JSONValue) throws(JSONTextError) -> JSONValue {
        guard bytes[position...].starts(with: text.utf8) else { throw failure("no value begins like this") }
        position += text.utf8.count
        return value
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        skipSpace()
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func object(nesting: Int) throws(JSONTextError) -> JSONValue {
        position += 1
        var fields: [String: JSONValue] = [:]
        if take(UInt8(ascii: "}")) { return .object(fields) }
        repeat {
            skipSpace()
            guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
                throw failure("the name of a field was expected")
            }
            let name = try string()
            guard take(UInt8(ascii: ":")) else { throw failure("a colon was expected") }
            fields[name] = try value(nesting: nesting + 1)
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw failure("the object does not end") }
        return .object(fields)
    }

    private mutating func array(nesting: Int) throws(JSONTextError) -> JSONValue {
        position += 1
        var elements: [JSONValue] = []
        if take(UInt8(ascii: "]")) { return .array(elements) }
        repeat { elements.append(try value(nesting: nesting + 1)) } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw failure("the array does not end") }
        return .array(elements)
    }

    private mutating func number() throws(JSONTextError) -> JSONValue {
        let start = position
        while position < bytes.count, "+-.0123456789eE".utf8.contains(bytes[position]) { position += 1 }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        let digits = text.drop { $0 == "-" }
        let isCanonical =
            digits.first?.isNumber == true && !(digits.hasPrefix("0") && digits.dropFirst().first?.isNumber == true)
        if isCanonical {
            if let integer = Int64(text) { return .integer(integer) }
            if let integer = UInt64(text) { return .unsigned(integer) }
            if let double = Double(text), double.isFinite, !text.hasSuffix(".") { return .double(double) }
        }
        position = start
        throw failure("this is no number")
    }

    /// A string, with its escapes resolved.
    mutating func string() throws(JSONTextError) -> String {
        let start = position
        position += 1
        var content: [UInt8] = []
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: content, as: UTF8.self) else {
                    position = start
                    throw failure("the string is not UTF-8")
                }
                return text
            case UInt8(ascii: "\\"): try escape(into: &content)
            case 0..<0x20: throw failure("a control character stands in a string")
            default: content.append(byte)
            }
        }
        position = start
        throw failure("the string does not end")
    }

    private mutating func escape(into content: inout [UInt8]) throws(JSONTextError) {
        guard position < bytes.count else { throw failure("the string does not end") }
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(byte)
        case UInt8(ascii: "n"): content.append(0x0A)
        case UInt8(ascii: "r"): content.append(0x0D)
        case UInt8(ascii: "t"): content.append(0x09)
        case UInt8(ascii: "b"): content.append(0x08)
        case UInt8(ascii: "f"): content.append(0x0C)
        case UInt8(ascii: "u"): content.append(contentsOf: String(try scalar()).utf8)
        default: throw failure("there is no such escape")
        }
    }

    private mutating func scalar() throws(JSONTextError) -> Character {
        var value = try fourDigits()
        if (0xD800..<0xDC00).contains(value), position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
            bytes[position + 1] == UInt8(ascii: "u")
        {
            position += 2
            let low = try fourDigits()
            guard (0xDC00..<0xE000).contains(low) else { throw failure("half a surrogate pair") }
            value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(value) else { throw failure("half a surrogate pair") }
        return Character(scalar)
    }

    private mutating func fourDigits() throws(JSONTextError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard position < bytes.count, let digit = hexDigit(bytes[position]) else {
                throw failure("four hexadecimal digits were expected")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }
}
