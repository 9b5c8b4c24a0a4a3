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

    @Test func deletionsCountForWhatTheyFree() {
        let plain = TableMetadata.plain(1, byteCount: 1000, entries: 10)
        #expect(policy.compensatedByteCount(plain) == 1000)
        let half = TableMetadata.plain(1, byteCount: 1000, entries: 10, deletions: 5)
        #expect(policy.compensatedByteCount(half) == 2000)
        let hostile = TableMetadata.plain(1, byteCount: .max, entries: 3, deletions: .max)
        #expect(policy.compensatedByteCount(hostile) == .max)
    }
}
