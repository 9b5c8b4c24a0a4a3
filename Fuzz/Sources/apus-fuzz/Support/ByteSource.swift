// Turns the bytes of an input into choices, so that what libFuzzer learns about bytes becomes knowledge about choices.
// Behind the end everything is zero.

struct ByteSource {
    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }

    mutating func byte() -> UInt8 {
        guard position < bytes.count else { return 0 }
        defer { position += 1 }
        return bytes[position]
    }

    /// - Parameter limit: up to 65,536.
    mutating func below(_ limit: Int) -> Int {
        limit <= 256 ? Int(byte()) % limit : (Int(byte()) | Int(byte()) << 8) % limit
    }

    mutating func flag() -> Bool { byte() & 1 != 0 }

    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }

    /// Any number; one byte says how many follow.
    mutating func number() -> UInt64 {
        let count = below(9)
        return (0..<count).reduce(0) { value, index in value | UInt64(byte()) << UInt64(8 * index) }
    }

    /// Up to `limit` bytes; their count comes first.
    mutating func bytes(upTo limit: Int) -> [UInt8] {
        take(min(below(limit + 1), bytes.count - position))
    }

    mutating func rest() -> [UInt8] { take(bytes.count - position) }

    private mutating func take(_ count: Int) -> [UInt8] {
        defer { position += count }
        return [UInt8](bytes[position..<(position + count)])
    }
}

extension [UInt8] {
    func integer<Value: FixedWidthInteger>(at offset: Int, _ type: Value.Type = Value.self) -> Value {
        withUnsafeBytes { Value(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: Value.self)) }
    }

    mutating func setInteger(_ value: some FixedWidthInteger, at offset: Int) {
        Swift.withUnsafeBytes(of: value.littleEndian) { replaceSubrange(offset..<(offset + $0.count), with: $0) }
    }
}
