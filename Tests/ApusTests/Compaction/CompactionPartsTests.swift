// The pure parts that a compaction is made of: bounds, stripes, elision, cuts.

import Testing

@testable import Apus

@Suite struct KeyBoundsTests {
    private func bounds(_ text: String, exclusive: Bool = false) -> KeyBounds {
        let parts = text.split(separator: "-").map { [UInt8](String($0)) }
        return KeyBounds(smallest: parts[0], largest: parts[1], largestIsExclusive: exclusive)
    }

    @Test(arguments: [
        ("a-c", false, "d-f", false), ("a-c", false, "c-f", true), ("a-c", true, "c-f", false),
        ("a-c", true, "b-f", true), ("b-c", false, "a-z", true), ("c-c", false, "a-c", true),
        ("c-c", false, "a-c", false),
    ])
    func spansOverlapIfTheyShareAKey(_ a: String, _ aExclusive: Bool, _ b: String, _ bExclusive: Bool) {
        let (left, right) = (bounds(a, exclusive: aExclusive), bounds(b, exclusive: bExclusive))
        let shared = UInt8(ascii: "a")...UInt8(ascii: "z")
        let expected = shared.contains { key in
            [key].withUnsafeBytes { left.contains($0) && right.contains($0) }
        }
        #expect(left.overlaps(right) == expected)
        #expect(right.overlaps(left) == expected)
    }

    @Test func aUnionHoldsBoth() {
        #expect(bounds("b-d").union(bounds("a-c")) == bounds("a-d"))
        #expect(bounds("b-d", exclusive: true).union(bounds("a-d")) == bounds("a-d"))
        #expect(bounds("b-d", exclusive: true).union(bounds("c-d", exclusive: true)) == bounds("b-d", exclusive: true))
        #expect(bounds("b-d").union(bounds("c-e", exclusive: true)) == bounds("b-e", exclusive: true))
    }

    @Test func aRangeIsInclusiveBelowAndExclusiveAbove() {
        let span = bounds("b-d")
        #expect(span.overlaps(from: nil, to: nil))
        #expect(span.overlaps(from: [UInt8]("d"), to: nil))
        #expect(!span.overlaps(from: nil, to: [UInt8]("b")))
        #expect(!bounds("b-d", exclusive: true).overlaps(from: [UInt8]("d"), to: nil))
    }
}

@Suite struct SnapshotStripesTests {
    @Test func aSequenceBelongsToTheFirstBoundaryThatSeesIt() {
        let stripes = SnapshotStripes([10, 25, 25, 40].map { SequenceNumber($0) })
        #expect(stripes.boundaries.count == 3)
        let expected: [(UInt64, Int)] = [(0, 0), (1, 0), (10, 0), (11, 1), (25, 1), (26, 2), (40, 2), (41, 3), (99, 3)]
        for (sequence, stripe) in expected {
            #expect(stripes.stripe(of: SequenceNumber(sequence)) == stripe, "sequence \(sequence)")
        }
        #expect(stripes.unsettled == 3)
    }
}

@Suite struct TombstoneElisionTests {
    @Test func onlyKeysInsideATableMayBeHeld() {
        var elision = TombstoneElision(
            levels: [[.plain(1, "b", "d"), .plain(2, "g", "j", isExclusive: true)], [], [.plain(3, "p", "q")]],
            others: [.plain(4, "s", "t")]
        )
        #expect(!elision.isAtBottom)
        let held = (UInt8(ascii: "a")...UInt8(ascii: "z")).filter { key in
            [key].withUnsafeBytes { elision.mayHold($0) }
        }
        #expect(held == [UInt8]("bcdghipqst"))
        func mayHold(_ start: String, _ end: String) -> Bool {
            elision.mayHold(from: [UInt8](start), to: [UInt8](end))
        }
        #expect(!mayHold("a", "b") && mayHold("a", "ba") && mayHold("d", "e") && !mayHold("da", "g"))
        #expect(
            !mayHold("j", "p") && mayHold("i", "j") && mayHold("o", "z") && !mayHold("u", "z") && mayHold("r", "sa")
        )
        #expect(TombstoneElision(levels: [[], []]).isAtBottom)
    }

    @Test func aMergeWithinLevelZeroKeepsDeletionsOfKeysThatOlderTablesOfLevelZeroHold() {
        let inputs: [TableMetadata] = [.plain(9, "a", "c"), .plain(8, "f", "h")]
        let older: [TableMetadata] = [.plain(7, "g", "k"), .plain(6, "p", "q")]
        let newer = TableMetadata.plain(10, "b", "b")
        let tree = TreeSummary(levels: [[newer] + inputs + older, [], [.plain(1, "a", "a")]])
        let plan = CompactionPlan(
            reason: .levelZeroPressure, inputs: [CompactionLevel(level: 0, tables: inputs)], targetLevel: 0)
        #expect(plan.violation(in: tree) == nil)
        var elision = plan.elision(in: tree)
        let kept = inputs.flatMap { table in
            (table.bounds.smallest[0]...table.bounds.largest[0]).filter { key in
                [key].withUnsafeBytes { elision.mayHold($0) }
            }
        }
        #expect(kept == [UInt8]("agh"))
    }
}

@Suite struct OutputSplitterTests {
    private func cuts(_ splitter: OutputSplitter, _ keys: String, byteCounts: [UInt64?]) -> [String] {
        var splitter = splitter
        var cuts: [String] = []
        for (key, byteCount) in zip(keys, byteCounts) {
            var byteCount = byteCount
            [UInt8](String(key)).withUnsafeBytes { bytes in
                while let cut = splitter.cut(before: bytes, outputByteCount: byteCount) {
                    cuts.append("\(String(decoding: cut, as: UTF8.self))<\(key)")
                    byteCount = nil
                }
            }
        }
        return cuts
    }

    @Test func anOutputEndsWhenItIsLargeEnough() {
        let splitter = OutputSplitter(targetByteCount: 100)
        #expect(cuts(splitter, "abcdef", byteCounts: [nil, 50, 99, 100, 10, 200]) == ["d<d", "f<f"])
    }

    @Test func anOutputEndsWhereTheLevelBelowGetsTooLarge() {
        let beneath = "abcdefgh".enumerated().map { index, key in
            TableMetadata.plain(UInt64(index), "\(key)0", "\(key)9", byteCount: 10)
        }
        let splitter = OutputSplitter(targetByteCount: 1000, grandparents: beneath, overlapLimit: 25)
        // An output from b on lies above b and c, d would be the third; the next begins with e and ends before g.
        #expect(cuts(splitter, "bcdefgh", byteCounts: [nil, 1, 1, 1, 1, 1, 1]) == ["d0<e", "g0<h"])
        // Nothing before f: what lies there does not count.
        #expect(cuts(splitter, "fg", byteCounts: [nil, 1]).isEmpty)
    }
}
