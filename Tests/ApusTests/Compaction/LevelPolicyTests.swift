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
        #expect(score(3, 10, beneath: 100) < 1)
        #expect(score(4, 10, beneath: 100) >= 1)
        // Four times as much beneath as above is the most that goes down together with four tables.
        #expect(score(4, 10, beneath: 200) < 1)
        #expect(score(5, 10, beneath: 190) >= 1)
        // However much there is: twelve tables are too many, and a thousand bytes too much.
        #expect(score(11, 10, beneath: 1_000_000) < 1)
        #expect(score(12, 10, beneath: 1_000_000) >= 1)
        #expect(score(1, 1000, beneath: 1_000_000) >= 1)
        // A table of deletions of a quarter of what lies beneath.
        #expect(score(1, 10, deletions: 99, beneath: 1_000_000) < 1)
        #expect(score(1, 10, deletions: 101, beneath: 1_000_000) >= 1)
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
