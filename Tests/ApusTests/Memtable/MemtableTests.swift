// The memtable against a sorted array, over families of keys that are hard on key heads.

import Testing

@testable import Apus

@Suite struct MemtableTests {
    enum Order: CaseIterable { case ascending, descending, random }

    static func entries(_ family: KeyFamily, count: Int, seed: UInt64) -> [ModelEntry] {
        var random = TestRandom(seed: seed)
        return (1...count).map { number in
            let payload = (0..<random.below(20)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            return ModelEntry(family.key(&random), Trailer(SequenceNumber(UInt64(number)), .value), payload)
        }
    }

    static func memtable(_ entries: [ModelEntry]) -> Memtable {
        let byteCount = entries.reduce(0) { $0 + $1.key.count + $1.payload.count }
        let memtable = Memtable(
            capacity: Memtable.capacity(forEntries: entries.count, byteCount: byteCount),
            pool: nil
        )
        #expect(memtable.hasRoom(forEntries: entries.count, byteCount: byteCount))
        for entry in entries { memtable.insert(entry) }
        return memtable
    }

    @Test(arguments: KeyFamily.allCases, Order.allCases)
    func agreesWithASortedArray(_ family: KeyFamily, _ order: Order) throws {
        for (count, seed) in [(1, 1), (14, 2), (15, 3), (200, 4), (5000, 5)] as [(Int, UInt64)] {
            var entries = Self.entries(family, count: count, seed: seed)
            switch order {
            case .ascending: entries.sort(by: ModelEntry.before)
            case .descending: entries.sort { ModelEntry.before($1, $0) }
            case .random: break
            }
            try Self.check(Self.memtable(entries), SortedModel(entries), family, seed: seed)
        }
    }

    @Test func agreesWithASortedArrayOfAHundredThousand() throws {
        for family in [KeyFamily.random, .decimal] {
            let entries = Self.entries(family, count: 100_000, seed: 77)
            try Self.check(Self.memtable(entries), SortedModel(entries), family, seed: 78)
        }
    }

    /// Looks up present and absent places, walks both ways, and seeks from everywhere.
    static func check(
        _ memtable: Memtable,
        _ model: SortedModel,
        _ family: KeyFamily,
        seed: UInt64,
        rounds: Int = 2000
    ) throws {
        #expect(memtable.entryCount == model.entries.count)
        var random = TestRandom(seed: seed ^ 0xABCD)
        let cursor = memtable.makeCursor()
        // Counted, since an expectation costs far more than a step.
        var mistakes = 0
        func check(_ isRight: Bool) { mistakes += isRight ? 0 : 1 }
        try cursor.seekToFirst()
        for entry in model.entries {
            check(ModelEntry(cursor) == entry)
            try cursor.next()
        }
        check(!cursor.isValid)
        try cursor.seekToLast()
        for entry in model.entries.reversed() {
            check(ModelEntry(cursor) == entry)
            try cursor.previous()
        }
        check(!cursor.isValid)
        try #require(mistakes == 0, "seed \(seed)")

        for round in 0..<rounds {
            let key = round % 2 == 0 ? family.key(&random) : model.entries[random.below(model.entries.count)].key
            let sequence = SequenceNumber(UInt64(random.below(model.entries.count + 2)))
            let seek = [Trailer.first, .last, .seek(sequence), Trailer(sequence, .value)][random.below(4)]
            let found = key.raw { memtable.find($0, seek) }
            let expected = model.find(key, seek)
            check(found?.trailer == expected?.trailer)
            check(found.map { Array($0.payload) } == expected?.payload)

            let index = model.index(key, seek)
            try key.raw { try cursor.seek($0, seek) }
            check(ModelEntry(cursor) == model.entry(index))
            if cursor.isValid && random.chance(50) {
                try cursor.previous()
                check(ModelEntry(cursor) == model.entry(index - 1))
            }
            try key.raw { try cursor.seekBefore($0, seek) }
            check(ModelEntry(cursor) == model.entry(index - 1))
            if cursor.isValid && random.chance(50) {
                try cursor.next()
                check(ModelEntry(cursor) == model.entry(index))
            }
            if mistakes > 0 { return #expect(mistakes == 0, "seed \(seed) round \(round)") }
        }
    }

    @Test func sequentialInsertsInTheMiddleAgreeWithASortedArray() throws {
        // Several ascending streams that take turns for a while: the saved position is right, then wrong.
        var random = TestRandom(seed: 9)
        var entries: [ModelEntry] = []
        var next = [Int](repeating: 0, count: 4)
        while entries.count < 20_000 {
            let stream = random.below(4)
            for _ in 0..<(1 + random.below(60)) {
                next[stream] += 1 + random.below(3)
                let digits = String(next[stream] + 100_000)
                entries.append(
                    ModelEntry(
                        Array("stream\(stream)/\(digits)".utf8),
                        Trailer(SequenceNumber(UInt64(entries.count + 1)), .value),
                        []
                    )
                )
            }
        }
        let memtable = Self.memtable(entries)
        try Self.check(memtable, SortedModel(entries), .equalHeads, seed: 10)
    }

    @Test func takesHugeKeysAndValues() throws {
        var entries: [ModelEntry] = []
        for number in 1...60 {
            var key = [UInt8](repeating: 0xAB, count: 65_536)
            key[65_535] = UInt8(number * 37 % 256)
            let payload = [UInt8](repeating: UInt8(number), count: number == 30 ? 3 << 20 : number)
            entries.append(ModelEntry(key, Trailer(SequenceNumber(UInt64(number)), .value), payload))
        }
        try Self.check(Self.memtable(entries), SortedModel(entries), .extremes, seed: 11, rounds: 100)
    }

    @Test func anEmptyMemtableHasNothing() throws {
        let memtable = Memtable(capacity: 0, pool: nil)
        #expect(memtable.isEmpty)
        #expect([UInt8(1)].raw { memtable.find($0, .first) } == nil)
        let cursor = memtable.makeCursor()
        try cursor.seekToFirst()
        #expect(!cursor.isValid)
        try cursor.seekToLast()
        #expect(!cursor.isValid)
        try [UInt8(1)].raw { try cursor.seek($0, .first) }
        #expect(!cursor.isValid)
        try [UInt8(1)].raw { try cursor.seekBefore($0, .first) }
        #expect(!cursor.isValid)
    }

    @Test func whatHasRoomFits() {
        // Fill memtables to the brim in batches of all sizes, in the order that takes the most nodes.
        for (seed, batch) in [(1, 1), (2, 7), (3, 100), (4, 1500)] as [(UInt64, Int)] {
            var random = TestRandom(seed: seed)
            let memtable = Memtable(capacity: 1 << 20, pool: nil)
            var sequence: UInt64 = 0
            while memtable.hasRoom(forEntries: batch, byteCount: batch * 9) {
                for _ in 0..<batch {
                    sequence += 1
                    let key = (0..<8).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                    memtable.insert(ModelEntry(key, Trailer(SequenceNumber(sequence), .value), [1]))
                }
                #expect(memtable.byteCount <= memtable.capacity)
            }
            #expect(memtable.byteCount > (batch < 10 ? 900 << 10 : 300 << 10), "batch \(batch)")
        }
    }

    @Test func countsWhatItHolds() {
        let memtable = Memtable(capacity: 1 << 20, pool: nil)
        func insert(_ key: String, _ sequence: UInt64, _ kind: EntryKind, _ payload: [UInt8]) {
            memtable.insert(ModelEntry(Array(key.utf8), Trailer(SequenceNumber(sequence), kind), payload))
        }
        var expiring: [UInt8] = []
        expiring.appendLittleEndian(UInt64(500))
        var operand: [UInt8] = []
        operand.appendLittleEndian(UInt64(1))
        operand.appendLittleEndian(UInt64(300))
        insert("a", 7, .value, [1, 2])
        #expect(memtable.earliestExpiry == 0)
        insert("b", 8, .deletion, [])
        insert("c", 9, .expiringValue, expiring)
        #expect(memtable.earliestExpiry == 500)
        insert("d", 10, .mergeOperand, operand)
        #expect(memtable.earliestExpiry == 300)
        #expect(memtable.rangeDeletions == nil)
        [UInt8(1)].raw { start in
            [UInt8(2)].raw { memtable.insertRangeDeletion(start: start, end: $0, SequenceNumber(11)) }
        }
        #expect(memtable.entryCount == 4)
        #expect(memtable.deletionCount == 1)
        #expect(memtable.rangeDeletionCount == 1)
        #expect(memtable.rawByteCount == 3 + 1 + 9 + 17 + 2)
        #expect(memtable.firstSequence == SequenceNumber(7))
        #expect(memtable.lastSequence == SequenceNumber(11))
        #expect(memtable.rangeDeletions?.all().count == 1)
    }

    @Test func aPoolHandsArenasOnWithTheirOldBytes() throws {
        let pool = ArenaPool()
        for seed in 1...6 as ClosedRange<UInt64> {
            let entries = Self.entries(.random, count: 3000, seed: seed)
            let memtable = Memtable(capacity: 1 << 20, pool: pool)
            for entry in entries { memtable.insert(entry) }
            try Self.check(memtable, SortedModel(entries), .random, seed: seed)
        }
        #expect(pool.byteCount == 1 << 20)
    }
}
