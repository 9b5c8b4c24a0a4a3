// The random choices that every engine is given: orders, keys and popularity.

import Glibc
import Testing

@testable import apus_bench

struct DistributionTests {
    @Test(arguments: [1, 2, 3, 7, 64, 1_000, 1_025])
    func permutationHitsEveryIndexOnce(count: Int) {
        let order = Permutation(count: count, seed: 42)
        #expect((0..<count).map { order[$0] }.sorted() == Array(0..<count))
    }

    @Test func permutationDependsOnSeedAndMixes() {
        let (first, second) = (Permutation(count: 1_000, seed: 1), Permutation(count: 1_000, seed: 2))
        #expect((0..<1_000).map { first[$0] } != (0..<1_000).map { second[$0] })
        let ascending = (1..<1_000).count { first[$0] > first[$0 - 1] }
        #expect((400..<600).contains(ascending))
    }

    /// By definition rank r is drawn with probability 1 / (r + 1)^theta over the sum of all those.
    @Test func zipfianRanksAreAsPopularAsTheDistributionSays() {
        let (count, draws) = (1_000, 200_000)
        let zipfian = Zipfian(count: count)
        var random = RandomSource(seed: 7)
        var seen = [Int](repeating: 0, count: count)
        for _ in 0..<draws { seen[zipfian.rank(&random)] += 1 }
        let weights = (1...count).map { 1 / pow(Double($0), Zipfian.theta) }
        let sum = weights.reduce(0, +)
        for rank in [0, 1] {
            let expected = weights[rank] / sum * Double(draws)
            #expect(abs(Double(seen[rank]) - expected) < 0.05 * expected)
        }
        // Beyond the first ranks the method approximates; shares of whole ranges hold.
        for bound in [10, 100, 500] {
            let expected = weights[..<bound].reduce(0, +) / sum
            let share = Double(seen[..<bound].reduce(0, +)) / Double(draws)
            #expect(abs(share - expected) < 0.03)
        }
    }

    @Test(arguments: [1, 2, 3])
    func zipfianRanksOfFewEntriesStayInside(count: Int) {
        let zipfian = Zipfian(count: count)
        var random = RandomSource(seed: 3)
        let ranks = Set((0..<10_000).map { _ in zipfian.rank(&random) })
        #expect(ranks == Set(0..<count))
    }

    @Test func boundedNumbersAreUniform() {
        var random = RandomSource(seed: 5)
        var seen = [Int](repeating: 0, count: 10)
        for _ in 0..<100_000 { seen[random.next(below: 10)] += 1 }
        #expect(seen.allSatisfy { (9_500..<10_500).contains($0) })
    }

    @Test(arguments: [0, 9, 10, 99_999_999, 100_000_000, 1_234_567_890_123])
    func keysAreSixteenDigitsAndReadBack(index: Int) {
        let key = bytes { $0.set(index) }
        let digits = String(decoding: key, as: UTF8.self)
        #expect(digits == String(repeating: "0", count: 16 - String(index).count) + String(index))
        #expect(key.withUnsafeBytes { KeyBuffer.index(of: $0) } == index)
    }

    @Test func missingKeysLieBetweenNeighbours() {
        let (low, between, high) = (bytes { $0.set(7) }, bytes { $0.set(after: 7) }, bytes { $0.set(8) })
        #expect(low.lexicographicallyPrecedes(between))
        #expect(between.lexicographicallyPrecedes(high))
        for (left, right) in [(low, between), (between, high), (low, low), (high, low)] {
            let order = left.withUnsafeBytes { left in right.withUnsafeBytes { compareBytes(left, $0) } }
            #expect((order < 0) == left.lexicographicallyPrecedes(right))
            #expect((order == 0) == (left == right))
        }
    }

    private func bytes(_ set: (KeyBuffer) -> UnsafeRawBufferPointer) -> [UInt8] {
        let buffer = KeyBuffer()
        return withExtendedLifetime(buffer) { Array(set(buffer)) }
    }

    @Test(arguments: [YCSBMix.a, .b, .c, .d, .e, .f])
    func mixesHaveTheSharesThatTheyName(mix: YCSBMix) {
        var random = RandomSource(seed: 11)
        var counts: [YCSBMix.Step: Int] = [:]
        for _ in 0..<100_000 { counts[mix.step(&random), default: 0] += 1 }
        func isNear(_ step: YCSBMix.Step, _ percent: Int) -> Bool {
            abs(counts[step, default: 0] - percent * 1_000) < 1_000
        }
        #expect(isNear(.read, mix.reads) && isNear(.update, mix.updates))
        #expect(isNear(.insert, mix.inserts) && isNear(.scan, mix.scans))
    }

    /// Half-compressible as in db_bench: the second half of every 100 bytes repeats the first.
    @Test func valuesRepeatHalfOfThemselves() {
        let pool = ValuePool(valueByteCount: 100, seed: 1)
        var position = 0
        for _ in 0..<10_486 {
            let value = pool.next(&position)
            #expect(value.count == 100)
        }
        position = 0
        let value = Array(pool.next(&position))
        #expect(value[..<50].elementsEqual(value[50...]))
        #expect(Set(value).count > 10)
    }
}
