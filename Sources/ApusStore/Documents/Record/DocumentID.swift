// The two scalars that documents need and the standard library lacks: identifiers that sort by the time they were made,
// and points in time. Both have forms of their own in records and keys.

import Apus
import ApusIO

/// A 128-bit identifier, a UUID of version 7 (RFC 9562): the time in milliseconds, then randomness. Later ones sort
/// after earlier ones, so documents that are written one after the other lie side by side.
///
/// ```swift
/// struct Message: Document {
///     var id = DocumentID.automatic          // assigned when it is inserted
///     …
/// ```
public struct DocumentID: Sendable, Hashable, Comparable {
    /// Sixteen bytes as one number, the first byte most significant.
    public var value: UInt128

    public init(_ value: UInt128) { self.value = value }

    /// "Give me one": `insert` replaces it by a new identifier, and returns that.
    public static let automatic = DocumentID(0)

    /// A new identifier. Collections make them from the database's clock and randomness: see `Documents.newID()`.
    public init(milliseconds: UInt64, random high: UInt64, _ low: UInt64) {
        let time = UInt128(milliseconds & 0xFFFF_FFFF_FFFF) << 80
        let version = UInt128(0x7000 | (high & 0x0FFF)) << 64
        let variant = UInt128(low & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000)
        value = time | version | variant
    }

    init(environment: Environment) {
        self.init(
            milliseconds: environment.clock.wallMilliseconds(), random: environment.random.next(),
            environment.random.next())
    }

    /// When it was made, if it is of version 7.
    public var milliseconds: UInt64 { UInt64(truncatingIfNeeded: value >> 80) }

    public static func < (a: DocumentID, b: DocumentID) -> Bool { a.value < b.value }
}

extension DocumentID: LosslessStringConvertible {
    /// The usual form: `018bcfe5-6800-7a52-9c3e-2f1d0b6a7c58`.
    public var description: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(unsafeUninitializedCapacity: 36) { buffer in
            var position = 0
            for index in 0..<32 {
                if index == 8 || index == 12 || index == 16 || index == 20 {
                    buffer[position] = UInt8(ascii: "-")
                    position += 1
                }
                buffer[position] = digits[Int(truncatingIfNeeded: value >> UInt128(124 - 4 * index)) & 15]
                position += 1
            }
            return 36
        }
    }

    /// From 32 hexadecimal digits, with or without the hyphens.
    public init?(_ description: String) {
        var value: UInt128 = 0
        var digits = 0
        for byte in description.utf8 where byte != UInt8(ascii: "-") {
            guard let digit = hexDigit(byte), digits < 32 else { return nil }
            value = value << 4 | UInt128(digit)
            digits += 1
        }
        guard digits == 32 else { return nil }
        self.init(value)
    }
}

extension DocumentID: Codable {
    /// For coders other than the store's own: as a string.
    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let id = DocumentID(text) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "\"\(text)\" is no identifier"))
        }
        self = id
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// Types around an identifier encode as the identifier, as those around strings and integers do in Swift itself:
/// `struct UserID: RawRepresentable, Codable { var rawValue: DocumentID }`.
extension RawRepresentable where Self: Encodable, RawValue == DocumentID {
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }
}

extension RawRepresentable where Self: Decodable, RawValue == DocumentID {
    public init(from decoder: any Decoder) throws {
        let id = try decoder.singleValueContainer().decode(DocumentID.self)
        guard let value = Self(rawValue: id) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "\(id) is no \(Self.self)"))
        }
        self = value
    }
}

/// A point in time, in milliseconds.
public struct Timestamp: Sendable, Hashable, Comparable {
    /// Since 1970-01-01 UTC; negative before.
    public var milliseconds: Int64

    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    public static func < (a: Timestamp, b: Timestamp) -> Bool { a.milliseconds < b.milliseconds }

    public static func + (time: Timestamp, duration: Duration) -> Timestamp {
        let (sum, overflow) = time.milliseconds.addingReportingOverflow(duration.saturatedMilliseconds)
        return Timestamp(milliseconds: overflow ? (duration < .zero ? .min : .max) : sum)
    }

    public static func - (time: Timestamp, duration: Duration) -> Timestamp {
        let (difference, overflow) = time.milliseconds.subtractingReportingOverflow(duration.saturatedMilliseconds)
        return Timestamp(milliseconds: overflow ? (duration < .zero ? .max : .min) : difference)
    }
}

extension Timestamp: Codable {
    /// For coders other than the store's own: as a number of milliseconds.
    public init(from decoder: any Decoder) throws {
        self.init(milliseconds: try decoder.singleValueContainer().decode(Int64.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(milliseconds)
    }
}

/// The value of a hexadecimal digit; nil if it is none.
func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}
