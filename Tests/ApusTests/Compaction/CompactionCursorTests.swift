// The cursor that decides what a compaction keeps, against the resolver that looks at everything.

import ApusIO
import Testing

@testable import Apus

@Suite struct CompactionCursorTests {
    /// Compacts runs of sources until one is left, and checks every reader after each step.
    @Test(arguments: 0..<300) func everyReaderSeesTheSameBeforeAndAfter(_ seed: Int) throws {
        var history = HistoryGenerator(seed: UInt64(seed), keyCount: 2 + seed % 9)
        history.hasMerges = seed % 3 != 0
        history.hasExpiry = seed % 4 != 0
        var random = SeededGenerator(seed: UInt64(seed) &+ 1_000_000)
        var sources: [PlainSource] = []
        var snapshots: [SequenceNumber] = []
        var snapshotTimes: [SequenceNumber: UInt64] = [:]
        var horizon: UInt64 = 0
        for round in 0..<6 {
            // New data, newest source first; snapshots come and go.
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                sources.insert(history.source(Int.random(in: 1...25, using: &random)), at: 0)
                if random.chance(60) {
                    snapshots.append(history.lastSequence)
                    snapshotTimes[history.lastSequence] = history.clock
                }
            }
            snapshots.removeAll { _ in random.chance(25) }
            snapshots = Array(Set(snapshots)).sorted()
            // Sometimes the newest writes are not visible yet.
            let invisible = random.chance(30) ? UInt64.random(in: 0...8, using: &random) : 0
            let newest = history.lastSequence.rawValue
            let visible = SequenceNumber(max(newest - min(invisible, newest), snapshots.last?.rawValue ?? 0))
            horizon = max(horizon, min(history.clock, snapshots.first.map { snapshotTimes[$0]! } ?? history.clock))
            let first = Int.random(in: 0..<sources.count, using: &random)
            let last = Int.random(in: first..<sources.count, using: &random)
            let before = sources.reduce(into: PlainSource()) { $0.add($1) }
            let output = try compact(
                Array(sources[first...last]),
                newer: Array(sources[..<first]),
                older: Array(sources[(last + 1)...]),
                snapshots: snapshots + [visible],
                horizon: horizon,
                hasMerges: history.hasMerges,
                &random
            )
            sources.replaceSubrange(first...last, with: [output])
            let after = sources.reduce(into: PlainSource()) { $0.add($1) }
            var readers = Set(snapshots)
            for sequence in visible.rawValue...newest { readers.insert(SequenceNumber(sequence)) }
            for key in history.keys {
                let (oldEntries, newEntries) = (before.about(key), after.about(key))
                for time in oldEntries.times(from: horizon) {
                    for reader in readers {
                        let old = try oldEntries.sight(of: key, at: reader, time)
                        let new = try newEntries.sight(of: key, at: reader, time)
                        guard old == new else {
                            Issue.record(
                                """
                                seed \(seed), round \(round): key \(key) at \(reader.rawValue), time \(time): \
                                \(old) became \(new); snapshots \(snapshots.map(\.rawValue)), visible \
                                \(visible.rawValue), sources \(first)...\(last) of \(sources.count), \
                                horizon \(horizon)
                                """
                            )
                            return
                        }
                    }
                }
            }
        }
    }

    /// One compaction with plain sources, its range deletions cut at random keys as outputs would be.
    private func compact(
        _ inputs: [PlainSource],
        newer: [PlainSource],
        older: [PlainSource],
        snapshots: [SequenceNumber],
        horizon: UInt64,
        hasMerges: Bool,
        _ random: inout SeededGenerator
    ) throws -> PlainSource {
        let elision = TombstoneElision(
            levels: [],
            others: older.enumerated().compactMap { $0.element.metadata(number: UInt64($0.offset) + 1) }
        )
        let deletions = RangeDeletions.merge(inputs.map { RangeDeletions($0.deletions) })
        let stripes = SnapshotStripes(snapshots)
        let newerKeys = Set(newer.flatMap { $0.entries.map(\.key) })
        let rules = CompactionRules(
            stripes: stripes,
            rangeDeletions: deletions,
            elision: elision,
            targetLevel: older.isEmpty && random.chance(70) ? 1 : 0,
            expiryHorizon: horizon,
            mergeOperator: hasMerges ? AppendingOperator() : nil,
            mayHoldOperands: hasMerges,
            blobs: nil,
            newerSourcesHold: random.chance(80)
                ? { key throws(ApusError) in newerKeys.contains([UInt8](key)) } : nil
        )
        let cursor = CompactionCursor(
            source: MergingCursor(inputs.map { PlainCursor($0) }),
            rules: rules,
            values: nil
        )
        var output = PlainSource()
        try cursor.seekToFirst()
        while cursor.isValid {
            let entry = PlainEntry(key: [UInt8](cursor.key), trailer: cursor.trailer, payload: [UInt8](cursor.payload))
            if let last = output.entries.last {
                #expect(PlainEntry.ascending(last, entry), "survivors ascend")
                #expect(cursor.isFirstOfKey == (last.key != entry.key))
            }
            output.entries.append(entry)
            try cursor.next()
        }
        #expect(cursor.counts.entriesWritten == UInt64(output.entries.count))
        #expect(cursor.counts.entriesRead <= UInt64(inputs.reduce(0) { $0 + $1.entries.count }))
        var surviving = SurvivingRangeDeletions(deletions, stripes, elision)
        var cuts = (0..<Int.random(in: 0...3, using: &random)).map { _ in
            (0..<Int.random(in: 1...3, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
        }
        cuts.sort { $0 < $1 }
        for cut in cuts {
            for deletion in surviving.take(upTo: cut) {
                #expect(deletion.end <= cut)
                output.deletions.append(deletion)
            }
            #expect(surviving.start.map { cut <= $0 } ?? true)
        }
        output.deletions += surviving.take(upTo: nil)
        return output
    }

    private func survivors(
        _ entries: [PlainEntry],
        deletions: [RangeDeletion] = [],
        snapshots: [UInt64],
        horizon: UInt64 = 0,
        target: Int = 6,
        merging: Bool = false,
        older: [PlainSource] = []
    ) throws -> [PlainEntry] {
        let rules = CompactionRules(
            stripes: SnapshotStripes(snapshots.map { SequenceNumber($0) }),
            rangeDeletions: RangeDeletions(deletions),
            elision: TombstoneElision(levels: [older.map { $0.metadata(number: 1)! }]),
            targetLevel: target,
            expiryHorizon: horizon,
            mergeOperator: merging ? AppendingOperator() : nil,
            mayHoldOperands: merging,
            blobs: nil,
            newerSourcesHold: { _ throws(ApusError) in false }
        )
        let cursor = CompactionCursor(
            source: MergingCursor([PlainCursor(PlainSource(entries: entries))]),
            rules: rules,
            values: nil
        )
        var result: [PlainEntry] = []
        try cursor.seekToFirst()
        while cursor.isValid {
            result.append(
                PlainEntry(key: [UInt8](cursor.key), trailer: cursor.trailer, payload: [UInt8](cursor.payload))
            )
            try cursor.next()
        }
        return result
    }

    private let a = Array("a".utf8)
    private let b = Array("b".utf8)
    private let c = Array("c".utf8)

    @Test func onlyTheNewestVersionOfAStripeIsLeft() throws {
        let entries = (1...9).map { PlainEntry.value(a, $0, [UInt8($0)]) }
        #expect(try survivors(entries, snapshots: [9]) == [.value(a, 0, [9])])
        #expect(try survivors(entries, snapshots: [3, 6, 9]).map(\.payload) == [[9], [6], [3]])
        #expect(try survivors(entries, snapshots: [3, 7]).map(\.sequence.rawValue) == [9, 8, 7, 0])
    }

    @Test func aDeletionGoesWhereNothingOlderCanBe() throws {
        let entries: [PlainEntry] = [.deletion(a, 5), .value(a, 4, [1]), .deletion(b, 6)]
        #expect(try survivors(entries, snapshots: [9]).isEmpty)
        let older = PlainSource(entries: [.value(a, 1, []), .value(a, 2, [])])
        #expect(try survivors(entries, snapshots: [9], older: [older]) == [.deletion(a, 5)])
        // A snapshot that sees the value keeps both; the deletion of b hides nothing in any stripe.
        #expect(try survivors(entries, snapshots: [4, 9]) == [.deletion(a, 5), .value(a, 0, [1])])
    }

    @Test func anExpiredValueHidesWhatIsOlder() throws {
        let entries: [PlainEntry] = [.value(a, 5, [5], expiresAt: 10), .value(a, 2, [2])]
        #expect(try survivors(entries, snapshots: [9], horizon: 10).isEmpty)
        #expect(try survivors(entries, snapshots: [9], horizon: 9) == [.value(a, 0, [5], expiresAt: 10)])
        #expect(try survivors(entries, snapshots: [3, 9], horizon: 10) == [.deletion(a, 5), .value(a, 0, [2])])
    }

    @Test func operandsAreFoldedWithinAStripeOnly() throws {
        let entries: [PlainEntry] = [
            .merge(a, 5, [5], writtenAt: 1), .merge(a, 4, [4], writtenAt: 1), .value(a, 3, [3]),
        ]
        #expect(try survivors(entries, snapshots: [9], merging: true) == [.value(a, 0, [3, 4, 5])])
        let split = try survivors(entries, snapshots: [4, 9], merging: true)
        #expect(split == [.merge(a, 5, [5], writtenAt: 1), .value(a, 0, [3, 4])])
        #expect(try survivors(entries, snapshots: [9], merging: false) == entries)
    }

    @Test func operandsWithoutABaseAreFoldedOnlyAtTheBottom() throws {
        let entries: [PlainEntry] = [.merge(a, 5, [5], writtenAt: 1), .merge(a, 4, [4], writtenAt: 1)]
        #expect(try survivors(entries, snapshots: [9], merging: true) == [.value(a, 0, [4, 5])])
        let older = PlainSource(entries: [.value(a, 1, []), .value(b, 1, [])])
        #expect(try survivors(entries, snapshots: [9], merging: true, older: [older]) == entries)
    }

    @Test func operandsThatCannotBeMergedStayAsTheyAre() throws {
        let entries: [PlainEntry] = [
            .merge(a, 5, [5], writtenAt: 1), .merge(a, 4, Array("!".utf8), writtenAt: 1), .value(a, 3, [3]),
            .value(a, 2, [2]),
        ]
        #expect(try survivors(entries, snapshots: [9], merging: true) == Array(entries[..<3]))
    }

    @Test func anExpiredValueUnderAnOperandStays() throws {
        // The operand was written while the value was still there, so it builds on it.
        let entries: [PlainEntry] = [
            .merge(a, 5, [5], writtenAt: 8, expiresAt: 90), .value(a, 3, [3], expiresAt: 10),
        ]
        let split = try survivors(entries, snapshots: [4, 9], horizon: 20, merging: true)
        #expect(split.count == 2 && split[1].payload == entries[1].payload)
        let folded = try survivors(entries, snapshots: [9], horizon: 20, merging: true)
        #expect(folded == [.value(a, 0, [3, 5], expiresAt: 90)])
    }

    @Test func aValueAboveARangeDeletionThatStaysKeepsItsSequence() throws {
        let deletion = RangeDeletion(start: a, end: c, sequence: SequenceNumber(3))
        let entries: [PlainEntry] = [.value(a, 5, [5]), .value(b, 2, [2])]
        #expect(try survivors(entries, deletions: [deletion], snapshots: [9]) == [.value(a, 5, [5])])
    }

    @Test func aMalformedEntryIsAnErrorNotATrap() {
        let entry = PlainEntry(key: a, trailer: Trailer(SequenceNumber(1), .mergeOperand), payload: [1, 2])
        #expect(throws: ApusError.self) { try survivors([entry], snapshots: [9]) }
        let unknown = PlainEntry(key: a, trailer: Trailer(rawValue: 1 << 8 | 99), payload: [])
        #expect(throws: ApusError.self) { try survivors([unknown], snapshots: [9]) }
    }

    @Test func aReadErrorOfAnInputIsPassedOn() throws {
        let source = PlainSource(entries: (1...5).map { PlainEntry.value(a, $0, []) })
        for position in 0...5 {
            let failure = ApusError.corruption("broken", file: "x", offset: 7)
            let rules = CompactionRules(
                stripes: SnapshotStripes([SequenceNumber(9)]),
                rangeDeletions: RangeDeletions([]),
                elision: TombstoneElision(levels: []),
                targetLevel: 1,
                expiryHorizon: 0,
                mayHoldOperands: false
            )
            let cursor = CompactionCursor(
                source: PlainCursor(source, failure: (position, failure)),
                rules: rules,
                values: nil
            )
            #expect(throws: failure) {
                try cursor.seekToFirst()
                while cursor.isValid { try cursor.next() }
            }
        }
    }
}
