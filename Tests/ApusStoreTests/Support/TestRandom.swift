// Random numbers and contents for tests, from a seed.

/// SplitMix64.
struct TestRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }

    /// Bytes that no codec makes smaller.
    mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count {
            let word = next()
            withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
        }
        return Array(bytes.prefix(count))
    }

    /// Bytes that repeat now and then, as text does.
    mutating func text(_ count: Int) -> [UInt8] {
        let words = ["session", "blob", "store", "commit", "apus", "chunk", "list", "of", "and", "the"]
        var text = ""
        while text.utf8.count < count { text += words[Int(next() % UInt64(words.count))] + "\(next() % 1000) " }
        return Array(text.utf8.prefix(count))
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}
