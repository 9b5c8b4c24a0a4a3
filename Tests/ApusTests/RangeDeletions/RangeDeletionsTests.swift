// Sets of range deletions against their definition: what covers a key, clipping, merging, adding.

import ApusIO
import Testing

@testable import Apus

@Suite struct RangeDeletionsTests {
    static func deletions(_ family: KeyFamily, count: Int, _ random: inout TestRandom) -> [RangeDeletion] {
        (0..<count).map { _ in
            let (a, b) = (family.key(&random), family.key(&random))
            let isAscending = compareArrays(a, b) < 0 || random.chance(3)
            return RangeDeletion(
                start: isAscending ? a : b,
                end: isAscending ? b : a,
                sequence: SequenceNumber(UInt64(1 + random.below(2 * count)))
            )
        }
    }

    static func newest(_ deletions: [RangeDeletion], _ key: [UInt8], _ limit: SequenceNumber) -> SequenceNumber {
        deletions.filter {
            $0.sequence <= limit && compareArrays($0.start, key) <= 0 && compareArrays(key, $0.end) < 0
        }.map(\.sequence).max() ?? .zero
    }

    static func check(
        _ set: RangeDeletions,
        _ deletions: [RangeDeletion],
        _ family: KeyFamily,
        _ random: inout TestRandom,
        _ place: Comment
    ) {
        let ends = deletions.flatMap { [$0.start, $0.end] }
        for _ in 0..<200 {
            let key = random.chance(50) ? ends.randomElement(using: &random) ?? [1] : family.key(&random)
            let limit =
                random.chance(30) ? SequenceNumber.max : SequenceNumber(UInt64(random.below(2 * deletions.count + 2)))
            let expected = newest(deletions, key, limit)
            #expect(key.raw { set.newestSequence(covering: $0, atMost: limit) } == expected, place)
            key.raw { bytes in
                let coverage = set.coverage(of: bytes, atMost: limit)
                #expect(coverage.newest == expected, place)
                // The answer holds from the first to the last key of the coverage, and the key lies in it.
                if let lower = coverage.lower {
                    #expect(compareBytes(lower, bytes) <= 0, place)
                    #expect(newest(deletions, Array(lower), limit) == expected, place)
                }
                if let upper = coverage.upper {
                    #expect(compareBytes(bytes, upper) < 0, place)
                    for end in ends where compareArrays(end, Array(upper)) < 0 && compareArrays(end, key) >= 0 {
                        #expect(newest(deletions, end, limit) == expected, place)
                    }
                }
            }
        }
    }

    @Test(arguments: KeyFamily.allCases)
    func coverAgreesWithTheDefinition(_ family: KeyFamily) {
        for (count, seed) in [(0, 1), (1, 2), (2, 3), (20, 4), (150, 5)] as [(Int, UInt64)] {
            var random = TestRandom(seed: seed)
            let deletions = Self.deletions(family, count: count, &random)
            let set = RangeDeletions(deletions)
            Self.check(set, deletions, family, &random, "seed \(seed)")
            let effective = Set(deletions.filter { compareArrays($0.start, $0.end) < 0 })
            #expect(set.count == effective.count)
            #expect(set.isEmpty == effective.isEmpty)
            #expect(Set(set.all()) == effective)
        }
    }

    @Test func fragmentsAreDisjointAndSayTheSame() {
        for seed in 0..<12 as Range<UInt64> {
            var random = TestRandom(seed: seed)
            let family = KeyFamily.allCases[Int(seed) % KeyFamily.allCases.count]
            let deletions = Self.deletions(family, count: 40, &random)
            let fragments = RangeDeletions(deletions).fragments
            for (fragment, next) in zip(fragments, fragments.dropFirst()) {
                #expect(compareArrays(fragment.end, next.start) <= 0, "seed \(seed)")
            }
            for fragment in fragments {
                #expect(compareArrays(fragment.start, fragment.end) < 0)
                #expect(fragment.sequences == fragment.sequences.sorted(by: >))
                let expected = deletions.filter {
                    compareArrays($0.start, fragment.start) <= 0 && compareArrays(fragment.start, $0.end) < 0
                }
                #expect(Set(fragment.sequences) == Set(expected.map(\.sequence)), "seed \(seed)")
            }
            let whole = RangeDeletions(
                fragments.flatMap { fragment in
                    fragment.sequences.map { RangeDeletion(start: fragment.start, end: fragment.end, sequence: $0) }
                }
            )
            Self.check(whole, deletions, family, &random, "seed \(seed)")
        }
    }

    @Test func addingOneByOneIsTheSameAsAllAtOnce() {
        for seed in 0..<6 as Range<UInt64> {
            var random = TestRandom(seed: seed)
            let family = KeyFamily.allCases[Int(seed)]
            let deletions = Self.deletions(family, count: 70, &random)
            var set = RangeDeletions([])
            for (index, deletion) in deletions.enumerated() {
                set = set.adding(deletion)
                if index % 7 == 0 || index < 5 {
                    Self.check(set, Array(deletions[...index]), family, &random, "seed \(seed) index \(index)")
                }
            }
            #expect(set.all() == RangeDeletions(deletions).all())
        }
    }

    @Test func mergingAndClippingKeepWhatTheyShould() {
        for seed in 0..<12 as Range<UInt64> {
            var random = TestRandom(seed: seed)
            let family = KeyFamily.allCases[Int(seed) % KeyFamily.allCases.count]
            let deletions = Self.deletions(family, count: 60, &random)
            let merged = RangeDeletions.merge([
                RangeDeletions(Array(deletions[..<20])), RangeDeletions(Array(deletions[20..<21])),
                RangeDeletions(Array(deletions[21...])),
            ])
            Self.check(merged, deletions, family, &random, "seed \(seed)")

            let (a, b) = (family.key(&random), family.key(&random))
            for (lower, upper) in [(a, b), (a, nil), (nil, b), (nil, nil)] as [([UInt8]?, [UInt8]?)] {
                let clipped = merged.clipped(from: lower, to: upper)
                for _ in 0..<50 {
                    let key = random.chance(40) ? [a, b][random.below(2)] : family.key(&random)
                    let isInside =
                        (lower.map { compareArrays($0, key) <= 0 } ?? true)
                        && (upper.map { compareArrays(key, $0) < 0 } ?? true)
                    let expected = isInside ? Self.newest(deletions, key, .max) : .zero
                    #expect(key.raw { clipped.newestSequence(covering: $0, atMost: .max) } == expected, "seed \(seed)")
                }
            }
        }
    }

    @Test func trimmingAgainAndAgainTakesLinearSpace() {
        // Ten thousand deletions from one start: cut into disjoint pieces they would be fifty million.
        let deletions = (1...10_000).map { number in
            RangeDeletion(
                start: [0],
                end: Array(String(100_000 + number).utf8),
                sequence: SequenceNumber(UInt64(number))
            )
        }
        let run = RangeDeletionRun(deletions)
        #expect(run.byteCount < 10_000 * 600)
        let found = Array("100001".utf8).raw { run.newestSequence(covering: $0, atMost: SequenceNumber(7000)) }
        #expect(found == SequenceNumber(7000))
    }
}
