// The randomness of the tests' model, taken from an input: one byte per choice, so that a mutation changes one choice
// and leaves the rest of the history alone. Behind the end of the input choices follow from what was in it.
//
// A history makes a generator for each of its steps. All of them read on in one input: if each began at its first byte,
// every step would be the same.

struct TestRandom: RandomNumberGenerator {
    /// The input of the run under way, and how much of it was read.
    nonisolated(unsafe) private static var input: [UInt8] = []
    nonisolated(unsafe) private static var position = 0

    private var state: UInt64

    /// Another run begins, with the first byte of `input`.
    static func begin(_ input: [UInt8]) {
        (Self.input, position) = (input, 0)
    }

    /// - Parameter seed: decides what happens behind the end of the input.
    init(seed: UInt64) { state = seed }

    private mutating func mixed() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    private mutating func byte() -> UInt8 {
        guard Self.position < Self.input.count else { return UInt8(truncatingIfNeeded: mixed()) }
        defer { Self.position += 1 }
        return Self.input[Self.position]
    }

    mutating func next() -> UInt64 { (0..<8).reduce(0) { value, _ in value << 8 | UInt64(byte()) } }

    mutating func below(_ limit: Int) -> Int {
        if limit <= 256 { return Int(byte()) % limit }
        return limit <= 1 << 16 ? (Int(byte()) << 8 | Int(byte())) % limit : Int(next() % UInt64(limit))
    }

    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }

    mutating func bytes(_ count: Int, alphabet: [UInt8]? = nil) -> [UInt8] {
        (0..<count).map { _ in
            if let alphabet { alphabet[below(alphabet.count)] } else { byte() }
        }
    }
}

extension [UInt8] {
    /// The order of keys, as the model writes it.
    static func < (a: [UInt8], b: [UInt8]) -> Bool { a.lexicographicallyPrecedes(b) }
}
