// Where a chunk is kept: a fingerprint of its bytes, made fast rather than safe. Chunks with equal fingerprints are
// compared byte by byte before one stands for the other, so nothing depends on the fingerprint but speed: a second
// SHA-256 over every byte would cost more than everything else together, and comparing costs no more than hashing, and
// only for chunks that are there already.

import Apus

/// The key of a chunk: 16 bytes.
struct ChunkAddress: Hashable, Sendable, ByteRepresentable, CustomStringConvertible {
    var high: UInt64
    var low: UInt64

    static let byteCount = 16

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// nil unless there are exactly 16 bytes.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count == Self.byteCount else { return nil }
        high = UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
        low = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    }

    func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        bytes.appendBigEndian(high)
        bytes.appendBigEndian(low)
        return try bytes.withBytes(body)
    }

    /// Where to look if another chunk has the address.
    var next: ChunkAddress { ChunkAddress(high: high, low: low &+ 1) }

    var description: String { String(high, radix: 16) + "-" + String(low, radix: 16) }
}

/// Makes addresses of contents. Each collection has a secret of its own, lest somebody prepare many contents that share
/// one address.
struct ChunkFingerprint: Sendable {
    private let seed: UInt64
    /// What is left of the words of an address: everything, unless a test wants contents to share addresses.
    private let mask: UInt64

    init(seed: UInt64, mask: UInt64 = .max) {
        self.seed = seed
        self.mask = mask
    }

    /// Four lanes of folded multiplications over stripes of 64 bytes (the construction of Wang Yi's wyhash).
    func address(of bytes: UnsafeRawBufferPointer) -> ChunkAddress {
        var a = seed ^ 0xA076_1D64_78BD_642F
        var b = seed ^ 0xE703_7ED1_A0B4_28DB
        var c = seed ^ 0x8EBC_6AF0_9C88_C6E3
        var d = seed ^ 0x5899_65CC_7537_4CC3
        var offset = 0
        let whole = bytes.count & ~63
        func word(_ at: Int) -> UInt64 {
            UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
        }
        while offset < whole {
            a = Self.fold(word(offset) ^ 0x1D8E_4E27_C47D_124F, word(offset &+ 8) ^ a)
            b = Self.fold(word(offset &+ 16) ^ 0xEB44_ACCA_B455_D165, word(offset &+ 24) ^ b)
            c = Self.fold(word(offset &+ 32) ^ 0x9C6E_6877_736C_46E3, word(offset &+ 40) ^ c)
            d = Self.fold(word(offset &+ 48) ^ 0x2D35_8DCC_AA6C_78A5, word(offset &+ 56) ^ d)
            offset &+= 64
        }
        var rest: UInt64 = 0
        var restCount = 0
        while offset < bytes.count {
            rest = rest << 8 | UInt64(bytes[offset])
            restCount += 1
            offset += 1
            if restCount & 7 == 0 || offset == bytes.count {
                a = Self.fold(a ^ rest, 0x8BB8_4B93_962E_ACC9 ^ b)
                b = b &+ a
                rest = 0
            }
        }
        let count = UInt64(bytes.count)
        let left = Self.fold(a ^ count ^ 0x4B33_A62E_D433_D4A3, b ^ 0x4D5A_2DA5_1DE1_AA47)
        let right = Self.fold(c ^ 0xAAAA_5555_96A3_C1D9, d ^ 0xC3A5_C85C_97CB_3127)
        return ChunkAddress(
            high: Self.fold(left ^ 0x9AE1_6A3B_2F90_404F, right ^ seed) & mask,
            low: Self.fold(left &+ right, count ^ d &+ b) & mask)
    }

    @inline(__always)
    private static func fold(_ x: UInt64, _ y: UInt64) -> UInt64 {
        let product = x.multipliedFullWidth(by: y)
        return product.high ^ product.low
    }
}
