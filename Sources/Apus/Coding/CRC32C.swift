// CRC32C (Castagnoli, RFC 3720 appendix B.4) with the processor's instruction, and the mask that keeps a checksum of
// bytes that contain checksums from cancelling out.

import CApusCPU

enum CRC32C {
    /// The checksum of `bytes`, continuing from `seed` (the checksum of what came before; 0 at the start).
    @inline(__always)
    static func checksum(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
        guard let base = bytes.baseAddress else { return seed }
        return ~apus_crc32c(~seed, base, bytes.count)
    }

    /// What is stored: a rotation and an offset, so that a checksum inside checksummed bytes does no harm.
    static func mask(_ checksum: UInt32) -> UInt32 {
        (checksum >> 15 | checksum << 17) &+ 0xA282_EAD8
    }
}
