// CRC32C (Castagnoli, RFC 3720 appendix B.4) with the processor's instruction, and the mask that keeps a checksum of
// bytes that contain checksums from cancelling out.  FORMAT.md §2.4
//
// Processors without the instruction (x86-64 before 2010, and whatever is neither x86-64 nor arm64) use tables, eight
// bytes at a time.

import CApusCPU

enum CRC32C {
    /// The checksum of `bytes`, continuing from `seed` (the checksum of what came before; 0 at the start).
    @inline(__always)
    static func checksum(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
        guard let base = bytes.baseAddress else { return seed }
        #if arch(x86_64) || arch(arm64)
        if apus_has_crc32c() != 0 { return ~apus_crc32c(~seed, base, bytes.count) }
        #endif
        return software(bytes, seed: seed)
    }

    /// What is stored: a rotation and an offset, so that a checksum inside checksummed bytes does no harm.
    static func mask(_ checksum: UInt32) -> UInt32 {
        (checksum >> 15 | checksum << 17) &+ 0xA282_EAD8
    }

    /// The same checksum without the instruction.
    static func software(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
        tables.withUnsafeBufferPointer { tables in
            var state = ~seed
            var index = 0
            while bytes.count - index >= 8 {
                let word: UInt64 = bytes.littleEndian(at: index) ^ UInt64(state)
                state = 0
                for lane in 0..<8 {
                    let byte = Int(truncatingIfNeeded: word >> UInt64(8 &* lane)) & 0xFF
                    state ^= tables[256 &* (7 &- lane) &+ byte]
                }
                index += 8
            }
            for byte in bytes[index...] {
                state = tables[Int(UInt8(truncatingIfNeeded: state) ^ byte)] ^ (state >> 8)
            }
            return ~state
        }
    }

    /// Table t, entry b: the state after byte b and t zero bytes.
    private static let tables: [UInt32] = {
        var tables: [UInt32] = (0..<256).map { byte in
            (0..<8).reduce(UInt32(byte)) { state, _ in state & 1 == 0 ? state >> 1 : state >> 1 ^ 0x82F6_3B78 }
        }
        for index in 256..<2048 {
            let state = tables[index - 256]
            tables.append(tables[Int(state & 0xFF)] ^ (state >> 8))
        }
        return tables
    }()
}
