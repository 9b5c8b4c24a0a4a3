// The hash that filters are built from: frozen, because filters are on disk.  FORMAT.md §4.5
//
// Multiply 64 by 64 bits and fold the halves (the scheme of wyhash): 16 bytes a step, 1–2 ns for a short key.

import ApusIO

enum KeyHash {
    private static let secret0: UInt64 = 0xA076_1D64_78BD_642F
    private static let secret1: UInt64 = 0xE703_7ED1_A0B4_28DB
    private static let secret2: UInt64 = 0x8EBC_6AF0_9C88_C6E3

    /// A lookup computes this once and asks every filter with it.
    static func of(_ key: UnsafeRawBufferPointer) -> UInt64 {
        let count = key.count
        var state = fold(UInt64(count) ^ secret0, secret1)
        var position = 0
        while count &- position > 16 {
            let first: UInt64 = key.littleEndian(at: position)
            let second: UInt64 = key.littleEndian(at: position &+ 8)
            state = fold(first ^ secret1, second ^ state)
            position &+= 16
        }
        // The last 0 to 16 bytes, as two words that may overlap.
        let rest = count &- position
        var first: UInt64 = 0
        var second: UInt64 = 0
        if rest >= 8 {
            first = key.littleEndian(at: position)
            second = key.littleEndian(at: count &- 8)
        } else if rest >= 4 {
            first = UInt64(key.littleEndian(at: position) as UInt32)
            second = UInt64(key.littleEndian(at: count &- 4) as UInt32)
        } else if rest > 0 {
            first =
                UInt64(key[position]) << 16 | UInt64(key[position &+ rest / 2]) << 8 | UInt64(key[count &- 1])
        }
        return fold(fold(first ^ secret1, second ^ state) ^ secret2, secret0)
    }

    @inline(__always)
    private static func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = a.multipliedFullWidth(by: b)
        return product.high ^ product.low
    }
}
