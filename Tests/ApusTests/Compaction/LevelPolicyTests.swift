// How the sizes of the levels hang from the last one.

import Testing

@testable import Apus

@Suite struct LevelPolicyTests {
    private var policy: LevelPolicy {
        var policy = LevelPolicy()
        policy.baseByteCount = 1000
        return policy
    }

    @Test func anEmptyOrSmallTreeMergesLevelZeroIntoTheLastLevel() {
        #expect(policy.targets([0, 0, 0, 0, 0, 0, 0]).baseLevel == 6)
        let small = policy.targets([5000, 0, 0, 0, 0, 0, 900])
        #expect(small.baseLevel == 6 && small.byteCounts[6] == 1000)
    }

    @Test(arguments: [
        (1001, 5, [0, 0, 0, 0, 0, 100, 1001]),
        (10_000, 5, [0, 0, 0, 0, 0, 1000, 10_000]),
        (20_000, 4, [0, 0, 0, 0, 200, 2000, 20_000]),
        (100_000_000, 1, [0, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000]),
        (10_000_000_000, 1, [0, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000]),
    ])
    func levelsAreAddedAboveAsTheLastOneGrows(_ last: UInt64, _ base: Int, _ targets: [UInt64]) {
        let found = policy.targets([0, 0, 0, 0, 0, 0, last])
        #expect(found.baseLevel == base)
        #expect(found.byteCounts == targets)
    }

    @Test func theBaseIsNeverBelowALevelThatHoldsTables() {
        let found = policy.targets([0, 0, 0, 50, 0, 0, 900])
        #expect(found.baseLevel == 3)
        #expect(found.byteCounts == [0, 0, 0, 100, 100, 100, 1000])
    }

    @Test func levelZeroGathersUntilItIsWorthwhile() {
        func score(_ count: Int, _ byteCount: UInt64, deletions: UInt64 = 0, beneath: UInt64) -> Double {
            let tables = (0..<count).map {
                TableMetadata.plain(FileNumber($0), byteCount: byteCount, entries: 10, deletions: deletions)
            }
            let deeper = TableMetadata.plain(99, byteCount: beneath, entries: 400)
            return policy.levelZeroScore(tables, beneath: [[], [deeper]])
        }
        #expect(score(3, 10, beneath: 40) < 1)
        #expect(score(4, 10, beneath: 50) >= 1)
        // Three quarters of what is beneath goes down together.
        #expect(score(4, 10, beneath: 60) < 1)
        #expect(score(5, 10, beneath: 60) >= 1)
        // However much there is: sixteen tables are too many, and two thousand bytes too much.
        #expect(score(15, 10, beneath: 1_000_000) < 1)
        #expect(score(16, 10, beneath: 1_000_000) >= 1)
        #expect(score(1, 1_999, beneath: 1_000_000) < 1)
        #expect(score(1, 2_000, beneath: 1_000_000) >= 1)
        // A table of deletions of a quarter of what lies beneath.
        #expect(score(1, 10, deletions: 99, beneath: 1_000_000) < 1)
        #expect(score(1, 10, deletions: 101, beneath: 1_000_000) >= 1)
    }

    @Test func whatOverlapsNothingGoesDownAtOnce() {
        func tables(_ count: Int, isApart: Bool) -> [TableMetadata] {
            (0..<count).reversed().map { number in
                isApart
                    ? .plain(FileNumber(number), "k\(number)", "k\(number)z", byteCount: 10)
                    : .plain(FileNumber(number), byteCount: 10)
            }
        }
        let far = TableMetadata.plain(99, "a", "b", byteCount: 10_000)
        let near = TableMetadata.plain(99, "a", "k0", byteCount: 10_000)
        #expect(policy.levelZeroScore(tables(4, isApart: true), beneath: [[far]]) >= 1)
        #expect(policy.levelZeroScore(tables(4, isApart: true), beneath: [[near]]) < 1)
        #expect(policy.levelZeroScore(tables(4, isApart: false), beneath: [[far]]) < 1)
    }

    @Test func rangeDeletionsCountForWhatTheyCover() {
        let deletion = TableMetadata.plain(1, "a", "m", byteCount: 10, entries: 0, rangeDeletions: 1)
        let mixed = TableMetadata.plain(1, "a", "m", byteCount: 10, entries: 99, rangeDeletions: 1)
        let covered = TableMetadata.plain(2, "b", "c", byteCount: 3_000)
        let other = TableMetadata.plain(3, "n", "z", byteCount: 9_000)
        let rest = TableMetadata.plain(3, "n", "z", byteCount: 9_010)
        #expect(policy.levelZeroScore([deletion], beneath: [[], [covered, other]]) >= 4 * 3_000.0 / 12_001)
        #expect(policy.levelZeroScore([deletion], beneath: [[], [other]]) < 1)
        #expect(policy.levelZeroScore([mixed], beneath: [[], [covered, rest]]) < 1)
    }

    @Test func aTreeIsTidyWhereLittleCanHideAnything() {
        func isTidy(_ levels: [[UInt64]]) -> Bool {
            policy.isTidy(levels.map { $0.map { TableMetadata.plain(1, byteCount: $0) } })
        }
        #expect(isTidy([[], [], []]))
        #expect(isTidy([[100], [], []]))
        #expect(isTidy([[15, 100], [], []]))
        #expect(!isTidy([[16, 100], [], []]))
        #expect(isTidy([[], [], [100]]))
        #expect(isTidy([[5], [10], [60, 40]]))
        #expect(!isTidy([[6], [10], [60, 40]]))
        #expect(!isTidy([[.max, .max], [.max], [.max]]))
        let deletion = TableMetadata.plain(1, byteCount: 1, entries: 0, rangeDeletions: 1)
        #expect(!policy.isTidy([[deletion], [], [.plain(2, byteCount: 1_000)]]))
    }

    @Test func deletionsCountForWhatTheyFree() {
        let plain = TableMetadata.plain(1, byteCount: 1000, entries: 10)
        #expect(policy.compensatedByteCount(plain) == 1000)
        let half = TableMetadata.plain(1, byteCount: 1000, entries: 10, deletions: 5)
        #expect(policy.compensatedByteCount(half) == 2000)
        let hostile = TableMetadata.plain(1, byteCount: .max, entries: 3, deletions: .max)
        #expect(policy.compensatedByteCount(hostile) == .max)
    }
}
