// What the index has no memory for: ranges of numbers against a set of them, and collections that are over their budget
// for a while.

import Apus
import Testing

@testable import ApusStore

@Suite struct UnindexedNodesTests {
    @Test(arguments: 1...8)
    func rangesContainWhatWasInsertedAndStays(seed: Int) {
        var random = VectorRandom(seed: UInt64(seed))
        var ranges = NodeRanges()
        var model: Set<UInt64> = []
        var next: UInt64 = 1
        for _ in 0..<3_000 {
            switch random.below(4) {
            case 0, 1:
                // Most are new, some come late, and stretches of others lie between.
                next += random.below(8) == 0 ? UInt64(random.below(50)) : 1
                let node = random.below(10) == 0 ? UInt64(random.below(Int(next))) : next
                ranges.insert(node)
                model.insert(node)
            default:
                guard let node = random.below(2) == 0 ? model.min() : model.randomElement() else { continue }
                ranges.remove(node)
                model.remove(node)
            }
            let list = ranges.ranges
            #expect(list.count <= NodeRanges.limit)
            #expect(zip(list, list.dropFirst()).allSatisfy { $0.upperBound + 1 < $1.lowerBound })
        }
        for node in model { #expect(ranges.ranges.contains { $0.contains(node) }) }
        for node in model.sorted() { ranges.remove(node) }
    }

    @Test func rangesShrinkToNothing() {
        var ranges = NodeRanges()
        for node in 10...20 as ClosedRange<UInt64> { ranges.insert(node) }
        #expect(ranges.ranges == [10...20])
        for node in [10, 20, 15] as [UInt64] { ranges.remove(node) }
        #expect(ranges.ranges == [11...14, 16...19])
        for node in 11...19 as ClosedRange<UInt64> { ranges.remove(node) }
        #expect(ranges.ranges.isEmpty)
        ranges.remove(3)
        #expect(ranges.ranges.isEmpty)
    }

    private static func overBudget(_ store: Store) throws -> VectorCollection {
        var options = VectorOptions(memoryBudget: 60_000)
        options.smallCount = 0
        let vectors = try store.vectors("v", dimension: 16, metric: .l2, options: options)
        var random = VectorRandom(seed: 5)
        for number in 0..<400 { try vectors.upsert("\(number)", random.floats(16)) }
        #expect(vectors.statistics.isOverBudget)
        return vectors
    }

    /// Once over its budget, a collection had every search read all that was written afterwards in the database, for as
    /// long as it was open, however much room there was.
    @Test func roomThatBecomesFreeIsUsedAgain() throws {
        let store = try StoreFixture().open()
        let vectors = try Self.overBudget(store)
        for number in 100..<400 { try vectors.delete("\(number)") }
        #expect(!vectors.statistics.isOverBudget, "what was not in the index has been deleted")
        var random = VectorRandom(seed: 6)
        for _ in 0..<10 {
            for number in 0..<100 { try vectors.upsert("\(number)", random.floats(16)) }
        }
        #expect(!vectors.statistics.isOverBudget, "there was room for what came later")
        #expect(vectors.statistics.indexedCount == 100)
        try Self.expectExactResults(vectors, numbers: 0..<100, &random)
    }

    @Test func whatIsWrittenAgainLeavesTheRanges() throws {
        let store = try StoreFixture().open()
        let vectors = try Self.overBudget(store)
        for number in 0..<200 { try vectors.delete("\(number)") }
        var random = VectorRandom(seed: 7)
        for _ in 0..<3 {
            for number in 200..<400 { try vectors.upsert("\(number)", random.floats(16)) }
        }
        #expect(!vectors.statistics.isOverBudget && vectors.statistics.indexedCount == 200)
        try Self.expectExactResults(vectors, numbers: 200..<400, &random)
    }

    @Test func olderSnapshotsStillFindWhatWasDeleted() throws {
        let store = try StoreFixture().open()
        let vectors = try Self.overBudget(store)
        let snapshot = try store.snapshot()
        for number in 0..<400 { try vectors.delete("\(number)") }
        #expect(try vectors.search([Float](repeating: 0, count: 16), count: 400, effort: .exact).isEmpty)
        let found = try vectors.search(
            [Float](repeating: 0, count: 16), count: 400, effort: .exact, in: snapshot)
        #expect(found.count == 400)
        snapshot.release()
        try vectors.upsert("k", [Float](repeating: 0, count: 16))
        try vectors.delete("k")
        #expect(!vectors.statistics.isOverBudget)
    }

    @Test func whatWasNeverCommittedLeavesTheRanges() throws {
        let store = try StoreFixture().open()
        let vectors = try Self.overBudget(store)
        let before = vectors.unindexed.ranges
        struct Refused: Error {}
        #expect(throws: Refused.self) {
            try store.transaction { transaction in
                try vectors.upsert("k", [Float](repeating: 0, count: 16), in: transaction)
                throw Refused()
            }
        }
        #expect(vectors.unindexed.ranges == before)
    }

    private static func expectExactResults(
        _ vectors: VectorCollection, numbers: Range<Int>, _ random: inout VectorRandom
    ) throws {
        for _ in 0..<5 {
            let query = random.floats(16)
            let truth = try numbers.map { number in
                PlainDistance.between(query, try #require(try vectors.get("\(number)")).vector, .l2)
            }.sorted()
            let exact = try vectors.search(query, effort: .exact)
            for (match, distance) in zip(exact, truth) { #expect(abs(Double(match.distance) - distance) < 1e-3) }
        }
    }
}
