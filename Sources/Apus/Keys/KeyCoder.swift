// Tuple keys: byte strings whose unsigned order is the order of the tuples they encode. The engine itself knows byte
// keys only; this is how to get any other order without a comparator.
//
//   element:  tag: u8 │ body          a key is its elements, one after the other
//   ascending tags:  02 null │ 04 false, 05 true │ 0C–1C integer │ 20 double │ 24 date │ 28 uuid │ 2C bytes │
//                    30 string │ 34 tuple; 00 ends a tuple
//   descending:      tag and body with every bit inverted                                       — FORMAT.md §7
//
// Every element says itself where it ends, so a tuple that begins another is a byte prefix of it, and byte prefixes
// that end at an element are tuples: `KeyRange.prefix` works on them.

/// Encodes tuples as keys that sort as the tuples do, and decodes them.
///
/// ```swift
/// let key = KeyCoder.encode("invoice", KeyElement(year), .descending(.date(milliseconds: created)))
/// let tuple = try KeyCoder.decode(key)
/// try invoices.entries(KeyCoder.range(of: "invoice", 2024))      // everything of 2024, the newest first
/// ```
public enum KeyCoder {
    /// How deep tuples may nest. Decoding refuses more, so that no input can exhaust the stack.
    public static let nestingLimit = 32

    /// The key of a tuple.
    ///
    /// - Precondition: tuples nest at most `nestingLimit` deep.
    public static func encode(_ elements: KeyElement...) -> [UInt8] {
        encode(elements)
    }

    public static func encode(_ elements: [KeyElement]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(16 * elements.count)
        for element in elements { append(element, to: &bytes, depth: 0) }
        return bytes
    }

    /// The keys of all tuples that begin with these elements, the tuple itself included.
    public static func range(of elements: KeyElement...) -> KeyRange {
        .prefix(encode(elements))
    }

    /// The tuple of a key.
    ///
    /// - Throws: `KeyDecodingError` if the bytes are not the encoding of any tuple. Every tuple has one encoding.
    public static func decode(_ key: some ByteRepresentable) throws(KeyDecodingError) -> [KeyElement] {
        try key.withBytes { (bytes) throws(KeyDecodingError) in
            var decoder = KeyDecoder(bytes)
            return try decoder.elements()
        }
    }

    // MARK: Encoding

    private static func append(_ element: KeyElement, to bytes: inout [UInt8], depth: Int) {
        switch element {
        case .null: bytes.append(KeyTag.null)
        case .bool(let value): bytes.append(value ? KeyTag.true : KeyTag.false)
        case .integer(let value): appendInteger(negative: value < 0, magnitude: value.magnitude, to: &bytes)
        case .unsigned(let value): appendInteger(negative: false, magnitude: value, to: &bytes)
        case .double(let value):
            bytes.append(KeyTag.double)
            let bits = value.bitPattern
            appendBigEndian(bits & KeyTag.signBit == 0 ? bits | KeyTag.signBit : ~bits, to: &bytes)
        case .date(let milliseconds):
            bytes.append(KeyTag.date)
            appendBigEndian(UInt64(bitPattern: milliseconds) ^ KeyTag.signBit, to: &bytes)
        case .uuid(let value):
            bytes.append(KeyTag.uuid)
            appendBigEndian(UInt64(truncatingIfNeeded: value >> 64), to: &bytes)
            appendBigEndian(UInt64(truncatingIfNeeded: value), to: &bytes)
        case .bytes(let content): appendEscaped(content, tag: KeyTag.bytes, to: &bytes)
        case .string(let text): appendEscaped(text.utf8, tag: KeyTag.string, to: &bytes)
        case .tuple(let elements):
            precondition(depth < nestingLimit, "tuples of a key nest deeper than \(nestingLimit)")
            bytes.append(KeyTag.tuple)
            for element in elements { append(element, to: &bytes, depth: depth + 1) }
            bytes.append(KeyTag.tupleEnd)
        case .descending(let element):
            let start = bytes.count
            append(element, to: &bytes, depth: depth)
            for index in start..<bytes.count { bytes[index] = ~bytes[index] }
        }
    }

    /// The tag counts the bytes of the magnitude, so that longer means further from zero.
    static func appendInteger(negative: Bool, magnitude: UInt64, to bytes: inout [UInt8]) {
        let byteCount = (64 - magnitude.leadingZeroBitCount + 7) / 8
        bytes.append(negative ? KeyTag.zero - UInt8(byteCount) : KeyTag.zero + UInt8(byteCount))
        for index in stride(from: byteCount - 1, through: 0, by: -1) {
            let byte = UInt8(truncatingIfNeeded: magnitude >> UInt64(8 * index))
            bytes.append(negative ? ~byte : byte)
        }
    }

    private static func appendBigEndian(_ value: UInt64, to bytes: inout [UInt8]) {
        for shift in stride(from: UInt64(56), through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    private static func appendEscaped(_ content: some Collection<UInt8>, tag: UInt8, to bytes: inout [UInt8]) {
        bytes.append(tag)
        for byte in content {
            bytes.append(byte)
            if byte == 0 { bytes.append(KeyTag.escapedZero) }
        }
        bytes.append(0)
        bytes.append(KeyTag.contentEnd)
    }
}

/// The numbers of the key encoding. In stored keys: never renumber.
enum KeyTag {
    static let tupleEnd: UInt8 = 0x00
    static let null: UInt8 = 0x02
    static let `false`: UInt8 = 0x04
    static let `true`: UInt8 = 0x05
    /// Zero itself; ± the number of bytes of the magnitude for every other integer.
    static let zero: UInt8 = 0x14
    static let double: UInt8 = 0x20
    static let date: UInt8 = 0x24
    static let uuid: UInt8 = 0x28
    static let bytes: UInt8 = 0x2C
    static let string: UInt8 = 0x30
    static let tuple: UInt8 = 0x34

    /// After a zero byte of a string or bytes: the zero is content.
    static let escapedZero: UInt8 = 0xFF
    /// After a zero byte: the content ended before it.
    static let contentEnd: UInt8 = 0x01
    /// Descending elements have their bits inverted, so their tags have this one set; no ascending tag has it.
    static let descendingBit: UInt8 = 0x80
    static let signBit: UInt64 = 1 << 63
}
