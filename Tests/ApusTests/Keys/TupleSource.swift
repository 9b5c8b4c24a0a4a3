// Random tuples for the tests of KeyCoder: values near the edges of every type, and pairs that differ in little.

import Apus

struct TupleSource {
    var random: Generator

    init(seed: UInt64) { random = Generator(state: seed) }

    mutating func tuple() -> [KeyElement] {
        (0..<random.next(below: 4)).map { _ in element(depth: 0) }
    }

    /// A tuple that shares a beginning with `tuple`, so that comparisons are decided late.
    mutating func neighbour(of tuple: [KeyElement]) -> [KeyElement] {
        var result = tuple
        switch random.next(below: 4) {
        case 0: return self.tuple()
        case 1: result.append(element(depth: 0))
        case 2 where !result.isEmpty: result.removeLast()
        default:
            if !result.isEmpty { result[random.next(below: result.count)] = element(depth: 0) }
        }
        return result
    }

    private mutating func element(depth: Int) -> KeyElement {
        switch random.next(below: depth < 3 ? 12 : 9) {
        case 0: .null
        case 1: .bool(random.next(below: 2) == 0)
        case 2, 3: .integer(integer())
        case 4: .unsigned(UInt64(bitPattern: integer()))
        case 5: .double(double())
        case 6: .date(milliseconds: integer())
        case 7: .bytes((0..<random.next(below: 4)).map { _ in [0, 1, 0xFE, 0xFF][random.next(below: 4)] })
        case 8:
            .string(
                (0..<random.next(below: 4)).map { _ in ["\0", "a", "b", "é", "😀"][random.next(below: 5)] }.joined()
            )
        case 9: .uuid(UInt128(random.next()) << 64 | UInt128(random.next(below: 2)))
        case 10: .tuple((0..<random.next(below: 3)).map { _ in element(depth: depth + 1) })
        default: .descending(element(depth: depth + 1))
        }
    }

    /// Mostly near a power of two, where encodings change their length.
    private mutating func integer() -> Int64 {
        let power = Int64(bitPattern: UInt64(1) << UInt64(random.next(below: 64)))
        let value = power &+ Int64(random.next(below: 3)) &- 1
        return random.next(below: 2) == 0 ? value : 0 &- value
    }

    private mutating func double() -> Double {
        switch random.next(below: 3) {
        case 0: Double(bitPattern: random.next())
        case 1: Double(random.next(below: 5)) - 2
        default: [0.0, -0.0, .infinity, -.infinity, .nan, .leastNonzeroMagnitude][random.next(below: 6)]
        }
    }
}

extension TupleSource {
    /// SplitMix64: small, and the same on every machine.
    struct Generator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var value = state
            value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
            value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
            return value ^ value >> 31
        }

        mutating func next(below bound: Int) -> Int {
            Int(next() % UInt64(bound))
        }
    }
}
