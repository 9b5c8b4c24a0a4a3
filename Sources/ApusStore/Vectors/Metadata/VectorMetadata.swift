// What a vector carries besides its elements: a few named values, small enough to be kept in memory beside the codes,
// where filters look at them during a search.
//
//   count: varint │ fields, by name ascending
//   field:  name length: varint │ name │ tag: u8 │ payload                                        — FORMAT.md §8.5

/// A value of a vector's metadata.
public enum MetadataValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case integer(Int64)
    case double(Double)
    case string(String)
    /// Several strings, such as labels.
    case strings([String])
}

/// Named values that belong to a vector.
///
/// ```swift
/// try images.upsert("sunset.jpg", embedding, metadata: ["year": 2024, "labels": ["sea", "evening"]])
/// ```
public struct VectorMetadata: Sendable, Hashable {
    public var fields: [String: MetadataValue]

    public init(_ fields: [String: MetadataValue] = [:]) { self.fields = fields }

    public var isEmpty: Bool { fields.isEmpty }

    public subscript(name: String) -> MetadataValue? {
        get { fields[name] }
        set { fields[name] = newValue }
    }
}

extension VectorMetadata: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (String, MetadataValue)...) {
        fields = Dictionary(elements) { _, last in last }
    }
}

extension MetadataValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByNilLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(floatLiteral value: Double) { self = .double(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(arrayLiteral elements: String...) { self = .strings(elements) }
    public init(nilLiteral: ()) { self = .null }
}

// MARK: - Bytes

extension VectorMetadata {
    /// Larger metadata is refused: it would take more memory than the vector itself.
    public static let byteLimit = 4096

    var encoded: [UInt8] {
        if fields.isEmpty { return [] }
        var bytes: [UInt8] = []
        bytes.appendVarint(UInt64(fields.count))
        for (name, value) in fields.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
            bytes.appendLengthPrefixed(name)
            value.append(to: &bytes)
        }
        return bytes
    }

    /// nil if the bytes are not the encoding of any metadata.
    init?(_ bytes: UnsafeRawBufferPointer) {
        fields = [:]
        var cursor = MetadataCursor(bytes)
        while let (name, value) = cursor.next() {
            guard let value = MetadataValue(value) else { return nil }
            fields[String(decoding: name, as: UTF8.self)] = value
        }
        if !cursor.isAtEnd { return nil }
    }
}

/// The tags of values. In stored records: never renumber.
enum MetadataTag {
    static let null: UInt8 = 0
    static let `false`: UInt8 = 1
    static let `true`: UInt8 = 2
    static let integer: UInt8 = 3
    static let double: UInt8 = 4
    static let string: UInt8 = 5
    static let strings: UInt8 = 6
}

extension MetadataValue {
    fileprivate func append(to bytes: inout [UInt8]) {
        switch self {
        case .null: bytes.append(MetadataTag.null)
        case .bool(let value): bytes.append(value ? MetadataTag.true : MetadataTag.false)
        case .integer(let value):
            bytes.append(MetadataTag.integer)
            bytes.appendLittleEndian(value)
        case .double(let value):
            bytes.append(MetadataTag.double)
            bytes.appendLittleEndian(value.bitPattern)
        case .string(let value):
            bytes.append(MetadataTag.string)
            bytes.appendLengthPrefixed(value)
        case .strings(let values):
            bytes.append(MetadataTag.strings)
            bytes.appendVarint(UInt64(values.count))
            for value in values { bytes.appendLengthPrefixed(value) }
        }
    }

    /// nil if the bytes of the field are damaged.
    init?(_ field: MetadataCursor.Field) {
        var reader = StoreByteReader(field.payload)
        switch field.tag {
        case MetadataTag.null: self = .null
        case MetadataTag.false: self = .bool(false)
        case MetadataTag.true: self = .bool(true)
        case MetadataTag.integer:
            guard let value: Int64 = reader.littleEndian() else { return nil }
            self = .integer(value)
        case MetadataTag.double:
            guard let bits: UInt64 = reader.littleEndian() else { return nil }
            self = .double(Double(bitPattern: bits))
        case MetadataTag.string:
            guard let text = reader.lengthPrefixed() else { return nil }
            self = .string(String(decoding: text, as: UTF8.self))
        case MetadataTag.strings:
            guard let count = reader.varint() else { return nil }
            var values: [String] = []
            for _ in 0..<count {
                guard let text = reader.lengthPrefixed() else { return nil }
                values.append(String(decoding: text, as: UTF8.self))
            }
            self = .strings(values)
        default: return nil
        }
    }
}

extension [UInt8] {
    fileprivate mutating func appendLengthPrefixed(_ text: String) {
        appendVarint(UInt64(text.utf8.count))
        append(contentsOf: text.utf8)
    }
}

/// Walks the fields of encoded metadata without decoding their values.
struct MetadataCursor {
    struct Field {
        var tag: UInt8
        var payload: UnsafeRawBufferPointer
    }

    private let bytes: UnsafeRawBufferPointer
    private var offset = 0
    private var remaining: UInt64
    private var isDamaged = false

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
        remaining = 0
        if !bytes.isEmpty, let count = varint() { remaining = count }
    }

    /// Every field was there, and nothing after them.
    var isAtEnd: Bool { !isDamaged && remaining == 0 && offset == bytes.count }

    mutating func next() -> (name: UnsafeRawBufferPointer, field: Field)? {
        guard !isDamaged, remaining > 0, let nameCount = varint(), let name = slice(nameCount), let tag = slice(1)
        else { return nil }
        let start = offset
        switch tag[0] {
        case MetadataTag.null, MetadataTag.false, MetadataTag.true: break
        case MetadataTag.integer, MetadataTag.double: _ = slice(8)
        case MetadataTag.string: _ = varint().flatMap { slice($0) }
        case MetadataTag.strings:
            var count = varint() ?? 0
            while count > 0, !isDamaged {
                _ = varint().flatMap { slice($0) }
                count -= 1
            }
        default: isDamaged = true
        }
        if isDamaged { return nil }
        remaining -= 1
        return (name, Field(tag: tag[0], payload: UnsafeRawBufferPointer(rebasing: bytes[start..<offset])))
    }

    private mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while offset < bytes.count, shift < 64 {
            let byte = bytes[offset]
            offset += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        isDamaged = true
        return nil
    }

    private mutating func slice(_ count: UInt64) -> UnsafeRawBufferPointer? {
        guard count <= UInt64(bytes.count - offset) else {
            isDamaged = true
            return nil
        }
        defer { offset += Int(count) }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + Int(count)])
    }
}
