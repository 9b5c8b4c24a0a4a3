// A scanner for one JSON object that keeps the text of what it does not look into. Foundation's parser would change
// numbers and field order, which must come back from the database as they went in.

struct JSONScanner {
    enum Value: Equatable {
        /// Unescaped.
        case string([UInt8])
        /// The JSON text of a number, array, object, true, false or null.
        case other(ArraySlice<UInt8>)
    }

    struct Field: Equatable {
        var name: [UInt8]
        var value: Value
    }

    struct Malformed: Error {
        var what: String
    }

    private let bytes: [UInt8]
    private var index = 0
    private static let nestingLimit = 512

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// The fields of the object that is all of the text.
    mutating func object() throws -> [Field] {
        guard String(validating: bytes, as: UTF8.self) != nil else { throw Malformed(what: "not UTF-8 text") }
        var fields: [Field] = []
        guard take("{") else { throw Malformed(what: "not a JSON object") }
        if !take("}") {
            repeat {
                skipSpace()
                let name = try string()
                guard take(":") else { throw unexpected("a colon") }
                fields.append(Field(name: name, value: try value()))
            } while take(",")
            guard take("}") else { throw unexpected("a comma or closing brace") }
        }
        skipSpace()
        guard index == bytes.count else { throw Malformed(what: "text follows the JSON object") }
        return fields
    }

    private mutating func value() throws -> Value {
        skipSpace()
        if index < bytes.count, bytes[index] == UInt8(ascii: "\"") { return .string(try string()) }
        let start = index
        try skipValue(depth: 0)
        return .other(bytes[start..<index])
    }

    private mutating func skipValue(depth: Int) throws {
        guard depth < Self.nestingLimit else { throw Malformed(what: "the JSON nests too deeply") }
        skipSpace()
        guard index < bytes.count else { throw unexpected("a value") }
        switch bytes[index] {
        case UInt8(ascii: "\""): _ = try string()
        case UInt8(ascii: "{"):
            index += 1
            if take("}") { return }
            repeat {
                skipSpace()
                _ = try string()
                guard take(":") else { throw unexpected("a colon") }
                try skipValue(depth: depth + 1)
            } while take(",")
            guard take("}") else { throw unexpected("a comma or closing brace") }
        case UInt8(ascii: "["):
            index += 1
            if take("]") { return }
            repeat { try skipValue(depth: depth + 1) } while take(",")
            guard take("]") else { throw unexpected("a comma or closing bracket") }
        default: try skipLiteral()
        }
    }

    /// A number, true, false or null.
    private mutating func skipLiteral() throws {
        let start = index
        while index < bytes.count, isLiteralByte(bytes[index]) { index += 1 }
        let text = bytes[start..<index]
        if ["true", "false", "null"].contains(String(decoding: text, as: UTF8.self)) || isNumber(text) { return }
        index = start
        throw unexpected("a value")
    }

    /// By the grammar of RFC 8259, which is stricter than that of Swift: no leading zeros, digits around the point.
    private func isNumber(_ text: ArraySlice<UInt8>) -> Bool {
        var rest = text
        func take(_ characters: String) -> Bool {
            guard let first = rest.first, characters.utf8.contains(first) else { return false }
            rest.removeFirst()
            return true
        }
        func takeDigits() -> Bool {
            var count = 0
            while take("0123456789") { count += 1 }
            return count > 0
        }
        _ = take("-")
        guard take("0") || takeDigits() else { return false }
        if take("."), !takeDigits() { return false }
        if take("eE") {
            _ = take("+-")
            if !takeDigits() { return false }
        }
        return rest.isEmpty
    }

    private func isLiteralByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "E"): true
        default: false
        }
    }

    // MARK: Strings

    private mutating func string() throws -> [UInt8] {
        guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else { throw unexpected("a string") }
        index += 1
        var content: [UInt8] = []
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            switch byte {
            case UInt8(ascii: "\""): return content
            case UInt8(ascii: "\\"): try escape(into: &content)
            case 0..<0x20: throw Malformed(what: "a control character in a string")
            default: content.append(byte)
            }
        }
        throw Malformed(what: "a string is never closed")
    }

    private mutating func escape(into content: inout [UInt8]) throws {
        guard index < bytes.count else { throw Malformed(what: "a string is never closed") }
        let byte = bytes[index]
        index += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(byte)
        case UInt8(ascii: "b"): content.append(0x08)
        case UInt8(ascii: "f"): content.append(0x0C)
        case UInt8(ascii: "n"): content.append(0x0A)
        case UInt8(ascii: "r"): content.append(0x0D)
        case UInt8(ascii: "t"): content.append(0x09)
        case UInt8(ascii: "u"):
            var code = UInt32(try codeUnit())
            if (0xD800..<0xDC00).contains(code), bytes[index...].starts(with: Array("\\u".utf8)) {
                index += 2
                let low = UInt32(try codeUnit())
                guard (0xDC00..<0xE000).contains(low) else { throw Malformed(what: "half of a surrogate pair") }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw Malformed(what: "half of a surrogate pair") }
            content.append(contentsOf: Array(String(scalar).utf8))
        default: throw Malformed(what: "an escape in a string that JSON does not have")
        }
    }

    private mutating func codeUnit() throws -> UInt16 {
        let digits = bytes[index...].prefix(4)
        guard digits.count == 4, digits.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
            let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw Malformed(what: "\\u must be followed by four hexadecimal digits") }
        index += 4
        return unit
    }

    // MARK: Helpers

    private mutating func skipSpace() {
        while index < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[index]) { index += 1 }
    }

    /// Skips white space, and the character if it comes next.
    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard index < bytes.count, bytes[index] == UInt8(ascii: character) else { return false }
        index += 1
        return true
    }

    private func unexpected(_ wanted: String) -> Malformed {
        Malformed(
            what: index < bytes.count
                ? "\(wanted) is expected at byte \(index + 1) of the line" : "the JSON ends too early"
        )
    }
}
