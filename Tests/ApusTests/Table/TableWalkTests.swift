// Walking tables front to back: sound ones, damaged ones, and files made to waste a reader's time.

import ApusIO
import Testing

@testable import Apus

@Suite struct TableWalkTests {
    /// The walk wants files under their real names.
    private let path = FileName.table(7).path(in: "db")

    private func table(
        _ codec: Codec = .lz4, entryCount: Int = 40, blockByteCount: Int = 150
    ) throws -> (MemoryFileSystem, [TableEntry]) {
        var options = TableWriterOptions()
        options.blockByteCount = blockByteCount
        options.codec = codec
        options.keyspace = 3
        let entries = (0..<entryCount).map {
            TableEntry(Array("key-\(1000 + $0)".utf8), UInt64(500 - $0), [UInt8](repeating: UInt8($0 & 3), count: 30))
        }
        let fixture = TableFixture()
        _ = try fixture.write(
            entries, options: options,
            rangeDeletions: [RangeDeletion(start: [1], end: [2], sequence: SequenceNumber(9))])
        fixture.fileSystem[path] = fixture.fileSystem[fixture.path(7)]
        return (fixture.fileSystem, entries)
    }

    /// What a walk finds: keys of data blocks, kinds of blocks, damage.
    private func walk(
        _ disk: MemoryFileSystem
    ) throws -> (
        keys: [[UInt8]], parts: [(BlockHandle, StoredBlockKind, [[UInt8]])], damage: [TableDamage]
    ) {
        let walk = try TableWalk(7, in: "db", on: disk)
        var keys: [[UInt8]] = []
        var parts: [(BlockHandle, StoredBlockKind, [[UInt8]])] = []
        var damage: [TableDamage] = []
        while let finding = try walk.next() {
            switch finding {
            case .block(let part):
                let found = part.kind == .data ? part.keys : []
                keys += found
                parts.append((part.handle, part.kind, found))
            case .damage(let found): damage.append(found)
            }
        }
        return (keys, parts, damage)
    }

    @Test(arguments: Codec.allCases)
    func everyBlockOfASoundTableIsFound(_ codec: Codec) throws {
        let (disk, entries) = try table(codec)
        let found = try walk(disk)
        #expect(found.keys == entries.map(\.key))
        #expect(found.damage.isEmpty)
        #expect(found.parts.suffix(5).map(\.1) == [.filter, .leaf, .rangeDeletions, .properties, .root])
        let summary = try SalvageTable.read(7, in: "db", on: disk)
        #expect(summary.keyspace == 3 && summary.metadata?.entryCount == 40 && summary.rangeDeletions.count == 1)
    }

    @Test(arguments: [false, true])
    func flippedByteCostsOneBlock(_ withoutFooter: Bool) throws {
        let (disk, entries) = try table()
        let good = disk[path]!
        let parts = try walk(disk).parts
        let end = good.count - TableFormat.footerByteCount
        for position in 0..<end {
            var bad = good
            bad[position] ^= 1 << UInt8(position % 8)
            if withoutFooter { bad[good.count - 1] ^= 1 }
            disk[path] = bad
            let found = try walk(disk)
            let hit = parts.first { $0.0.offset - 4 <= position && position < Int($0.0.end) }!
            let isLength = position < Int(hit.0.offset)
            let expected = entries.map(\.key).filter { !hit.2.contains($0) }
            // Without the index, a length that is wrong costs its block.
            if !(isLength && !withoutFooter) { #expect(found.keys == expected, "byte \(position)") }
            if isLength && !withoutFooter && hit.1 != .root { #expect(found.keys == entries.map(\.key)) }
            let covering = found.damage.filter { $0.offset <= position && position < Int($0.offset + $0.byteCount) }
            #expect(covering.count == 1, "byte \(position)")
            if !withoutFooter && !isLength && hit.1 != .root && hit.1 != .leaf {
                #expect(covering.first?.place == .block(hit.1), "byte \(position)")
            }
        }
    }

    @Test func truncatedTableIsReadAsFarAsItGoes() throws {
        let (disk, _) = try table()
        let good = disk[path]!
        let parts = try walk(disk).parts
        for count in good.indices {
            disk[path] = Array(good[..<count])
            let found = try walk(disk)
            let expected = parts.filter { Int($0.0.end) <= count }.flatMap { $0.2 }
            #expect(found.keys == expected, "\(count) bytes")
        }
    }

    @Test func largeBlocksAreFoundBehindDamage() throws {
        let (disk, entries) = try table(.none, entryCount: 3, blockByteCount: 1)
        #expect(try walk(disk).keys == entries.map(\.key))
        var bytes = disk[path]!
        bytes[30] ^= 1
        bytes[bytes.count - 3] ^= 1
        disk[path] = bytes
        #expect(try walk(disk).keys == entries.dropFirst().map(\.key))
    }

    @Test func garbageIsWalkedInLinearTime() throws {
        var random = TestRandom(seed: 31)
        let disk = MemoryFileSystem()
        // Lengths that lead to tags, everywhere: each would cost a checksum of 64 KiB.
        var lengths: [UInt8] = []
        for _ in 0..<(1 << 18) { lengths.appendLittleEndian(UInt32(0x1111)) }
        for bytes in [random.bytes(1 << 20), [UInt8](repeating: 0, count: 1 << 20), lengths] {
            disk[path] = bytes
            let found = try walk(disk)
            #expect(found.keys.isEmpty)
            #expect(found.damage.reduce(0) { $0 + $1.byteCount } == UInt64(bytes.count))
        }
    }
}
