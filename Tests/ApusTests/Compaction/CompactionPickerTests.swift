// What the picker chooses, from tables that are only numbers.

import Testing

@testable import Apus

@Suite struct CompactionPickerTests {
    private var policy: LevelPolicy {
        var policy = LevelPolicy()
        policy.baseByteCount = 1000
        policy.tableByteCount = 200
        policy.expiryPatience = 100
        return policy
    }
    private var picker: CompactionPicker { CompactionPicker(policy: policy) }
    private let moment = CompactionMoment(now: 1000, expiryHorizon: 1000, oldestSnapshot: SequenceNumber(500))

    private func tree(_ levels: [Int: [TableMetadata]], blobs: [BlobFileMetadata] = []) -> TreeSummary {
        TreeSummary(levels: (0..<7).map { levels[$0] ?? [] }, blobFiles: blobs)
    }

    /// A choice as text: "merge levelZero 0:[4 3] 6:[1] -> 6".
    private func choose(_ tree: TreeSummary, running: [CompactionFootprint] = []) -> String {
        text(picker.choose(tree, running: running, at: moment))
    }

    private func text(_ choice: CompactionChoice) -> String {
        func inputs(_ plan: CompactionPlan) -> String {
            let levels = plan.inputs.map {
                "\($0.level):[" + $0.tables.map { "\($0.number)" }.joined(separator: " ") + "]"
            }
            return "\(plan.reason) " + levels.joined(separator: " ") + " -> \(plan.targetLevel)"
        }
        return switch choice {
        case .nothing: "nothing"
        case .move(let plan): "move " + inputs(plan)
        case .merge(let plan): "merge " + inputs(plan)
        case .drop(let level, let tables): "drop \(level):" + tables.map { "\($0.number)" }.joined(separator: " ")
        }
    }

    private func footprint(
        _ numbers: Set<FileNumber>,
        _ target: Int,
        _ smallest: String,
        _ largest: String
    ) -> CompactionFootprint {
        CompactionFootprint(
            numbers: numbers,
            targetLevel: target,
            bounds: KeyBounds(smallest: [UInt8](smallest), largest: [UInt8](largest))
        )
    }

    // MARK: - Level 0

    @Test func nothingIsDueBelowTheTrigger() {
        #expect(choose(tree([:])) == "nothing")
        #expect(choose(tree([0: [.plain(3), .plain(2), .plain(1)]])) == "nothing")
    }

    @Test func levelZeroGoesToTheBaseWithAllThatOverlaps() {
        let zero: [TableMetadata] = [
            .plain(14, "a", "c"), .plain(13, "x", "y"), .plain(12, "c", "f"), .plain(11, "e", "g"),
        ]
        let last: [TableMetadata] = [.plain(1, "b", "d"), .plain(2, "g", "h"), .plain(3, "i", "w")]
        #expect(choose(tree([0: zero, 6: last])) == "merge levelZero 0:[14 12 11] 6:[1 2] -> 6")
    }

    @Test func aTableOfLevelZeroThatOverlapsNothingIsMoved() {
        let zero: [TableMetadata] = [
            .plain(14, "p", "q"), .plain(13, "m", "n"), .plain(12, "j", "k"), .plain(11, "g", "h"),
        ]
        #expect(choose(tree([0: zero, 6: [.plain(1, "a", "b")]])) == "move levelZero 0:[11] -> 6")
    }

    @Test func spansThatMeetInAnExclusiveEndDoNotOverlap() {
        let zero: [TableMetadata] = [
            .plain(14, "p", "q"), .plain(13, "m", "n"), .plain(12, "h", "k"), .plain(11, "g", "h", isExclusive: true),
        ]
        #expect(choose(tree([0: zero])) == "move levelZero 0:[11] -> 6")
    }

    @Test func levelZeroWaitsForACompactionInItsWay() {
        let zero = (0..<5).map { TableMetadata.plain(FileNumber(15 - $0), "a", "m") }
        let levels = tree([0: zero, 6: [.plain(1, "a", "f"), .plain(2, "g", "l")]])
        #expect(choose(levels, running: [footprint([2], 6, "g", "l")]) == "nothing")
        // The same span of the same level, without a table in common: an output may come to lie there.
        #expect(choose(levels, running: [footprint([99], 6, "h", "k")]) == "nothing")
        #expect(choose(levels, running: [footprint([99], 6, "n", "z")]).hasPrefix("merge levelZero"))
        #expect(choose(levels, running: [footprint([11], 6, "a", "m")]) == "nothing")
    }

    @Test func underPressureTheNewestTablesOfLevelZeroAreMerged() {
        let zero = (0..<9).map { TableMetadata.plain(FileNumber(20 - $0), "a", "m", byteCount: 50) }
        let levels = tree([0: zero, 6: [.plain(1, "a", "z")]])
        // The four oldest are on their way down; of the rest a run without gaps is taken, the newest first.
        let running = [footprint([12, 13, 14, 15, 1], 6, "a", "z")]
        #expect(choose(levels, running: running) == "merge levelZeroPressure 0:[20 19 18 17 16] -> 0")
        let split = [footprint([1, 18], 6, "a", "z")]
        #expect(choose(levels, running: split) == "nothing")
    }

    // MARK: - Deeper levels

    @Test func theTableThatDragsTheLeastAlongGoesFirst() {
        // The last level has 10,000 bytes, so level 5 should have 1,000.
        let last = (0..<10).map { TableMetadata.plain(FileNumber($0), "\($0)0", "\($0)9", byteCount: 1000) }
        let upper: [TableMetadata] = [
            .plain(21, "01", "12", byteCount: 600), .plain(22, "31", "38", byteCount: 600),
            .plain(23, "51", "72", byteCount: 600),
        ]
        let levels = tree([5: upper, 6: last])
        #expect(choose(levels) == "merge levelSize 5:[22] 6:[3] -> 6")
        #expect(choose(levels, running: [footprint([22, 3], 6, "30", "39")]) == "merge levelSize 5:[21] 6:[0 1] -> 6")
    }

    @Test func furtherTablesComeAlongIfTheyCostNothing() {
        let last: [TableMetadata] = [.plain(1, "a", "m", byteCount: 5000), .plain(2, "n", "z", byteCount: 5000)]
        let upper: [TableMetadata] = [
            .plain(21, "b", "c", byteCount: 500), .plain(22, "d", "e", byteCount: 500),
            .plain(23, "p", "q", byteCount: 500),
        ]
        var wide = policy
        wide.tableByteCount = 1000
        let choice = CompactionPicker(policy: wide).choose(tree([5: upper, 6: last]), running: [], at: moment)
        #expect(text(choice) == "merge levelSize 5:[21 22] 6:[1] -> 6")
    }

    @Test func aTableIsNotMovedAboveTooMuchOfTheLevelBelow() {
        let last = (0..<30).map { number in
            TableMetadata.plain(
                FileNumber(number),
                "b\(number / 10)\(number % 10)",
                "b\(number / 10)\(number % 10)",
                byteCount: 1000
            )
        }
        let wide: [TableMetadata] = [.plain(40, "b", "c", byteCount: 400)]
        #expect(choose(tree([4: wide, 6: last])) == "merge levelSize 4:[40] -> 5")
        #expect(choose(tree([4: wide, 6: Array(last[..<2])])) == "move levelSize 4:[40] -> 5")
    }

    @Test func aLastLevelWithItsOwnCodecIsWrittenNotMovedInto() {
        var own = policy
        own.rewritesIntoLastLevel = true
        let zero = (0..<4).map { TableMetadata.plain(FileNumber(14 - $0), "\(9 - $0)", "\(9 - $0)") }
        let choice = CompactionPicker(policy: own).choose(tree([0: zero]), running: [], at: moment)
        #expect(text(choice) == "merge levelZero 0:[11] -> 6")
    }

    @Test func manyDeletionsMakeALevelDueEarlier() {
        let last = (0..<10).map { TableMetadata.plain(FileNumber($0), "\($0)0", "\($0)9", byteCount: 1000) }
        let upper = [TableMetadata.plain(21, "01", "12", byteCount: 600, entries: 10, deletions: 8)]
        #expect(choose(tree([5: upper, 6: last])) == "merge levelSize 5:[21] 6:[0 1] -> 6")
    }

    // MARK: - Garbage

    @Test func aTableFullOfDeletionsIsRewrittenOnceNoSnapshotNeedsThem() {
        let full = TableMetadata.plain(1, "a", "c", entries: 10, deletions: 3, sequences: 1...400)
        #expect(choose(tree([6: [full]])) == "merge deletions 6:[1] -> 6")
        var protected = full
        protected.largestSequence = SequenceNumber(501)
        #expect(choose(tree([6: [protected]])) == "nothing")
        let few = TableMetadata.plain(1, "a", "c", entries: 10, deletions: 2, sequences: 1...400)
        #expect(choose(tree([6: [few]])) == "nothing")
        // Something beneath: the deletions are still needed.
        let beneath = TableMetadata.plain(2, "b", "b", byteCount: 9000)
        #expect(choose(tree([5: [full], 6: [beneath]])) == "nothing")
        let ranges = TableMetadata.plain(1, "a", "c", rangeDeletions: 1, sequences: 1...400)
        #expect(choose(tree([6: [ranges]])) == "merge deletions 6:[1] -> 6")
    }

    @Test func expiredEntriesAreCollectedAfterAWhile() {
        let expired = TableMetadata.plain(1, "a", "c", createdAt: 700, earliestExpiry: 900)
        #expect(choose(tree([6: [expired]])) == "merge expiry 6:[1] -> 6")
        let beneath = TableMetadata.plain(2, "b", "b", byteCount: 9000)
        #expect(choose(tree([5: [expired], 6: [beneath]])) == "merge expiry 5:[1] 6:[2] -> 6")
        let recent = TableMetadata.plain(1, "a", "c", createdAt: 700, earliestExpiry: 901)
        #expect(choose(tree([6: [recent]])) == "nothing")
        let rewritten = TableMetadata.plain(1, "a", "c", createdAt: 901, earliestExpiry: 1)
        #expect(choose(tree([6: [rewritten]])) == "nothing")
    }

    @Test func aMostlyDeadBlobFileIsEmptied() {
        func blob(_ number: FileNumber) -> BlobFileMetadata {
            BlobFileMetadata(number: number, byteCount: 1056, checksum: 0, valueCount: 5, recordByteCount: 1000)
        }
        let table = TableMetadata.plain(
            1,
            "a",
            "c",
            blobs: [BlobFileShare(file: 30, byteCount: 400, valueCount: 2)]
        )
        let levels = tree([6: [table]], blobs: [blob(30), blob(31)])
        let choice = picker.choose(levels, running: [], at: moment)
        #expect(text(choice) == "merge blobGarbage 6:[1] -> 6")
        guard case .merge(let plan) = choice else { return }
        #expect(plan.collectedBlobFiles == [30])
        #expect(choose(tree([6: [table]], blobs: [blob(29), blob(30)])) == "nothing")
    }

    // MARK: - Manual

    private func steps(
        _ request: ManualCompaction,
        _ tree: TreeSummary,
        _ running: [CompactionFootprint] = []
    ) -> String {
        switch picker.nextStep(of: request, tree, running: running, at: moment) {
        case .done: "done"
        case .blocked: "blocked"
        case .run(let choice): text(choice)
        }
    }

    @Test func aManualCompactionGoesDownLevelByLevel() {
        let request = ManualCompaction(
            from: [UInt8]("b"),
            to: [UInt8]("d"),
            sequence: SequenceNumber(100),
            nextFileNumber: 50
        )
        let zero: [TableMetadata] = [.plain(9, "a", "b"), .plain(8, "x", "z")]
        let last: [TableMetadata] = [.plain(1, "a", "c"), .plain(2, "d", "e")]
        let middle: [TableMetadata] = [.plain(5, "c", "k")]
        #expect(steps(request, tree([0: zero, 5: middle, 6: last])) == "move manual 0:[9] -> 5")
        #expect(steps(request, tree([0: [zero[1]], 5: middle, 6: last])) == "merge manual 5:[5] 6:[1 2] -> 6")
        #expect(steps(request, tree([6: last])) == "merge manual 6:[1] -> 6")
        #expect(steps(request, tree([6: last]), [footprint([1], 6, "a", "c")]) == "blocked")
        // Outside the range, written since, or nothing to gain.
        #expect(steps(request, tree([6: [.plain(2, "d", "e")]])) == "done")
        #expect(steps(request, tree([0: [.plain(60, "b", "c", sequences: 101...200)]])) == "done")
        #expect(steps(request, tree([6: [.plain(50, "b", "c")]])) == "done")
        #expect(steps(request, tree([6: [.plain(1, "b", "c", sequences: 0...0)]])) == "done")
    }

    @Test func aManualCompactionDoesNotChaseWhatExpiresLater() {
        var table = TableMetadata.plain(1, "a", "b", sequences: 0...0)
        table.earliestExpiry = 200
        func request(at horizon: UInt64) -> ManualCompaction {
            ManualCompaction(sequence: SequenceNumber(100), nextFileNumber: 50, expiryHorizon: horizon)
        }
        #expect(steps(request(at: 200), tree([6: [table]])) == "merge manual 6:[1] -> 6")
        // Whatever the time is by now.
        #expect(steps(request(at: 199), tree([6: [table]])) == "done")
    }

    // MARK: - Figures

    @Test func debtIsZeroUntilSomethingIsDue() {
        #expect(picker.debt(tree([:])) == 0)
        #expect(picker.debt(tree([0: [.plain(1)], 6: [.plain(2, byteCount: 500)]])) == 0)
        let zero = (0..<4).map { TableMetadata.plain(FileNumber(14 - $0), byteCount: 100) }
        #expect(picker.debt(tree([0: zero, 6: [.plain(2, byteCount: 530)]])) == 930)
        let deep = tree([5: [.plain(1, byteCount: 3000)], 6: [.plain(2, byteCount: 10_000)]])
        #expect(picker.debt(deep) > 2000)
    }

    @Test func scoresSayWhichLevelIsDue() {
        let zero = (0..<2).map { TableMetadata.plain(FileNumber(14 - $0), byteCount: 10) }
        let scores = picker.scores(
            tree([0: zero, 5: [.plain(1, byteCount: 3000)], 6: [.plain(2, byteCount: 10_000)]])
        )
        // Two tables of the sixteen that are too many in any case: beside what lies beneath they are nothing.
        #expect(scores == [2.0 / 16, 0, 0, 0, 0, 3, 0])
    }

    // MARK: - Retention

    @Test func theOldestTablesAreDroppedBeyondSizeOrAge() {
        let tables = (0..<5).map { TableMetadata.plain(FileNumber(15 - $0), createdAt: UInt64(1000 - 100 * $0)) }
        let levels = tree([0: tables])
        func choose(_ size: UInt64, _ age: UInt64, _ running: [CompactionFootprint] = []) -> String {
            text(RetentionPicker(maximumByteCount: size, maximumAge: age).choose(levels, running: running, at: 1000))
        }
        #expect(choose(0, 0) == "nothing")
        #expect(choose(500, 0) == "nothing")
        #expect(choose(300, 0) == "drop 0:11 12")
        #expect(choose(0, 300) == "drop 0:11 12")
        #expect(choose(400, 300) == "drop 0:11 12")
        #expect(choose(300, 0, [footprint([11], 0, "a", "z")]) == "nothing")
    }
}
