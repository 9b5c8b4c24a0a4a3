// Randomness that a seed determines, so that a failing history can be run again: xoshiro256**, seeded by SplitMix64.

import ApusIO

/// A generator with value semantics: a copy continues with the same numbers. xoshiro256** (Blackman and Vigna).
struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    init(seed: UInt64) {
        // SplitMix64 spreads seeds that differ in one bit, and never yields the all-zero state.
        var counter = seed
        func spread() -> UInt64 {
            counter &+= 0x9E37_79B9_7F4A_7C15
            var z = counter
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
        state = (spread(), spread(), spread(), spread())
    }

    mutating func next() -> UInt64 {
        func rotated(_ x: UInt64, by count: UInt64) -> UInt64 { (x << count) | (x >> (64 - count)) }
        let result = rotated(state.1 &* 5, by: 7) &* 9
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = rotated(state.3, by: 45)
        return result
    }

    /// Uniform in `0..<bound`.
    mutating func below(_ bound: Int) -> Int {
        Int.random(in: 0..<bound, using: &self)
    }

    /// True with the given probability.
    mutating func chance(_ probability: Double) -> Bool {
        // 53 bits: what a Double between 0 and 1 can tell apart.
        Double(next() >> 11) * 0x1p-53 < probability
    }
}

/// A source of randomness whose numbers follow from its seed. Thread-safe; deterministic as long as the calls are.
public final class SeededRandom: RandomSource, RandomNumberGenerator {
    private let generator: Monitor<SeededGenerator>

    public init(seed: UInt64) {
        generator = Monitor(SeededGenerator(seed: seed))
    }

    public func next() -> UInt64 {
        generator.withLock { $0.next() }
    }
}
