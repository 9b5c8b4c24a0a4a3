// What a compaction leaves on disk: how outputs are cut, where range deletions go, and that nothing is left behind
// when something fails.

import ApusIO
import Testing

@testable import Apus

@Suite struct CompactionJobTests {
    private let fixture = CompactionFixture()

    private func key(_ number: Int) -> [UInt8] { [UInt8]("k\(1000 + number)") }

    private func run(_ input: CompactionInput) throws -> CompactionOutput {
        try CompactionJob.run(input, fixture.environment)
    }

    @Test func outputsAreCutAtTheirSizeAndShareNoKey() throws {
        // Many versions per key, all kept by snapshots: a cut between two of them would be wrong.
        var source = PlainSource()
        for number in 0..<40 {
            for version in 0..<8 {
                source.entries.append(
                    .value(key(number), UInt64(number * 8 + version + 1), [UInt8](repeating: 7, count: 40))
                )
            }
        }
        let snapshots = (1...320).map { SequenceNumber(UInt64($0)) }
        let output = try run(fixture.input([source], snapshots: snapshots))
        #expect(output.tables.count > 5)
        #expect(output.counts.entriesWritten == 320)
        for (left, right) in zip(output.tables, output.tables.dropFirst()) {
            #expect(left.bounds.endsBefore(right.bounds))
        }
        let written = try output.tables.flatMap { try fixture.contents($0).entries }
        #expect(written.count == 320)
    }

    @Test func entriesThatAreAllGoneLeaveNoTable() throws {
        let source = PlainSource(entries: [.deletion(key(1), 2), .value(key(1), 1, [1])])
        let output = try run(fixture.input([source]))
        #expect(output.tables.isEmpty)
        #expect(try fixture.files == [])
    }

    @Test func rangeDeletionsAloneMakeATable() throws {
        let deletion = RangeDeletion(start: key(1), end: key(9), sequence: SequenceNumber(5))
        let source = PlainSource(entries: [.value(key(2), 1, [1])], deletions: [deletion])
        let beneath = TombstoneElision(levels: [[.plain(99, "k1003", "k1004")]])
        let output = try run(fixture.input([source], older: beneath))
        #expect(output.tables.count == 1)
        let table = try #require(output.tables.first)
        #expect(table.entryCount == 0 && table.rangeDeletionCount == 1)
        #expect(table.smallest == key(1) && table.largest == key(9) && table.largestIsExclusive)
        #expect(try fixture.contents(table).deletions == [deletion])
    }

    @Test func rangeDeletionsWithNothingBeneathGo() throws {
        let deletion = RangeDeletion(start: key(1), end: key(9), sequence: SequenceNumber(5))
        let source = PlainSource(entries: [.value(key(2), 1, [1]), .value(key(3), 7, [3])], deletions: [deletion])
        let beneath = TombstoneElision(levels: [[.plain(99, "k1009", "k1010")]])
        let output = try run(fixture.input([source], older: beneath))
        let table = try #require(output.tables.first)
        #expect(output.tables.count == 1 && table.rangeDeletionCount == 0 && table.entryCount == 1)
    }

    @Test func rangeDeletionsAreCutWithTheOutputsAndCoverWhatTheyCovered() throws {
        var source = PlainSource(deletions: [
            RangeDeletion(start: key(0), end: key(60), sequence: SequenceNumber(1000)),
            RangeDeletion(start: key(20), end: key(90), sequence: SequenceNumber(1001)),
        ])
        for number in 0..<80 {
            source.entries.append(.value(key(number), UInt64(2000 + number), [UInt8](repeating: 7, count: 60)))
        }
        let beneath = TombstoneElision(levels: [[.plain(99, "k1000", "k1100")]])
        let output = try run(fixture.input([source], older: beneath))
        #expect(output.tables.count > 4)
        let before = RangeDeletions(source.deletions)
        var pieces: [RangeDeletion] = []
        for (index, table) in output.tables.enumerated() {
            let deletions = try fixture.contents(table).deletions
            pieces += deletions
            for deletion in deletions {
                #expect(table.smallest <= deletion.start && deletion.end <= table.largest)
            }
            if index > 0 { #expect(output.tables[index - 1].bounds.endsBefore(table.bounds)) }
        }
        let after = RangeDeletions(pieces)
        for number in 0..<100 {
            key(number).withUnsafeBytes { bytes in
                #expect(
                    after.newestSequence(covering: bytes, atMost: .max)
                        == before.newestSequence(covering: bytes, atMost: .max),
                    "key \(number)"
                )
            }
        }
    }

    @Test func aWideRangeDeletionIsCutWhereTheLevelBelowIsLarge() throws {
        let deletion = RangeDeletion(start: key(0), end: key(900), sequence: SequenceNumber(5))
        var input = fixture.input(
            [PlainSource(deletions: [deletion])],
            older: TombstoneElision(levels: [[.plain(99, "k1", "k2")]])
        )
        input.grandparents = (0..<30).map { number in
            .plain(UInt64(200 + number), "k\(1000 + 10 * number)", "k\(1009 + 10 * number)", byteCount: 2000)
        }
        // At most 6000 bytes of the level below under one output.
        let output = try run(input)
        #expect(output.tables.count == 10)
        for table in output.tables {
            let beneath = input.grandparents.filter { $0.bounds.overlaps(table.bounds) }
            #expect(beneath.totalByteCount <= input.policy.grandparentOverlapLimit)
        }
        #expect(output.tables.first?.smallest == key(0) && output.tables.last?.largest == key(900))
    }

    @Test func nothingIsLeftBehindWhateverCallFails() throws {
        var source = PlainSource()
        for number in 0..<30 {
            source.entries.append(.value(key(number), UInt64(number + 1), [UInt8](repeating: 7, count: 80)))
        }
        func input() -> CompactionInput {
            var input = fixture.input([source])
            input.separationThreshold = 80
            return input
        }
        fixture.failing.fail(at: nil)
        let whole = try run(input())
        let calls = fixture.failing.callCount
        #expect(whole.blobFiles.count == 1 && calls > 6)
        let before = try fixture.files
        for call in 0..<calls {
            fixture.failing.fail(at: call)
            let error = #expect(throws: ApusError.self, "call \(call)") { try run(input()) }
            #expect(error?.kind == .io)
            #expect(try fixture.files == before, "call \(call)")
        }
        fixture.failing.fail(at: nil)
        #expect(try run(input()).counts == whole.counts)
    }

    @Test func aReadErrorOrCancellationLeavesNothingBehind() throws {
        let source = PlainSource(entries: (1...3000).map { .value(key($0), UInt64($0), [1]) })
        var input = fixture.input([source])
        let failure = ApusError.corruption("broken", file: "x", offset: 7)
        input.sources = [PlainCursor(source, failure: (2500, failure))]
        #expect(throws: failure) { try run(input) }
        #expect(try fixture.files == [])

        var environment = fixture.environment
        environment.isCancelled = { true }
        let error = #expect(throws: ApusError.self) {
            try CompactionJob.run(fixture.input([source]), environment)
        }
        #expect(error?.kind == .closed)
        #expect(try fixture.files == [])
    }

    @Test func largeValuesGoToABlobFileAndComeBackFromOneBeingEmptied() throws {
        let values = (0..<20).map { [UInt8](repeating: UInt8($0), count: 50 + $0) }
        let source = PlainSource(
            entries: values.enumerated().map {
                .value(key($0.offset), UInt64($0.offset + 1), $0.element, expiresAt: $0.offset % 2 == 0 ? 0 : 999)
            }
        )
        var first = fixture.input([source])
        first.separationThreshold = 60
        let separated = try run(first)
        #expect(separated.counts.separated == 10)
        #expect(separated.blobFiles.map(\.valueCount) == [10])
        let share = try #require(separated.tables.flatMap(\.blobReferences).first)
        #expect(share.file == separated.blobFiles[0].number)
        let shares = separated.tables.flatMap(\.blobReferences).reduce(0) { $0 + $1.byteCount }
        #expect(shares == separated.blobFiles[0].recordByteCount)

        for threshold in [60, 65, nil] {
            var second = fixture.input([])
            second.sources = separated.tables.map { fixture.table($0).makeCursor(fillCache: false, readahead: false) }
            second.separationThreshold = threshold
            second.collectedBlobFiles = [share.file]
            let moved = try run(second)
            #expect(moved.tables.flatMap(\.blobReferences).allSatisfy { $0.file != share.file })
            let contents = try moved.tables.flatMap { try fixture.contents($0).entries }
            #expect(contents.count == 20)
            for (index, entry) in contents.enumerated() {
                switch entry.plainPayload {
                case .value(let bytes, let expiresAt):
                    #expect(bytes == values[index] && (expiresAt == 999) == (index % 2 == 1))
                    #expect(bytes.count < threshold ?? .max)
                case .separated(let reference, let expiresAt):
                    #expect(try fixture.store.value(of: reference) == values[index])
                    #expect((expiresAt == 999) == (index % 2 == 1))
                case .deletion, .merge:
                    Issue.record("key \(index) is no value any more")
                }
            }
        }
    }

    @Test func aSeparatedValueThatExpiredBetweenTwoOperandsStartsTheSecondAnew() throws {
        let value = PlainEntry.value(key(1), 1, [UInt8]("separated"), expiresAt: 50)
        var first = fixture.input([PlainSource(entries: [value])])
        first.separationThreshold = 5
        let table = try #require(try run(first).tables.first)
        let operands = PlainSource(entries: [
            .merge(key(1), 3, [UInt8]("after"), writtenAt: 60), .merge(key(1), 2, [UInt8]("before"), writtenAt: 40),
        ])
        var second = fixture.input([operands])
        second.sources.append(fixture.table(table).makeCursor(fillCache: false, readahead: false))
        second.mergeOperator = AppendingOperator()
        let folded = try #require(try run(second).tables.first)
        #expect(try fixture.contents(folded).entries == [.value(key(1), 0, [UInt8]("after"))])
    }

    @Test func mergeOperandsFoldOntoASeparatedValue() throws {
        var first = fixture.input([PlainSource(entries: [.value(key(1), 1, [UInt8]("separated"))])])
        first.separationThreshold = 5
        let table = try #require(try run(first).tables.first)
        var second = fixture.input([PlainSource(entries: [.merge(key(1), 2, [UInt8]("!no"), writtenAt: 1)])])
        second.sources.append(fixture.table(table).makeCursor(fillCache: false, readahead: false))
        second.mergeOperator = AppendingOperator()
        // Refused by the operator: both stay.
        #expect(try run(second).counts.entriesWritten == 2)
        second.sources = [
            PlainCursor(PlainSource(entries: [.merge(key(1), 2, [UInt8](" more"), writtenAt: 1)])),
            fixture.table(table).makeCursor(fillCache: false, readahead: false),
        ]
        let folded = try #require(try run(second).tables.first)
        #expect(try fixture.contents(folded).entries == [.value(key(1), 0, [UInt8]("separated more"))])
    }
}
