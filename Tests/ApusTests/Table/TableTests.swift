// Tables against a sorted array.

import Testing

@testable import Apus

@Suite struct TableTests {
    private static let alphabet: [UInt8] = [0x00, 0x01, 0xFE, 0xFF]

    /// Entries that provoke the edges: few distinct bytes, shared prefixes, equal heads, many versions.
    private func randomEntries(_ random: inout TestRandom) -> [ModelEntry] {
        var entries: Set<ModelEntry> = []
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
                    ModelEntry(
                        key, sequence, isDeletion ? [] : random.bytes(size), kind: isDeletion ? .deletion : .value))
            }
            if seen.count > 4000 { break }
        }
        return entries.sorted()
    }

    private func randomTarget(_ entries: [ModelEntry], _ random: inout TestRandom) -> ([UInt8], Trailer) {
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

    private func checkAgainstModel(_ table: Table, _ entries: [ModelEntry], _ random: inout TestRandom) throws {
        let cursor = table.makeCursor(
            fillCache: Bool.random(using: &random), readahead: Bool.random(using: &random))
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
            let newest = index < entries.count && entries[index].key == key ? entries[index] : nil
            if trailer != .last && trailer != .first {
                #expect(
                    try table.find(key, at: trailer.sequence.rawValue, fill: Bool.random(using: &random))
                        == entries.first { $0.key == key && $0.trailer.sequence <= trailer.sequence })
            }
            _ = newest
            if Bool.random(using: &random) {
                try cursor.seek(key, trailer)
            } else {
                try cursor.seekBefore(key, trailer)
                index -= 1
            }
            for _ in 0..<Int.random(in: 0...12, using: &random) {
                #expect(cursor.current == (entries.indices.contains(index) ? entries[index] : nil))
                guard cursor.isValid else { break }
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
}
