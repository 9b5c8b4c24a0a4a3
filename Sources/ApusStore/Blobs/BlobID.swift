// What a blob is called: the SHA-256 of its content.

public import Apus
import Crypto

/// The address of a blob: the SHA-256 of its content, so equal contents have one address, wherever they come from.
public struct BlobID: Hashable, Sendable {
    // Four big-endian words, so that they compare as the bytes do.
    private let words: (UInt64, UInt64, UInt64, UInt64)

    public static let byteCount = 32

    /// nil unless there are exactly 32 bytes.
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        var iterator = bytes.makeIterator()
        func word() -> UInt64 {
            (0..<8).reduce(into: 0) { word, _ in word = word << 8 | UInt64(iterator.next() ?? 0) }
        }
        words = (word(), word(), word(), word())
    }

    /// The address that `content` has, whether it is stored anywhere or not.
    public init(of content: some ByteRepresentable) {
        self = content.withBytes { bytes in
            var hash = ContentHash()
            hash.update(bytes)
            return hash.finish()
        }
    }

    /// From 64 hexadecimal digits; nil if they are none.
    public init?(hexadecimal: some StringProtocol) {
        let digits = Array(hexadecimal.utf8)
        guard digits.count == 2 * Self.byteCount else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = Self.value(ofDigit: digits[index]), let low = Self.value(ofDigit: digits[index + 1]) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        self.init(bytes)
    }

    /// The 32 bytes.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        for word in [words.0, words.1, words.2, words.3] { bytes.appendBigEndian(word) }
        return bytes
    }

    private static func value(ofDigit digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    public static func == (left: BlobID, right: BlobID) -> Bool { left.words == right.words }

    public func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}

extension BlobID: Comparable {
    public static func < (left: BlobID, right: BlobID) -> Bool { left.words < right.words }
}

extension BlobID: ByteRepresentable {
    public func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try bytes.withBytes(body)
    }
}

/// Text is 64 hexadecimal digits.
extension BlobID: CustomStringConvertible {
    public var description: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

/// Encoded as its hexadecimal text.
extension BlobID: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let id = BlobID(hexadecimal: try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "the address of a blob is 64 hexadecimal digits")
        }
        self = id
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// SHA-256 of content that comes in pieces.
struct ContentHash: Sendable {
    private var hash = SHA256()

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        hash.update(bufferPointer: bytes)
    }

    func finish() -> BlobID {
        BlobID(Array(hash.finalize()))!
    }
}
