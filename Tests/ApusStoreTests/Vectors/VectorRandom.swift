// Random vectors for tests, from a seed.

import ApusSimulation

@testable import ApusStore

struct VectorRandom {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1 }

    /// SplitMix64.
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ bits >> 30) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ bits >> 27) &* 0x94D0_49BB_1331_11EB
        return bits ^ bits >> 31
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

    mutating func unit() -> Float { Float(next() >> 40) / Float(1 << 24) }

    /// Roughly normal.
    mutating func float() -> Float { (0..<6).reduce(-3) { sum, _ in sum + unit() } }

    mutating func floats(_ count: Int) -> [Float] { (0..<count).map { _ in float() } }

    /// A vector near one of `topics`, as texts lie near their subjects: harder for a graph than points at random.
    mutating func vector(near topics: [[Float]]) -> [Float] {
        let first = topics[below(topics.count)]
        let second = topics[below(topics.count)]
        let share = unit()
        return (0..<first.count).map { first[$0] * share + second[$0] * (1 - share) + 0.5 * float() }
    }
}

/// Distances as the definition has them, in double precision.
enum PlainDistance {
    static func between(_ a: [Float], _ b: [Float], _ metric: VectorMetric) -> Double {
        var dot = 0.0
        var squares = 0.0
        var normA = 0.0
        var normB = 0.0
        for (x, y) in zip(a, b) {
            let x = Double(x)
            let y = Double(y)
            dot += x * y
            squares += (x - y) * (x - y)
            normA += x * x
            normB += y * y
        }
        switch metric {
        case .dot: return -dot
        case .l2: return squares
        case .cosine: return normA > 0 && normB > 0 ? 1 - dot / (normA * normB).squareRoot() : 1
        }
    }
}
