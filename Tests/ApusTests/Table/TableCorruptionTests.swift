// Damaged tables: every operation gives right data or a typed error that names the file, and never a trap.

import Testing

@testable import Apus

@Suite struct TableCorruptionTests {
    private func smallTable(_ codec: Codec) throws -> (TableFixture, TableMetadata, [TableEntry]) {
        var options = TableWriterOptions()
        options.blockByteCount = 150
        options.codec = codec
        let entries = (0..<14).map {
            TableEntry([5, UInt8($0 / 2), 0, 0, 0, 0, 0, 0, 0, 1], UInt64(100 - $0), [UInt8](repeating: 7, count: 30))
        }
        let fixture = TableFixture()
        let metadata = try fixture.write(
            entries,
            options: options,
            rangeDeletions: [RangeDeletion(start: [1], end: [6], sequence: SequenceNumber(50))]
        )
        return (fixture, metadata, entries)
    }

    /// Runs everything a table can do. Whatever comes back must be right; an error must be typed and name the file.
    private func exercise(_ table: Table, _ entries: [TableEntry], _ context: String) -> Int {
        var errors = 0
        func attempt(_ body: () throws -> Bool) {
            do {
                #expect(try body(), "\(context)")
            } catch let error as ApusError {
                errors += 1
                #expect([.corruption, .unsupportedFormat].contains(error.kind), "\(context): \(error)")
                #expect(error.file == table.path, "\(context): \(error)")
            } catch {
                Issue.record("\(context): \(error)")
            }
        }
        for entry in entries {
            attempt { try table.find(entry.key, at: entry.trailer.sequence.rawValue) == entry }
        }
        attempt { try table.find([5, 3], at: 200) == nil }
        attempt { try table.find([9], at: 200) == nil }
        for (fill, readahead) in [(true, false), (false, true)] {
            let cursor = table.makeCursor(fillCache: fill, readahead: readahead)
            attempt {
                try cursor.seekToFirst()
                for entry in entries {
                    guard cursor.current == entry else { return false }
                    try cursor.next()
                }
                return !cursor.isValid
            }
            attempt {
                try cursor.seekToLast()
                for entry in entries.reversed() {
                    guard cursor.current == entry else { return false }
                    try cursor.previous()
                }
                return !cursor.isValid
            }
            attempt {
                try cursor.seekBefore(entries[9].key, entries[9].trailer)
                return cursor.current == entries[8]
            }
        }
        attempt { try table.rangeDeletions()?.all().count == 1 }
        attempt { try table.approximateOffset(of: UnsafeRawBufferPointer(start: nil, count: 0)) == 0 }
        return errors
    }

    @Test(arguments: Codec.allCases)
    func flippedByteNeverGivesWrongData(_ codec: Codec) throws {
        let (fixture, metadata, entries) = try smallTable(codec)
        let path = fixture.path(7)
        let good = fixture.fileSystem[path]!
        #expect(exercise(fixture.open(metadata), entries, "undamaged") == 0)
        for position in good.indices {
            var bad = good
            bad[position] ^= 1 << UInt8(position % 8)
            fixture.fileSystem[path] = bad
            _ = exercise(fixture.open(metadata), entries, "byte \(position)")
            let problems = try fixture.open(metadata).problemsOrUnsupported()
            #expect(!problems.isEmpty, "byte \(position)")
            #expect(problems.allSatisfy { $0.file == path })
        }
    }

    @Test(arguments: Codec.allCases)
    func truncatedFileIsCorruption(_ codec: Codec) throws {
        let (fixture, metadata, entries) = try smallTable(codec)
        let path = fixture.path(7)
        let good = fixture.fileSystem[path]!
        for count in good.indices {
            fixture.fileSystem[path] = Array(good[..<count])
            // As the manifest knows it, and as a manifest would that was damaged in the same way.
            var shorter = metadata
            shorter.byteCount = UInt64(count)
            for believed in [metadata, shorter] {
                let errors = exercise(fixture.open(believed), entries, "\(count) bytes")
                #expect(errors > 12, "\(count) bytes")
                #expect(try !fixture.open(believed).problemsOrUnsupported().isEmpty)
            }
        }
    }

    @Test func tableInThePlaceOfAnotherIsCorruption() throws {
        let (fixture, metadata, entries) = try smallTable(.none)
        fixture.fileSystem[fixture.path(8)] = fixture.fileSystem[fixture.path(7)]
        var other = metadata
        other.number = 8
        #expect(exercise(fixture.open(other), entries, "copy") > 12)
    }

    @Test func blockInThePlaceOfAnotherIsCorruption() throws {
        var options = TableWriterOptions()
        options.codec = .none
        options.blockByteCount = 1
        let entries = (0..<4).map { TableEntry([5, UInt8($0)], 9, [UInt8($0)]) }
        let fixture = TableFixture()
        let metadata = try fixture.write(entries, options: options)
        var bytes = fixture.fileSystem[fixture.path(7)]!
        let table = fixture.open(metadata)
        let second = try Int(table.approximateOffset(ofKey: [5, 1]))
        let third = try Int(table.approximateOffset(ofKey: [5, 2]))
        #expect(second > 0 && third == 2 * second)
        let swapped = Array(bytes[second..<third])
        bytes.replaceSubrange(second..<third, with: bytes[..<second])
        bytes.replaceSubrange(..<second, with: swapped)
        fixture.fileSystem[fixture.path(7)] = bytes
        for entry in entries.prefix(2) {
            #expect(throws: ApusError.self) { try fixture.open(metadata).find(entry.key, at: 100) }
        }
        #expect(try fixture.open(metadata).find([5, 3], at: 100) == entries[3])
    }

    @Test(arguments: Codec.allCases)
    func fileCanBeWalkedByTheLengthsInIt(_ codec: Codec) throws {
        let (fixture, metadata, _) = try smallTable(codec)
        let bytes = fixture.fileSystem[fixture.path(7)]!
        let end = bytes.count - TableFormat.footerByteCount
        var position = 0
        var blockCount = 0
        while position < end {
            let count = Int(bytes.withUnsafeBytes { $0.littleEndian(at: position) as UInt32 })
            let checked = Array(bytes[(position + 4)..<(position + 4 + count + 1)])
            let stored: UInt32 = bytes.withUnsafeBytes { $0.littleEndian(at: position + 4 + count + 1) }
            let checksum = checked.withUnsafeBytes {
                TableFormat.checksum($0, number: 7, offset: UInt64(position + 4))
            }
            #expect(stored == checksum)
            position += 4 + count + TableFormat.blockTrailerByteCount
            blockCount += 1
        }
        #expect(position == end && blockCount > 6)

        var bad = bytes
        bad[1] ^= 1
        fixture.fileSystem[fixture.path(7)] = bad
        #expect(try fixture.open(metadata).problems().contains { $0.message.contains("says that it has") })
    }

    @Test func corruptBlockIsNeverCached() throws {
        let (fixture, metadata, entries) = try smallTable(.lz4)
        let path = fixture.path(7)
        let good = fixture.fileSystem[path]!
        var bad = good
        bad[10] ^= 1
        fixture.fileSystem[path] = bad
        let table = fixture.open(metadata)
        for _ in 0..<3 {
            #expect(throws: ApusError.self) { try table.find(entries[0].key, at: 200) }
        }
        fixture.fileSystem[path] = good
        #expect(try table.find(entries[0].key, at: 200) == entries[0])
    }

    @Test func missingFileIsAnInputOutputError() throws {
        let (fixture, metadata, _) = try smallTable(.none)
        fixture.fileSystem[fixture.path(7)] = nil
        let error = #expect(throws: ApusError.self) { try fixture.open(metadata).find([5, 1], at: 9) }
        #expect(error?.kind == .io && error?.file == fixture.path(7))
    }

    @Test func newerVersionIsUnsupported() throws {
        let (fixture, metadata, _) = try smallTable(.none)
        var bytes = fixture.fileSystem[fixture.path(7)]!
        let start = bytes.count - TableFormat.footerByteCount
        var footer = Array(bytes[start...])
        footer[60] = 9
        var offset = UInt64(start).littleEndian
        var crc = withUnsafeBytes(of: &offset) { CRC32C.checksum($0) }
        crc = footer[..<56].withUnsafeBytes { CRC32C.checksum($0, seed: crc) }
        crc = footer[60...].withUnsafeBytes { CRC32C.checksum($0, seed: crc) }
        withUnsafeBytes(of: CRC32C.mask(crc).littleEndian) { footer.replaceSubrange(56..<60, with: $0) }
        bytes.replaceSubrange(start..., with: footer)
        fixture.fileSystem[fixture.path(7)] = bytes
        let error = #expect(throws: ApusError.self) { try fixture.open(metadata).find([5], at: 9) }
        #expect(error?.kind == .unsupportedFormat)
    }
}

extension Table {
    /// What `verify` reports or throws, where only a version that it does not know may be thrown.
    func problemsOrUnsupported() throws -> [ApusError] {
        do {
            return try problems()
        } catch let error as ApusError where error.kind == .unsupportedFormat {
            return [error]
        }
    }

    func approximateOffset(ofKey key: [UInt8]) throws -> UInt64 {
        try key.withUnsafeBytes { try approximateOffset(of: $0) }
    }
}
