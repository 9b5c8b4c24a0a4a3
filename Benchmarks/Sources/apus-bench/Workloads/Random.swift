// Randomness that is the same for every engine: everything follows from one seed.

/// SplitMix64: one multiplication chain per number, so that drawing a key costs next to nothing.
struct RandomSource {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    @inline(__always)
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed &>> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed &>> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed &>> 31)
    }

    /// Uniform in `0..<bound`.
    @inline(__always)
    mutating func next(below bound: Int) -> Int {
        Int(truncatingIfNeeded: next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// Uniform in [0, 1).
    @inline(__always)
    mutating func nextUnit() -> Double {
        Double(next() &>> 11) * 0x1p-53
    }
}

/// A random order of `0..<count` that needs no memory: a bijection on the next power of two, walked until it falls
/// inside.
struct Permutation {
    private let count: UInt64
    private let mask: UInt64
    private let shift: UInt64
    private let offset: UInt64

    init(count: Int, seed: UInt64) {
        self.count = UInt64(count)
        let bits = max(2, UInt64.bitWidth - UInt64(max(1, count - 1)).leadingZeroBitCount)
        mask = (1 << UInt64(bits)) - 1
        shift = UInt64((bits + 1) / 2)
        offset = seed & mask
    }

    @inline(__always)
    subscript(index: Int) -> Int {
        var value = UInt64(index)
        repeat {
            value = (value &+ offset) & mask
            value = (value &* 0x9E37_79B9_7F4A_7C15) & mask
            value ^= value &>> shift
            value = (value &* 0xD6E8_FEB8_6659_FD93) & mask
            value ^= value &>> shift
        } while value >= count
        return Int(truncatingIfNeeded: value)
    }
}
