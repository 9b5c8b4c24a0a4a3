// Reads tuple keys (FORMAT.md §7) from bytes that anyone may have written. Accepts exactly what KeyCoder writes: what
// decodes encodes to the same bytes again, so two different keys never mean the same tuple.

/// Why bytes are not a tuple key. Offsets count from the start of the key.
public enum KeyDecodingError: Error, Sendable, Hashable {
    /// The key ends in the middle of an element.
    case truncated(offset: Int)
    /// No element starts with this byte.
    case unknownTag(UInt8, offset: Int)
    /// A longer encoding than necessary, or a number outside 64 bits.
    case notCanonical(offset: Int)
    /// A string is not UTF-8.
    case notUnicode(offset: Int)
    /// Tuples nest deeper than `KeyCoder.nestingLimit`.
    case nestedTooDeeply(offset: Int)
}

extension KeyDecodingError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .truncated(let offset): "the tuple key ends inside the element at byte \(offset)"
        case .unknownTag(let tag, let offset): "byte \(offset) of the tuple key, \(tag), starts no element"
        case .notCanonical(let offset): "the element at byte \(offset) of the tuple key is not in its only valid form"
        case .notUnicode(let offset): "the string at byte \(offset) of the tuple key is not UTF-8"
        case .nestedTooDeeply(let offset):
            "the tuple at byte \(offset) of the key nests deeper than \(KeyCoder.nestingLimit)"
        }
    }
}

/// One pass over a key. `inversion` is 0xFF inside an odd number of descending elements, else 0.
struct KeyDecoder {
    private let bytes: UnsafeRawBufferPointer
    private var offset = 0
    private var inversion: UInt8 = 0

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    mutating func elements() throws(KeyDecodingError) -> [KeyElement] {
        var elements: [KeyElement] = []
        while offset < bytes.count { elements.append(try element(depth: 0)) }
        return elements
    }

    private mutating func element(depth: Int) throws(KeyDecodingError) -> KeyElement {
        let start = offset
        let tag = try byte(of: start)
        guard tag & KeyTag.descendingBit == 0 else {
            let outer = inversion
            inversion = ~inversion
            defer { inversion = outer }
            return .descending(try body(of: ~tag, start, depth: depth))
        }
        return try body(of: tag, start, depth: depth)
    }

    private mutating func body(of tag: UInt8, _ start: Int, depth: Int) throws(KeyDecodingError) -> KeyElement {
        switch tag {
        case KeyTag.null: return .null
        case KeyTag.false: return .bool(false)
        case KeyTag.true: return .bool(true)
        case KeyTag.zero - 8...KeyTag.zero + 8: return try integer(tag, start)
        case KeyTag.double:
            let bits = try bigEndian(byteCount: 8, start)
            return .double(Double(bitPattern: bits & KeyTag.signBit != 0 ? bits ^ KeyTag.signBit : ~bits))
        case KeyTag.date:
            return .date(milliseconds: Int64(bitPattern: try bigEndian(byteCount: 8, start) ^ KeyTag.signBit))
        case KeyTag.uuid:
            let high = try bigEndian(byteCount: 8, start)
            return .uuid(UInt128(high) << 64 | UInt128(try bigEndian(byteCount: 8, start)))
        case KeyTag.bytes: return .bytes(try content(start))
        case KeyTag.string:
            let content = try content(start)
            guard let text = String(validating: content, as: UTF8.self) else {
                throw .notUnicode(offset: start)
            }
            return .string(text)
        case KeyTag.tuple: return .tuple(try tuple(start, depth: depth))
        default: throw .unknownTag(bytes[start], offset: start)
        }
    }

    private mutating func integer(_ tag: UInt8, _ start: Int) throws(KeyDecodingError) -> KeyElement {
        let isNegative = tag < KeyTag.zero
        let byteCount = isNegative ? Int(KeyTag.zero - tag) : Int(tag - KeyTag.zero)
        if byteCount == 0 { return .integer(0) }
        var magnitude = try bigEndian(byteCount: byteCount, start)
        if isNegative { magnitude = ~magnitude & (UInt64.max >> UInt64(64 - 8 * byteCount)) }
        // A leading zero byte: a shorter form exists.
        guard magnitude >> UInt64(8 * (byteCount - 1)) != 0 else { throw .notCanonical(offset: start) }
        guard isNegative else {
            return magnitude > Int64.max ? .unsigned(magnitude) : .integer(Int64(magnitude))
        }
        guard magnitude <= Int64.min.magnitude else { throw .notCanonical(offset: start) }
        return .integer(Int64(truncatingIfNeeded: 0 &- magnitude))
    }

    private mutating func tuple(_ start: Int, depth: Int) throws(KeyDecodingError) -> [KeyElement] {
        guard depth < KeyCoder.nestingLimit else { throw .nestedTooDeeply(offset: start) }
        var elements: [KeyElement] = []
        while true {
            guard offset < bytes.count else { throw .truncated(offset: start) }
            if bytes[offset] ^ inversion == KeyTag.tupleEnd {
                offset += 1
                return elements
            }
            elements.append(try element(depth: depth + 1))
        }
    }

    private mutating func content(_ start: Int) throws(KeyDecodingError) -> [UInt8] {
        var content: [UInt8] = []
        while true {
            let next = try byte(of: start)
            guard next == 0 else {
                content.append(next)
                continue
            }
            switch try byte(of: start) {
            case KeyTag.escapedZero: content.append(0)
            case KeyTag.contentEnd: return content
            default: throw .notCanonical(offset: start)
            }
        }
    }

    private mutating func bigEndian(byteCount: Int, _ start: Int) throws(KeyDecodingError) -> UInt64 {
        var value: UInt64 = 0
        for _ in 0..<byteCount { value = value << 8 | UInt64(try byte(of: start)) }
        return value
    }

    private mutating func byte(of start: Int) throws(KeyDecodingError) -> UInt8 {
        guard offset < bytes.count else { throw .truncated(offset: start) }
        defer { offset += 1 }
        return bytes[offset] ^ inversion
    }
}
