// Tuple keys written element by element into one buffer: the bytes of KeyCoder, without a `KeyElement` for each. For
// layers that make many keys out of values which they do not hold as Swift values at all.

import ApusIO

/// Writes a tuple key without making its elements first.
///
/// ```swift
/// var key = KeyWriter()
/// key.append("invoice")
/// key.append(date: created, descending: true)
/// try invoices.put(key.bytes, invoice)          // the key of KeyCoder.encode("invoice", .descending(.date(…)))
/// ```
public struct KeyWriter: Sendable {
    /// The key so far.
    public private(set) var bytes: [UInt8]

    public init(reservingCapacity capacity: Int = 64) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    /// Goes on behind a key, or part of one, that was written before.
    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    public var byteCount: Int { bytes.count }

    /// Cuts the key back to its first `byteCount` bytes, and keeps the memory.
    public mutating func truncate(to byteCount: Int) {
        bytes.removeLast(bytes.count - byteCount)
    }

    /// Appends bytes that another writer has made.
    @inlinable
    public mutating func append(encoded: some ByteRepresentable) {
        encoded.withBytes { appendEncodedBytes($0) }
    }

    @usableFromInline
    mutating func appendEncodedBytes(_ encoded: UnsafeRawBufferPointer) { bytes.append(contentsOf: encoded) }

    public mutating func appendNull(descending: Bool = false) {
        bytes.append(KeyTag.null ^ Self.inversion(descending))
    }

    public mutating func append(_ value: Bool, descending: Bool = false) {
        bytes.append((value ? KeyTag.true : KeyTag.false) ^ Self.inversion(descending))
    }

    public mutating func append(_ value: Int64, descending: Bool = false) {
        let start = bytes.count
        KeyCoder.appendInteger(negative: value < 0, magnitude: value.magnitude, to: &bytes)
        if descending { invert(from: start) }
    }

    public mutating func append(_ value: UInt64, descending: Bool = false) {
        let start = bytes.count
        KeyCoder.appendInteger(negative: false, magnitude: value, to: &bytes)
        if descending { invert(from: start) }
    }

    public mutating func append(_ value: Double, descending: Bool = false) {
        let bits = value.bitPattern
        appendTagged(
            KeyTag.double, bits & KeyTag.signBit == 0 ? bits | KeyTag.signBit : ~bits, inverted: descending)
    }

    /// Milliseconds since 1970-01-01 UTC.
    public mutating func append(date milliseconds: Int64, descending: Bool = false) {
        appendTagged(KeyTag.date, UInt64(bitPattern: milliseconds) ^ KeyTag.signBit, inverted: descending)
    }

    public mutating func append(uuid value: UInt128, descending: Bool = false) {
        appendTagged(KeyTag.uuid, UInt64(truncatingIfNeeded: value >> 64), inverted: descending)
        appendBigEndian(UInt64(truncatingIfNeeded: value), inverted: descending)
    }

    public mutating func append(_ text: String, descending: Bool = false) {
        text.withBytes { append(utf8: $0, descending: descending) }
    }

    /// A string, given by its bytes.
    /// - Precondition: they are UTF-8; otherwise the key decodes no more.
    public mutating func append(utf8 content: UnsafeRawBufferPointer, descending: Bool = false) {
        appendEscaped(content, tag: KeyTag.string, descending)
    }

    public mutating func append(bytes content: UnsafeRawBufferPointer, descending: Bool = false) {
        appendEscaped(content, tag: KeyTag.bytes, descending)
    }

    /// The beginning of a string, left open: every string with this prefix continues these bytes.
    public mutating func append(prefixOfString prefix: String, descending: Bool = false) {
        let start = bytes.count
        prefix.withBytes { appendContent($0, tag: KeyTag.string) }
        if descending { invert(from: start) }
    }

    // MARK: Encoding

    private static func inversion(_ descending: Bool) -> UInt8 { descending ? 0xFF : 0 }

    private mutating func appendTagged(_ tag: UInt8, _ value: UInt64, inverted: Bool) {
        bytes.append(tag ^ Self.inversion(inverted))
        appendBigEndian(value, inverted: inverted)
    }

    private mutating func appendBigEndian(_ value: UInt64, inverted: Bool) {
        withUnsafeBytes(of: (inverted ? ~value : value).bigEndian) { bytes.append(contentsOf: $0) }
    }

    private mutating func appendEscaped(_ content: UnsafeRawBufferPointer, tag: UInt8, _ descending: Bool) {
        let start = bytes.count
        appendContent(content, tag: tag)
        bytes.append(0)
        bytes.append(KeyTag.contentEnd)
        if descending { invert(from: start) }
    }

    private mutating func appendContent(_ content: UnsafeRawBufferPointer, tag: UInt8) {
        bytes.append(tag)
        // Zeros are rare: whole runs without one are copied at once.
        var start = 0
        while true {
            let zero = Self.firstZero(in: content, from: start)
            let end = zero ?? content.count
            bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: content[start..<end]))
            guard zero != nil else { return }
            bytes.append(0)
            bytes.append(KeyTag.escapedZero)
            start = end + 1
        }
    }

    /// The place of the first zero byte, eight bytes at a time.
    private static func firstZero(in content: UnsafeRawBufferPointer, from start: Int) -> Int? {
        var position = start
        while position &+ 8 <= content.count {
            let word: UInt64 = content.littleEndian(at: position)
            // The lowest bit that is left stands in the first byte that is zero.
            let zeros = (word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080
            if zeros != 0 { return position &+ zeros.trailingZeroBitCount / 8 }
            position &+= 8
        }
        while position < content.count {
            if content[position] == 0 { return position }
            position &+= 1
        }
        return nil
    }

    private mutating func invert(from start: Int) {
        for index in start..<bytes.count { bytes[index] = ~bytes[index] }
    }
}
