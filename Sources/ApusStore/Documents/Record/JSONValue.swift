// Documents without a type: any JSON value, and the few scalars that records have beyond JSON.

import Apus

/// A value of a document whose fields no Swift type describes.
///
/// ```swift
/// let event: JSONValue = ["kind": "login", "user": 7, "tags": ["web"]]
/// event["kind"]          // "login"
/// ```
/// Numbers without a fraction are integers. Bytes, times and identifiers exist for documents that were written from
/// Swift types; as JSON text they are strings.
public enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case integer(Int64)
    /// Only for integers above Int64.max.
    case unsigned(UInt64)
    case double(Double)
    case string(String)
    case bytes([UInt8])
    case date(Timestamp)
    case id(DocumentID)
    case array([JSONValue])
    case object([String: JSONValue])
}

extension JSONValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(nilLiteral: ()) { self = .null }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(floatLiteral value: Double) { self = .double(value) }
    public init(stringLiteral value: String) { self = .string(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }

    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(Dictionary(elements) { _, last in last })
    }
}

extension JSONValue {
    public init(_ value: some FixedWidthInteger) {
        if let small = Int64(exactly: value) {
            self = .integer(small)
        } else {
            self = UInt64(exactly: value).map { .unsigned($0) } ?? .double(Double(value))
        }
    }

    public init(_ value: Bool) { self = .bool(value) }
    public init(_ value: Double) { self = .double(value) }
    public init(_ value: some StringProtocol) { self = .string(String(value)) }
    public init(_ value: DocumentID) { self = .id(value) }
    public init(_ value: Timestamp) { self = .date(value) }

    /// A field of an object; nil if there is none. Setting nil removes it; setting a field of anything but an object
    /// makes an object of it.
    public subscript(name: String) -> JSONValue? {
        get {
            guard case .object(let fields) = self else { return nil }
            return fields[name]
        }
        set {
            var fields: [String: JSONValue] = [:]
            if case .object(let existing) = self { fields = existing }
            // Gives up the only other reference, so that the dictionary is changed in place.
            self = .null
            fields[name] = newValue
            self = .object(fields)
        }
    }

    /// An element of an array; nil if there is none.
    public subscript(index: Int) -> JSONValue? {
        guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
        return elements[index]
    }

    public var isNull: Bool { self == .null }

    public var stringValue: String? {
        if case .string(let value) = self { value } else { nil }
    }

    public var boolValue: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    public var integerValue: Int64? {
        if case .integer(let value) = self { value } else { nil }
    }

    /// Of any number.
    public var doubleValue: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .unsigned(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }

    public var arrayValue: [JSONValue]? {
        if case .array(let value) = self { value } else { nil }
    }

    public var objectValue: [String: JSONValue]? {
        if case .object(let value) = self { value } else { nil }
    }

    /// The value at a path of names; null if there is none.
    func value(at path: FieldPath) -> JSONValue {
        var value = self
        for name in path.names { value = value[name] ?? .null }
        return value
    }
}

// MARK: - Other coders

extension JSONValue: Codable {
    public init(from decoder: any Decoder) throws {
        if let object = try? decoder.container(keyedBy: AnyKey.self) {
            var fields: [String: JSONValue] = [:]
            for key in object.allKeys { fields[key.stringValue] = try object.decode(JSONValue.self, forKey: key) }
            self = .object(fields)
            return
        }
        if var array = try? decoder.unkeyedContainer() {
            var elements: [JSONValue] = []
            while !array.isAtEnd { elements.append(try array.decode(JSONValue.self)) }
            self = .array(elements)
            return
        }
        let single = try decoder.singleValueContainer()
        if single.decodeNil() {
            self = .null
        } else if let value = try? single.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? single.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? single.decode(UInt64.self) {
            self = .unsigned(value)
        } else if let value = try? single.decode(Double.self) {
            self = .double(value)
        } else {
            self = .string(try single.decode(String.self))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        switch self {
        case .object(let fields):
            var container = encoder.container(keyedBy: AnyKey.self)
            for (name, value) in fields { try container.encode(value, forKey: AnyKey(name)) }
        case .array(let elements):
            var container = encoder.unkeyedContainer()
            for element in elements { try container.encode(element) }
        default:
            var container = encoder.singleValueContainer()
            switch self {
            case .bool(let value): try container.encode(value)
            case .integer(let value): try container.encode(value)
            case .unsigned(let value): try container.encode(value)
            case .double(let value): try container.encode(value)
            case .string(let value): try container.encode(value)
            case .bytes(let value): try container.encode(base64(value))
            case .date(let value): try container.encode(value.description)
            case .id(let value): try container.encode(value.description)
            case .null, .array, .object: try container.encodeNil()
            }
        }
    }

    private struct AnyKey: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(_ text: String) { stringValue = text }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }
}

func base64(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    for start in stride(from: 0, to: bytes.count, by: 3) {
        var group = 0
        for index in start..<start + 3 { group = group << 8 | (index < bytes.count ? Int(bytes[index]) : 0) }
        for position in 0..<4 {
            let isPadding = start + position > bytes.count
            text.append(isPadding ? UInt8(ascii: "=") : alphabet[group >> (18 - 6 * position) & 63])
        }
    }
    return String(decoding: text, as: UTF8.self)
}
