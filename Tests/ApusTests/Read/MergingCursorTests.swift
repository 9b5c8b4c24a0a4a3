// The merge of many sources against one sorted array, with changes of direction anywhere.

import Testing

@testable import Apus

@Suite struct MergingCursorTests {
    /// Entries dealt to sources; some dealt to two.
    static func deal(
        _ entries: [ModelEntry],
        to count: Int,
        doublePercent: Int,
        _ random: inout TestRandom
    ) -> [SortedModel] {
        var parts = [[ModelEntry]](repeating: [], count: count)
        for entry in entries {
            let home = random.below(count)
            parts[home].append(entry)
            let other = random.below(count)
            if other != home && random.chance(doublePercent) { parts[other].append(entry) }
        }
        return parts.map { SortedModel($0) }
    }

    @Test(arguments: [1, 2, 3, 5, 8, 13], [0, 20])
    func anyMovesGiveTheSortedUnion(_ count: Int, _ doublePercent: Int) throws {
        for seed in 0..<6 as Range<UInt64> {
            var random = TestRandom(seed: seed &* 1000 &+ UInt64(count))
            let family = KeyFamily.allCases[Int(seed)]
            let entries = MemtableTests.entries(family, count: 300, seed: seed)
            let model = SortedModel(entries)
            let cursor = MergingCursor(
                Self.deal(entries, to: count, doublePercent: doublePercent, &random).map { ModelCursor($0) }
            )
            try Self.walk(cursor, model, family, &random, "seed \(seed)")
        }
    }

    static func walk(
        _ cursor: EntryCursor,
        _ model: SortedModel,
        _ family: KeyFamily,
        _ random: inout TestRandom,
        _ place: Comment
    ) throws {
        try cursor.seekToFirst()
        for entry in model.entries {
            if ModelEntry(cursor) != entry { try #require(ModelEntry(cursor) == entry, place) }
            try cursor.next()
        }
        #expect(!cursor.isValid)
        try cursor.seekToLast()
        for entry in model.entries.reversed() {
            if ModelEntry(cursor) != entry { try #require(ModelEntry(cursor) == entry, place) }
            try cursor.previous()
        }
        #expect(!cursor.isValid)
        var index = -1
        for _ in 0..<1500 {
            let key = family.key(&random)
            let seek = [Trailer.first, .last, .seek(SequenceNumber(UInt64(random.below(300))))][random.below(3)]
            switch random.below(10) {
            case 0:
                try cursor.seekToFirst()
                index = 0
            case 1:
                try cursor.seekToLast()
                index = model.entries.count - 1
            case 2:
                try key.raw { try cursor.seek($0, seek) }
                index = model.index(key, seek)
            case 3:
                try key.raw { try cursor.seekBefore($0, seek) }
                index = model.index(key, seek) - 1
            case 4..<7 where cursor.isValid:
                try cursor.next()
                index += 1
            case 7..<10 where cursor.isValid:
                try cursor.previous()
                index -= 1
            default: continue
            }
            let expected = model.entry(index)
            if ModelEntry(cursor) != expected { try #require(ModelEntry(cursor) == expected, place) }
            if let expected { requireTruth(cursor, expected, model, index, place) }
        }
    }

    /// What a cursor says of the neighbours of its entry may be less than the truth, but never more.
    private static func requireTruth(
        _ cursor: EntryCursor, _ entry: ModelEntry, _ model: SortedModel, _ index: Int, _ place: Comment
    ) {
        if cursor.precedingKeyDiffers() && model.entry(index - 1)?.key == entry.key {
            Issue.record("the entry before has the same key, \(place)")
        }
        if cursor.followingKeyDiffers() && model.entry(index + 1)?.key == entry.key {
            Issue.record("the entry after has the same key, \(place)")
        }
    }

    @Test func noSourcesAreAnEmptySequence() throws {
        let cursor = MergingCursor([])
        try cursor.seekToFirst()
        #expect(!cursor.isValid)
        try [UInt8(1)].raw { try cursor.seekBefore($0, .first) }
        #expect(!cursor.isValid)
    }

    @Test func anErrorOfASourceIsPassedOnAndASeekRecovers() throws {
        final class FailingCursor: EntryCursor {
            var isBroken = false
            private func check() throws(ApusError) {
                if isBroken { throw ApusError(.io, "broken") }
            }
            override func seekToFirst() throws(ApusError) { try check() }
            override func seek(_ key: UnsafeRawBufferPointer, _ trailer: Trailer) throws(ApusError) { try check() }
            override func seekBefore(_ key: UnsafeRawBufferPointer, _ trailer: Trailer) throws(ApusError) {
                try check()
            }
        }
        let failing = FailingCursor()
        let entries = MemtableTests.entries(.random, count: 10, seed: 1)
        let cursor = MergingCursor([failing, ModelCursor(SortedModel(entries))])
        try cursor.seekToFirst()
        try cursor.next()
        failing.isBroken = true
        #expect(throws: ApusError.self) { try cursor.previous() }
        #expect(!cursor.isValid)
        #expect(throws: ApusError.self) { try cursor.seekToFirst() }
        failing.isBroken = false
        try cursor.seekToFirst()
        #expect(ModelEntry(cursor) == SortedModel(entries).entry(0))
    }
}
