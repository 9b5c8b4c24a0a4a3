// IEEE 754 binary16 as bits. Swift's `Float16` does not exist on every platform that the engine supports.

/// Conversions between 32-bit and 16-bit floating point.
enum HalfFloat {
    /// The largest finite value.
    static let greatestFiniteMagnitude: Float = 65_504

    /// The nearest 16-bit float, ties to even. What is too large becomes infinite.
    static func bits(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        let sign = UInt16(truncatingIfNeeded: bits >> 16) & 0x8000
        let magnitude = bits & 0x7FFF_FFFF
        if magnitude >= 0x7F80_0000 { return sign | (magnitude > 0x7F80_0000 ? 0x7E00 : 0x7C00) }
        if magnitude >= 0x477F_F000 { return sign | 0x7C00 }
        if magnitude < 0x3880_0000 {
            // Subnormal: a multiple of 2⁻²⁴. Scaling by a power of two is exact, and rounds to even.
            let units = (Float(bitPattern: magnitude) * 16_777_216).rounded(.toNearestOrEven)
            return sign | UInt16(units)
        }
        let roundedUp = magnitude &+ 0x0FFF &+ (magnitude >> 13 & 1)
        return sign | UInt16(truncatingIfNeeded: (roundedUp &- 0x3800_0000) >> 13)
    }

    /// The same value with 32 bits.
    static func widened(_ bits: UInt16) -> Float {
        let sign = UInt32(bits & 0x8000) << 16
        let exponent = UInt32(bits >> 10 & 0x1F)
        let fraction = UInt32(bits & 0x3FF)
        switch exponent {
        case 0: return Float(bitPattern: sign | (Float(fraction) / 16_777_216).bitPattern)
        case 31: return Float(bitPattern: sign | 0x7F80_0000 | fraction << 13)
        default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
        }
    }
}
