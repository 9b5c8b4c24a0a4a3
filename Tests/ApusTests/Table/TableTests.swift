// Tables against a sorted array.

import ApusIO
import Synchronization
import Testing

@testable import Apus

@Suite struct TableTests {
    private static let alphabet: [UInt8] = [0x00, 0x01, 0xFE, 0xFF]

    /// Entries that provoke the edges: few distinct bytes, shared prefixes, equal heads, many versions.
    private func randomEntries(_ random: inout TestRandom) -> [TableEntry] {
        var entries: Set<TableEntry> = []
        var seen: Set<String> = []
        let count = Int.random(in: 1...300, using: &random)
        let prefixes = [[], random.bytes(3, alphabet: Self.alphabet), random.bytes(12, alphabet: Self.alphabet)]
        let maximumRest = Int.random(in: 1...24, using: &random)
        let versions = Int.random(in: 1...30, using: &random)
        while entries.count < count {
            let rest = random.bytes(Int.random(in: 1...maximumRest, using: &random), alphabet: Self.alphabet)
            let key = prefixes.randomElement(using: &random)! + rest
            for _ in 0..<Int.random(in: 1...versions, using: &random) {
                let sequence = UInt64.random(in: 0...(Bool.random(using: &random) ? 50 : 1 << 50), using: &random)
                guard seen.insert("\(key)@\(sequence)").inserted else { continue }
                let isDeletion = Int.random(in: 0..<8, using: &random) == 0
                let size = Int.random(in: 0...9, using: &random) == 0 ? 700 : Int.random(in: 0...20, using: &random)
                entries.insert(
                    TableEntry(
                        key,
                        sequence,
                        isDeletion ? [] : random.bytes(size),
                        kind: isDeletion ? .deletion : .value
                    )
                )
            }
            if seen.count > 4000 { break }
        }
        return entries.sorted()
    }

    private func randomTarget(_ entries: [TableEntry], _ random: inout TestRandom) -> ([UInt8], Trailer) {
        var key = entries.randomElement(using: &random)!.key
        switch Int.random(in: 0..<6, using: &random) {
        case 0: key = random.bytes(Int.random(in: 1...16, using: &random), alphabet: Self.alphabet)
        case 1: key.append(Self.alphabet.randomElement(using: &random)!)
        case 2: if key.count > 1 { key.removeLast() }
        case 3: key[key.count - 1] &+= 1
        default: break
        }
        let around = entries.randomElement(using: &random)!.trailer.sequence.rawValue
        let trailer: Trailer =
            switch Int.random(in: 0..<4, using: &random) {
            case 0: .first
            case 1: .last
            case 2: .seek(SequenceNumber(around))
            default: Trailer(SequenceNumber(around), .value)
            }
        return (key, trailer)
    }

    private func checkAgainstModel(_ table: Table, _ entries: [TableEntry], _ random: inout TestRandom) throws {
        let cursor = table.makeCursor(
            fillCache: Bool.random(using: &random),
            readahead: Bool.random(using: &random)
        )
        try cursor.seekToFirst()
        for entry in entries {
            #expect(cursor.current == entry)
            try cursor.next()
        }
        #expect(!cursor.isValid)
        try cursor.seekToLast()
        for entry in entries.reversed() {
            #expect(cursor.current == entry)
            try cursor.previous()
        }
        #expect(!cursor.isValid)

        for _ in 0..<60 {
            let (key, trailer) = randomTarget(entries, &random)
            var index = entries.firstIndex { !$0.isBefore(key, trailer) } ?? entries.count
            if trailer != .last && trailer != .first {
                #expect(
                    try table.find(key, at: trailer.sequence.rawValue, fill: Bool.random(using: &random))
                        == entries.first { $0.key == key && $0.trailer.sequence <= trailer.sequence }
                )
            }
            if Bool.random(using: &random) {
                try cursor.seek(key, trailer)
            } else {
                try cursor.seekBefore(key, trailer)
                index -= 1
            }
            for _ in 0..<Int.random(in: 0...12, using: &random) {
                #expect(cursor.current == (entries.indices.contains(index) ? entries[index] : nil))
                guard cursor.isValid else { break }
                // What it says of the neighbours may be less than the truth, but never more.
                if cursor.precedingKeyDiffers() {
                    #expect(index == 0 || entries[index - 1].key != entries[index].key)
                }
                if cursor.followingKeyDiffers() {
                    #expect(index == entries.count - 1 || entries[index + 1].key != entries[index].key)
                }
                if Bool.random(using: &random) {
                    try cursor.next()
                    index += 1
                } else {
                    try cursor.previous()
                    index -= 1
                }
            }
        }
    }

    @Test(arguments: 0..<60)
    func randomTableAnswersAsASortedArrayDoes(_ round: Int) throws {
        var random = TestRandom(seed: UInt64(round))
        let entries = randomEntries(&random)
        var options = TableWriterOptions()
        options.blockByteCount = [1, 64, 300, 4096].randomElement(using: &random)!
        options.codec = Codec.allCases.randomElement(using: &random)!
        options.filterBitsPerKey = [0, 1, 10].randomElement(using: &random)!
        let fixture = TableFixture(cacheCapacity: [0, 20_000, 1 << 20].randomElement(using: &random)!)
        let metadata = try fixture.write(entries, options: options)
        #expect(metadata.entryCount == UInt64(entries.count))
        #expect(metadata.smallest == entries.first!.key && metadata.largest == entries.last!.key)
        #expect(!metadata.largestIsExclusive)
        #expect(metadata.deletionCount == UInt64(entries.count { $0.trailer.kind == .deletion }))
        #expect(metadata.smallestSequence == entries.map(\.trailer.sequence).min())
        #expect(metadata.largestSequence == entries.map(\.trailer.sequence).max())
        #expect(metadata.byteCount == UInt64(fixture.fileSystem[fixture.path(7)]!.count))
        let table = fixture.open(metadata)
        try checkAgainstModel(table, entries, &random)
        #expect(try table.problems() == [])
    }

    private func check(_ entries: [TableEntry], options: TableWriterOptions = .init(), seed: UInt64 = 1) throws {
        var random = TestRandom(seed: seed)
        let table = try TableFixture().table(entries, options: options)
        try checkAgainstModel(table, entries, &random)
        #expect(try table.problems() == [])
    }

    @Test func oneEntryMakesATable() throws {
        try check([TableEntry([0], 0, [])])
    }

    @Test(arguments: Codec.allCases)
    func longestKeysAndLargeValuesComeBack(_ codec: Codec) throws {
        var options = TableWriterOptions()
        options.codec = codec
        var random = TestRandom(seed: 3)
        let long = [UInt8](repeating: 0xFF, count: 65_535)
        let entries = [
            TableEntry([0xFE], 9, [UInt8](repeating: 7, count: 1 << 20)),
            TableEntry(Array(long.dropLast()), 4, []),
            TableEntry(long + [0x00], 3, random.bytes(1 << 20)),
            TableEntry(long + [0xFE], 3, [1]),
            TableEntry(long + [0xFF], 12, [2]),
            TableEntry(long + [0xFF], 11, []),
        ]
        try check(entries.sorted(), options: options)
    }

    @Test func separatorsOfManyLongKeysGrowTheRootBeyondNarrowOffsets() throws {
        var options = TableWriterOptions()
        options.blockByteCount = 1
        options.filterBitsPerKey = 0
        // Keys that differ early and late: no separator is short, and each leaf holds one.
        var entries: [TableEntry] = []
        for index: UInt8 in 0..<12 {
            var key = [UInt8](repeating: 0xFF, count: 33_000)
            key += [index, 0xFF, index]
            entries.append(TableEntry(key, 5, [index]))
        }
        for index: UInt8 in 0..<6 {
            var key: [UInt8] = [0xFE, index]
            key += [UInt8](repeating: 0xFF, count: 40_000)
            entries.append(TableEntry(key, 1, []))
        }
        try check(entries.sorted(), options: options)
    }

    @Test func versionsOfOneKeySpanBlocksAndPartitions() throws {
        var options = TableWriterOptions()
        options.blockByteCount = 1
        let entries = (0..<700).map { TableEntry([1, 2, 3], UInt64(2000 - $0), [UInt8(truncatingIfNeeded: $0)]) }
        let fixture = TableFixture()
        let table = try fixture.table(
            [TableEntry([1, 2, 2], 5, [])] + entries + [TableEntry([1, 2, 3, 0], 1, [])],
            options: options
        )
        for sequence in 1295...2005 {
            let expected = entries.first { $0.trailer.sequence.rawValue <= sequence }
            #expect(try table.find([1, 2, 3], at: UInt64(sequence)) == expected)
        }
        #expect(try table.problems() == [])
    }

    @Test func zeroPaddedHeadsDoNotConfuseKeysOfDifferentLength() throws {
        var entries: [TableEntry] = []
        for length in 1...20 {
            entries.append(TableEntry([UInt8](repeating: 0, count: length), 7, [UInt8(length)]))
            entries.append(TableEntry([UInt8](repeating: 0, count: length), 6, [UInt8(length), 6]))
        }
        try check(entries.sorted())
    }

    @Test func tableOfRangeDeletionsAloneIsLegal() throws {
        let fixture = TableFixture()
        let deletions = [
            RangeDeletion(start: [2], end: [5], sequence: SequenceNumber(9)),
            RangeDeletion(start: [3], end: [9, 0], sequence: SequenceNumber(4)),
        ]
        let metadata = try fixture.write([], rangeDeletions: deletions)
        #expect(metadata.entryCount == 0 && metadata.rangeDeletionCount == 2)
        #expect(metadata.smallest == [2] && metadata.largest == [9, 0] && metadata.largestIsExclusive)
        #expect(metadata.smallestSequence.rawValue == 4 && metadata.largestSequence.rawValue == 9)
        let table = fixture.open(metadata)
        #expect(try table.find([3], at: 100) == nil)
        #expect(try table.rangeDeletions()?.all() == deletions)
        let cursor = table.makeCursor(fillCache: true, readahead: true)
        try cursor.seekToFirst()
        #expect(!cursor.isValid)
        try cursor.seekToLast()
        #expect(!cursor.isValid)
        try cursor.seek([1], .first)
        #expect(!cursor.isValid)
        try cursor.seekBefore([9], .first)
        #expect(!cursor.isValid)
        #expect(try table.problems() == [])
    }

    @Test(arguments: [
        ([UInt8(4)], [UInt8(6)], [UInt8(4)], [UInt8(6)], true), ([5], [7], [5], [7], false), ([1], [9], [1], [9], true),
        ([5, 0], [6], [5], [7], false),
    ])
    func boundsIncludeRangeDeletions(
        start: [UInt8],
        end: [UInt8],
        smallest: [UInt8],
        largest: [UInt8],
        isExclusive: Bool
    ) throws {
        let entries = largest == [7] ? [TableEntry([5], 2, []), TableEntry([7], 1, [])] : [TableEntry([5], 2, [])]
        let fixture = TableFixture()
        let metadata = try fixture.write(
            entries,
            rangeDeletions: [RangeDeletion(start: start, end: end, sequence: SequenceNumber(8))]
        )
        #expect(metadata.smallest == smallest && metadata.largest == largest)
        #expect(metadata.largestIsExclusive == isExclusive)
        #expect(metadata.largestSequence.rawValue == 8)
        #expect(try fixture.open(metadata).problems() == [])
    }

    @Test func metadataSumsExpiryAndBlobReferences() throws {
        func separated(_ file: UInt64, _ stored: UInt32, expiresAt: UInt64? = nil) -> [UInt8] {
            var bytes: [UInt8] = []
            if let expiresAt { bytes.appendLittleEndian(expiresAt) }
            BlobReference(file: file, offset: 0, storedByteCount: stored, valueByteCount: 5).encode(into: &bytes)
            return bytes
        }
        var merge: [UInt8] = []
        merge.appendLittleEndian(UInt64(1))
        merge.appendLittleEndian(UInt64(0))
        var expiring: [UInt8] = []
        expiring.appendLittleEndian(UInt64(900))
        let fixture = TableFixture()
        let metadata = try fixture.write([
            TableEntry([1], 9, separated(4, 100), kind: .separatedValue),
            TableEntry([2], 8, separated(3, 50, expiresAt: 800), kind: .expiringSeparatedValue),
            TableEntry([3], 7, separated(4, 11), kind: .separatedValue),
            TableEntry([4], 6, merge, kind: .mergeOperand),
            TableEntry([5], 5, expiring + [1, 2], kind: .expiringValue),
        ])
        #expect(metadata.earliestExpiry == 800)
        #expect(
            metadata.blobReferences == [
                BlobFileShare(file: 3, byteCount: 50, valueCount: 1),
                BlobFileShare(file: 4, byteCount: 111, valueCount: 2),
            ]
        )
        #expect(metadata.createdAt == 1234)
        #expect(try fixture.open(metadata).problems() == [])
    }

    @Test func payloadThatDoesNotFitItsKindIsRefused() throws {
        #expect(throws: ApusError.self) {
            try TableFixture().write([TableEntry([1], 9, [1, 2, 3], kind: .separatedValue)])
        }
    }

    @Test func cursorMaySeekToItsOwnKey() throws {
        let entries = (0..<500).map { (index: Int) -> TableEntry in
            TableEntry([UInt8(index / 256), UInt8(index % 256)], 5, [1])
        }
        let table = try TableFixture().table(entries)
        let cursor = table.makeCursor(fillCache: true, readahead: false)
        try cursor.seekToFirst()
        for entry in entries.dropFirst() {
            try cursor.seek(cursor.key, .last)
            #expect(cursor.current == entry)
            try cursor.seekBefore(cursor.key, .last)
            #expect(cursor.current == entry)
        }
    }

    @Test func bulkCursorLeavesTheCacheAlone() throws {
        let entries = (0..<5000).map {
            TableEntry([UInt8($0 / 256), UInt8($0 % 256)], 5, [UInt8](repeating: 3, count: 90))
        }
        let fixture = TableFixture()
        let table = try fixture.table(entries)
        let cursor = table.makeCursor(fillCache: false, readahead: true)
        try cursor.seekToFirst()
        var count = 0
        while cursor.isValid {
            count += 1
            try cursor.next()
        }
        #expect(count == entries.count)
        #expect(fixture.cache.statistics.inserts == 0)
        #expect(fixture.cache.statistics.blockCount == 0)
    }

    @Test func estimatedSizeComesCloseToTheFile() throws {
        let fixture = TableFixture()
        let file = try fixture.fileSystem.open("t", .create)
        var options = TableWriterOptions()
        options.codec = .none
        let writer = TableWriter(file: file, path: "t", number: 1, options: options, createdAt: 0)
        for index in 0..<20_000 {
            let entry = TableEntry([UInt8(index >> 8), UInt8(index & 255)], 3, [UInt8](repeating: 1, count: 50))
            try entry.key.withUnsafeBytes { key in
                try entry.payload.withUnsafeBytes { try writer.add(key, entry.trailer, $0) }
            }
        }
        let estimate = Double(writer.estimatedByteCount)
        let actual = Double(try writer.finish().byteCount)
        #expect(abs(estimate - actual) / actual < 0.01)
    }

    @Test func obsoleteTableIsReportedWhenItsLastUserLetsGo() throws {
        let reported = Reported()
        let fixture = TableFixture(onObsolete: { reported.add($0) })
        var table: Table? = try fixture.table([TableEntry([1], 1, [1])])
        #expect(try table?.find([1], at: 5) != nil)
        var cursor: EntryCursor? = table?.makeCursor(fillCache: true, readahead: false)
        try cursor?.seekToFirst()
        table?.markObsolete()
        table = nil
        #expect(reported.numbers == [])
        #expect(cursor?.current?.payload == [1])
        cursor = nil
        #expect(reported.numbers == [7])
        #expect(fixture.cache.statistics.byteCount == 0)
        #expect(fixture.fileSystem.openCount.load(ordering: .relaxed) == 0)
    }
}

private final class Reported: Sendable {
    private let list = Monitor<[FileNumber]>([])
    var numbers: [FileNumber] { list.withLock { $0 } }
    func add(_ number: FileNumber) { list.withLock { $0.append(number) } }
}
