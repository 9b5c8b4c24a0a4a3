// What a session is called: a random number, too large to be guessed.

import ApusIO

/// The name of a session: 128 random bits, which whoever presents them is taken to have been given.
public struct SessionID: Hashable, Sendable {
    let high: UInt64
    let low: UInt64

    static let byteCount = 16

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    init(_ random: any RandomSource) {
        self.init(high: random.next(), low: random.next())
    }

    /// nil unless there are exactly 16 bytes.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count == Self.byteCount else { return nil }
        high = UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
        low = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    }

    /// From what `description` gives; nil if the text is none.
    public init?(_ text: some StringProtocol) {
        let digits = Array(text.utf8)
        guard digits.count == 2 * Self.byteCount else { return nil }
        var words: [UInt64] = [0, 0]
        for (index, digit) in digits.enumerated() {
            let value: UInt8
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
            default: return nil
            }
            words[index / 16] = words[index / 16] << 4 | UInt64(value)
        }
        self.init(high: words[0], low: words[1])
    }
}

extension SessionID: Comparable {
    public static func < (left: SessionID, right: SessionID) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}

/// Text is 32 hexadecimal digits.
extension SessionID: CustomStringConvertible {
    public var description: String {
        let digits = Array("0123456789abcdef".utf8)
        let text = [high, low].flatMap { word in
            stride(from: UInt64(60), through: 0, by: -4).map { digits[Int(word >> $0 & 15)] }
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// Encoded as its text.
extension SessionID: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let id = SessionID(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "the name of a session is 32 hexadecimal digits")
        }
        self = id
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
