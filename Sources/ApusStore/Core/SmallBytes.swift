// Keys and values of a few words, made without asking the allocator for memory: for what every request of a server does.

import Apus

/// Up to 32 bytes.
struct SmallBytes: ByteRepresentable {
    private let words: (UInt64, UInt64, UInt64, UInt64)
    private let byteCount: Int

    /// A tag, then both numbers big-endian.
    init(tag: UInt8, _ a: UInt64, _ b: UInt64) {
        let head = UInt64(tag) << 56
        words = ((head | a >> 8).bigEndian, (a << 56 | b >> 8).bigEndian, (b << 56).bigEndian, 0)
        byteCount = 17
    }

    /// A tag, then the numbers big-endian.
    init(tag: UInt8, _ a: UInt64, _ b: UInt64, _ c: UInt64) {
        let head = UInt64(tag) << 56
        words = (
            (head | a >> 8).bigEndian, (a << 56 | b >> 8).bigEndian, (b << 56 | c >> 8).bigEndian, (c << 56).bigEndian
        )
        byteCount = 25
    }

    init(littleEndian number: UInt64) {
        words = (number.littleEndian, 0, 0, 0)
        byteCount = 8
    }

    init() {
        words = (0, 0, 0, 0)
        byteCount = 0
    }

    func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try withUnsafeBytes(of: words) { (bytes) throws(Failure) in
            try body(UnsafeRawBufferPointer(rebasing: bytes[..<byteCount]))
        }
    }
}
