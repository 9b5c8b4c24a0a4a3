// What a reader sees of versions, deletions, ranges, expiries and merges, against a slow resolver.

import Testing

@testable import Apus

@Suite struct VisibleCursorTests {
    /// One visible entry.
    struct Visible: Equatable {
        var key: [UInt8]
        var value: [UInt8]
        var expiresAt: UInt64
    }

    /// A random history of one keyspace, spread over sources, and what a reader must see of it.
    struct History {
        var entries: [ModelEntry] = []
        var rangeDeletions: [RangeDeletion] = []
        var blobs = TestBlobs()
        static let clock: ClosedRange<UInt64> = 1...60

        init(_ family: KeyFamily, entryCount: Int, rangeDeletionPercent: Int, random: inout TestRandom) {
            for sequence in 1...UInt64(entryCount) {
                let number = SequenceNumber(sequence)
                // Time runs with the sequence, but jumps.
                let time = sequence * 40 / UInt64(entryCount) + UInt64(random.below(6)) + 1
                var expiry: UInt64 { random.chance(60) ? 0 : time + UInt64(random.below(30)) }
                if random.chance(rangeDeletionPercent) {
                    let (a, b) = (family.key(&random), family.key(&random))
                    let isAscending = compareArrays(a, b) < 0
                    rangeDeletions.append(
                        RangeDeletion(start: isAscending ? a : b, end: isAscending ? b : a, sequence: number)
                    )
                    continue
                }
                let kinds: [EntryKind] = [
                    .value, .value, .value, .deletion, .mergeOperand, .mergeOperand, .expiringValue, .separatedValue,
                    .expiringSeparatedValue,
                ]
                let kind = kinds[random.below(kinds.count)]
                let value = Array("\(sequence);".utf8)
                var payload: [UInt8] = []
                switch kind {
                case .value: payload = value
                case .deletion, .rangeDeletion: break
                case .mergeOperand:
                    payload.appendLittleEndian(time)
                    payload.appendLittleEndian(expiry)
                    payload += value
                case .expiringValue:
                    payload.appendLittleEndian(max(expiry, 1))
                    payload += value
                case .separatedValue, .expiringSeparatedValue:
                    if kind == .expiringSeparatedValue { payload.appendLittleEndian(max(expiry, 1)) }
                    BlobReference(file: 1, offset: sequence, storedByteCount: 9, valueByteCount: 9)
                        .encode(into: &payload)
                    blobs.values[sequence] = value
                }
                entries.append(ModelEntry(family.key(&random), Trailer(number, kind), payload))
            }
        }

        /// The definition, entry by entry in order of sequence; shares no code with the cursor.
        func visible(snapshot: SequenceNumber, now: UInt64, lower: [UInt8]?, upper: [UInt8]?) -> [Visible] {
            let versions = Dictionary(grouping: entries, by: \.key)
            return versions.keys.sorted { compareArrays($0, $1) < 0 }.compactMap { key in
                if let lower, compareArrays(key, lower) < 0 { return nil }
                if let upper, compareArrays(key, upper) >= 0 { return nil }
                var state: (value: [UInt8], expiresAt: UInt64)?
                var events: [(SequenceNumber, ModelEntry?)] = versions[key]!.map { ($0.trailer.sequence, $0) }
                events += rangeDeletions.filter { compareArrays($0.start, key) <= 0 && compareArrays(key, $0.end) < 0 }
                    .map { ($0.sequence, nil) }
                events.sort { $0.0 < $1.0 }
                for (sequence, entry) in events where sequence <= snapshot {
                    guard let entry else {
                        state = nil
                        continue
                    }
                    let payload = entry.payload
                    func integer(_ offset: Int) -> UInt64 { payload.raw { $0.littleEndian(at: offset) } }
                    switch entry.trailer.kind! {
                    case .value: state = (payload, 0)
                    case .deletion, .rangeDeletion: state = nil
                    case .expiringValue: state = (Array(payload[8...]), integer(0))
                    case .separatedValue: state = (blobs.values[sequence.rawValue]!, 0)
                    case .expiringSeparatedValue: state = (blobs.values[sequence.rawValue]!, integer(0))
                    case .mergeOperand:
                        if let before = state, before.expiresAt != 0 && before.expiresAt <= integer(0) { state = nil }
                        state = (
                            (state?.value ?? []) + payload[16...],
                            integer(8) != 0 ? integer(8) : state?.expiresAt ?? 0
                        )
                    }
                }
                guard let state, state.expiresAt == 0 || state.expiresAt > now else { return nil }
                return Visible(key: key, value: state.value, expiresAt: state.expiresAt)
            }
        }

        /// The history spread over sources: by age, as an LSM tree does, or anyhow.
        func sources(_ random: inout TestRandom, byAge: Bool, inMemtables: Bool) -> ([EntryCursor], [RangeDeletions]) {
            let count = 1 + random.below(5)
            func place(_ sequence: SequenceNumber, _ random: inout TestRandom) -> Int {
                byAge
                    ? Int(sequence.rawValue) * count / (entries.count + rangeDeletions.count + 1) : random.below(count)
            }
            var parts = [[ModelEntry]](repeating: [], count: count)
            for entry in entries {
                parts[place(entry.trailer.sequence, &random)].append(entry)
                // Sometimes twice: replayed from the log although a table has it.
                if random.chance(3) {
                    let other = random.below(count)
                    if parts[other].last != entry { parts[other].append(entry) }
                }
            }
            var deletions = [[RangeDeletion]](repeating: [], count: count)
            for deletion in rangeDeletions { deletions[place(deletion.sequence, &random)].append(deletion) }
            let cursors = parts.map { part -> EntryCursor in
                if inMemtables {
                    return MemtableTests.memtable(part).makeCursor()
                }
                let cursor = ModelCursor(SortedModel(part))
                cursor.newestSequence = part.map(\.trailer.sequence).max() ?? .zero
                return cursor
            }
            return (cursors, deletions.map { RangeDeletions($0) })
        }
    }

    struct TestBlobs: BlobSource {
        var values: [UInt64: [UInt8]] = [:]

        func withValue(
            of reference: BlobReference, _ body: (UnsafeRawBufferPointer) throws(ApusError) -> Void
        ) throws(ApusError) {
            guard let value = values[reference.offset] else { throw ApusError(.corruption, "no such blob") }
            try value.withBytes(body)
        }
    }

    final class TestContext: ValueContext {
        let mergeOperator: (any MergeOperator)?
        let blobs: any BlobSource

        init(mergeOperator: (any MergeOperator)? = nil, blobs: TestBlobs = TestBlobs()) {
            self.mergeOperator = mergeOperator
            self.blobs = blobs
        }
    }

    static func current(_ cursor: VisibleCursor) throws -> Visible? {
        guard cursor.isValid else { return nil }
        let value = Array(try cursor.value())
        if Array(try cursor.value()) != value { Issue.record("a value changed when asked for twice") }
        return Visible(key: Array(cursor.key), value: value, expiresAt: cursor.expiresAt)
    }

    @Test(arguments: 0..<60 as Range<UInt64>)
    func everyWalkAgreesWithTheDefinition(_ seed: UInt64) throws {
        var random = TestRandom(seed: seed)
        let family = KeyFamily.allCases[Int(seed) % KeyFamily.allCases.count]
        let percent = [0, 2, 15][random.below(3)]
        let history = History(
            family,
            entryCount: 40 + random.below(260),
            rangeDeletionPercent: percent,
            random: &random
        )
        for reader in 0..<12 {
            let snapshot =
                random.chance(40)
                ? SequenceNumber.max : SequenceNumber(UInt64(random.below(history.entries.count + 2)))
            let now = UInt64(random.below(80))
            let lower = random.chance(40) ? family.key(&random) : nil
            let upper = random.chance(40) ? family.key(&random) : nil
            let expected = history.visible(snapshot: snapshot, now: now, lower: lower, upper: upper)
            let (cursors, deletions) = history.sources(
                &random,
                byAge: random.chance(60),
                inMemtables: random.chance(50)
            )
            let cursor = VisibleCursor(
                source: cursors.count == 1 ? cursors[0] : MergingCursor(cursors),
                rangeDeletions: deletions,
                snapshot: snapshot,
                now: now,
                lower: lower,
                upper: upper,
                context: TestContext(mergeOperator: .append, blobs: history.blobs)
            )
            try Self.walkEverything(cursor, expected, "seed \(seed) reader \(reader)")
            try Self.walkAnyhow(cursor, expected, family, &random, "seed \(seed) reader \(reader)")
        }
    }

    static func walkEverything(_ cursor: VisibleCursor, _ expected: [Visible], _ place: Comment) throws {
        var found: [Visible] = []
        try cursor.seekToFirst()
        while let entry = try current(cursor) {
            found.append(entry)
            try cursor.next()
        }
        try requireEqual(found, expected, place)
        found = []
        try cursor.seekToLast()
        while let entry = try current(cursor) {
            found.append(entry)
            try cursor.previous()
        }
        try requireEqual(found, expected.reversed(), place)
    }

    /// Names the first difference only: two whole scans are no message.
    static func requireEqual(_ found: [Visible], _ expected: [Visible], _ place: Comment) throws {
        let count = max(found.count, expected.count)
        let first = (0..<count).first { $0 >= found.count || $0 >= expected.count || found[$0] != expected[$0] }
        guard let first else { return }
        try #require(found.dropFirst(first).first == expected.dropFirst(first).first, place)
    }

    static func walkAnyhow(
        _ cursor: VisibleCursor,
        _ expected: [Visible],
        _ family: KeyFamily,
        _ random: inout TestRandom,
        _ place: Comment
    ) throws {
        var index = -1
        for _ in 0..<300 {
            let target = random.chance(50) ? expected.randomElement(using: &random)?.key : nil
            let key = target ?? family.key(&random)
            let atOrAfter = expected.firstIndex { compareArrays($0.key, key) >= 0 } ?? expected.count
            let isThere = expected.indices.contains(atOrAfter) && expected[atOrAfter].key == key
            switch random.below(12) {
            case 0:
                try cursor.seekToFirst()
                index = 0
            case 1:
                try cursor.seekToLast()
                index = expected.count - 1
            case 2:
                try key.raw { try cursor.seek(atOrAfter: $0) }
                index = atOrAfter
            case 3:
                try key.raw { try cursor.seek(before: $0) }
                index = atOrAfter - 1
            case 4:
                try key.raw { try cursor.seek(atOrBefore: $0) }
                index = isThere ? atOrAfter : atOrAfter - 1
            case 5..<9 where cursor.isValid:
                try cursor.next()
                index += 1
            case 9..<12 where cursor.isValid:
                try cursor.previous()
                index -= 1
            default: continue
            }
            let isInside = expected.indices.contains(index)
            var isRight = cursor.isValid == isInside
            if isRight && isInside && random.chance(70) { isRight = try current(cursor) == expected[index] }
            if !isRight { try #require(isRight, place) }
        }
    }

    static func value(_ key: String, _ sequence: UInt64, _ value: String) -> ModelEntry {
        ModelEntry(Array(key.utf8), Trailer(SequenceNumber(sequence), .value), Array(value.utf8))
    }

    static func cursor(
        _ sources: [[ModelEntry]],
        _ deletions: [RangeDeletion] = [],
        snapshot: SequenceNumber = .max
    ) -> VisibleCursor {
        VisibleCursor(
            source: MergingCursor(sources.map { ModelCursor(SortedModel($0)) }),
            rangeDeletions: [RangeDeletions(deletions)],
            snapshot: snapshot,
            now: 0,
            lower: nil,
            upper: nil,
            context: TestContext()
        )
    }

    @Test func aKeyWithThousandsOfVersionsIsOneEntry() throws {
        for snapshot in [1, 500, 999, 2500] as [UInt64] {
            let entries =
                (1...2000).map { Self.value("b", $0, "b\($0)") }
                + [Self.value("a", 2001, "a"), Self.value("c", 2002, "c")]
            let cursor = Self.cursor([entries], snapshot: SequenceNumber(snapshot))
            let expected = snapshot > 2000 ? ["a", "b2000", "c"] : ["b\(snapshot)"]
            try Self.walkEverything(
                cursor,
                expected.map { Visible(key: [$0.utf8.first!], value: Array($0.utf8), expiresAt: 0) },
                ""
            )
        }
    }

    @Test func aLongDeletedRangeIsSkippedBySeeks() throws {
        // The old source counts its steps: a scan over a million deleted entries would take as many.
        final class CountingCursor: EntryCursor {
            var steps = 0
            private let inner: ModelCursor
            init(_ entries: [ModelEntry], newest: SequenceNumber) {
                inner = ModelCursor(SortedModel(entries))
                super.init()
                newestSequence = newest
            }
            private func copy() {
                steps += 1
                (isValid, key, trailer, payload) = (inner.isValid, inner.key, inner.trailer, inner.payload)
            }
            override func seekToFirst() {
                inner.seekToFirst()
                copy()
            }
            override func seekToLast() {
                inner.seekToLast()
                copy()
            }
            override func seek(_ key: UnsafeRawBufferPointer, _ trailer: Trailer) {
                inner.seek(key, trailer)
                copy()
            }
            override func seekBefore(_ key: UnsafeRawBufferPointer, _ trailer: Trailer) {
                inner.seekBefore(key, trailer)
                copy()
            }
            override func next() {
                inner.next()
                copy()
            }
            override func previous() {
                inner.previous()
                copy()
            }
        }
        let old = (1...5000).map { Self.value(String(10_000 + $0), $0, "old") }
        let source = CountingCursor(old, newest: SequenceNumber(5000))
        let new = [Self.value("12000", 5002, "new")]
        let deletion = RangeDeletion(
            start: Array("10100".utf8),
            end: Array("14990".utf8),
            sequence: SequenceNumber(5001)
        )
        let cursor = VisibleCursor(
            source: MergingCursor([ModelCursor(SortedModel(new)), source]),
            rangeDeletions: [RangeDeletions([deletion])],
            snapshot: .max,
            now: 0,
            lower: nil,
            upper: nil,
            context: TestContext()
        )
        let expected =
            (old.filter { compareArrays($0.key, deletion.start) < 0 || compareArrays($0.key, deletion.end) >= 0 } + new)
            .sorted(by: ModelEntry.before).map { Visible(key: $0.key, value: $0.payload, expiresAt: 0) }
        try Self.walkEverything(cursor, expected, "")
        #expect(source.steps < 400)
    }

    @Test func aMergeWithoutAnOperatorIsAnErrorThatNamesTheKey() throws {
        let operand = ModelEntry(
            Array("counter".utf8),
            Trailer(SequenceNumber(1), .mergeOperand),
            [UInt8](repeating: 0, count: 17)
        )
        let cursor = Self.cursor([[operand]])
        try cursor.seekToFirst()
        #expect(cursor.isValid)
        let error = #expect(throws: ApusError.self) { try cursor.value() }
        #expect(error?.kind == .mergeFailed)
        #expect(error?.message.contains("counter") == true)
    }

    @Test func malformedPayloadsAreCorruption() throws {
        for kind in [EntryKind.mergeOperand, .separatedValue, .expiringValue, .expiringSeparatedValue, .rangeDeletion] {
            let cursor = Self.cursor([[ModelEntry([1], Trailer(SequenceNumber(1), kind), [1, 2, 3])]])
            #expect(throws: ApusError.self) { try cursor.seekToFirst() }
            #expect(!cursor.isValid)
            #expect(throws: ApusError.self) { try cursor.seekToLast() }
            #expect(!cursor.isValid)
        }
    }
}
