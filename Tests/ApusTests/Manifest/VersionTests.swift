// Versions and the builder that makes one from another: order, overlaps, impossible edits, searches.

import ApusIO
import Testing

@testable import Apus

@Suite struct VersionTests {
    private func build(_ levels: [(Int, TableMetadata)]) throws(ApusError) -> Version {
        var builder = VersionBuilder(Version(keyspace: 1), path: "m")
        try builder.apply(VersionEdit(levels.map { .tableAdded(1, level: $0.0, $0.1) }))
        return try builder.build { .unopened($0) }
    }

    private func key(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test func levelZeroIsNewestFirstAndTheOthersAscend() throws {
        var newer = TableMetadata.sample(3, "a", "z")
        newer.largestSequence = SequenceNumber(99)
        let version = try build([
            (0, .sample(4, "a", "z")), (0, newer), (0, .sample(5, "a", "z")), (1, .sample(7, "m", "p")),
            (1, .sample(8, "a", "c")),
        ])
        #expect(version.levels[0].map(\.metadata.number) == [3, 5, 4])
        #expect(version.levels[1].map(\.metadata.number) == [8, 7])
        #expect(version.levelByteCounts[0] == 3 * 4096)
    }

    @Test func overlapIsRefusedBelowLevelZero() throws {
        #expect(throws: ApusError.self) { try build([(1, .sample(1, "a", "c")), (1, .sample(2, "c", "d"))]) }
        var exclusive = TableMetadata.sample(1, "a", "c")
        exclusive.largestIsExclusive = true
        let version = try build([(1, exclusive), (1, .sample(2, "c", "d"))])
        #expect(version.tables(level: 1, from: key("c"), through: key("c")).map(\.metadata.number) == [2])
    }

    @Test func impossibleEditsAreRefused() throws {
        let base = try build([(1, .sample(1, "a", "c"))])
        for changes: [VersionEdit.Change] in [
            [.tableRemoved(1, level: 1, 9)], [.tableRemoved(1, level: 2, 1)],
            [.tableAdded(1, level: 3, .sample(1, "x", "y"))],
            [.blobRemoved(1, 4)],
        ] {
            var builder = VersionBuilder(base, path: "m")
            #expect(throws: ApusError.self) { try builder.apply(VersionEdit(changes)) }
        }
        var other = VersionBuilder(base, path: "m")
        try other.apply(VersionEdit([.tableRemoved(2, level: 1, 9)]))
    }

    @Test func tablesThatStayOrMoveAreNotOpenedAgain() throws {
        let base = try build([(1, .sample(1, "a", "c")), (1, .sample(2, "d", "e")), (2, .sample(3, "a", "b"))])
        var builder = VersionBuilder(base, path: "m")
        try builder.apply(
            VersionEdit([
                .tableAdded(1, level: 3, base.levels[1][0].metadata), .tableRemoved(1, level: 1, 1),
                .tableAdded(1, level: 1, .sample(9, "f", "g")),
            ])
        )
        var opened: [FileNumber] = []
        let version = try builder.build { metadata in
            opened.append(metadata.number)
            return .unopened(metadata)
        }
        #expect(opened == [9])
        #expect(version.levels[3][0] === base.levels[1][0])
        #expect(version.levels[1].map(\.metadata.number) == [2, 9])
        #expect(version.levels[2][0] === base.levels[2][0])
    }

    @Test func searchesAgreeWithASlowOne() throws {
        let seed: UInt64 = 0x5EA2
        var random = TestRandom(seed: seed)
        let alphabet: [UInt8] = [0x00, 0x01, 0x61, 0xFE, 0xFF]
        func randomKey() -> [UInt8] { (0...random.below(11)).map { _ in alphabet[random.below(alphabet.count)] } }
        for round in 0..<60 {
            let keys = Set((0..<60).map { _ in randomKey() }).sorted { compareBytes($0, $1) < 0 }
            var tables: [(Int, TableMetadata)] = []
            for index in stride(from: 0, to: keys.count - 1, by: 2) {
                var table = TableMetadata.sample(UInt64(index + 1), "a", "a")
                table.smallest = keys[index]
                table.largest = keys[index + 1]
                table.largestIsExclusive = random.below(3) == 0
                tables.append((1, table))
            }
            let version = try build(tables)
            for _ in 0..<60 {
                let (a, b) = (randomKey(), randomKey())
                let (first, last) = compareBytes(a, b) <= 0 ? (a, b) : (b, a)
                let slow = version.levels[1].indices.filter {
                    version.levels[1][$0].metadata.overlaps(from: first, through: last)
                }
                #expect(
                    Array(version.overlapping(level: 1, from: first, through: last)) == slow,
                    "seed \(seed), round \(round)"
                )
            }
            #expect(version.overlapping(level: 1, from: nil, through: nil).count == tables.count)
        }
    }
}

extension Table {
    /// A table whose file nobody will look at.
    fileprivate static func unopened(_ metadata: TableMetadata) -> Table {
        let epochs = EpochDomain()
        let context = TableContext(
            cache: BlockCache(capacity: 0, epochs: epochs), epochs: epochs,
            filePool: FilePool(fileSystem: MemoryFileSystem())
        ) { _ in }
        return Table(metadata: metadata, path: "none", context: context)
    }
}
