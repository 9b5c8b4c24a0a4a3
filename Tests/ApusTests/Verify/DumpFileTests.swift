// Dumps through the public face: every kind of file, sound and damaged.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite struct DumpFileTests {
    private func dump(_ path: String, _ fixture: SalvageFixture) throws -> [String] {
        var lines: [String] = []
        try DatabaseFile.dump(path, environment: fixture.machine.environment) { lines.append($0) }
        return lines
    }

    @Test func aTableIsShownBlockByBlock() throws {
        let disk = MemoryFileSystem()
        let path = FileName.table(7).path(in: "db")
        var options = TableWriterOptions()
        options.keyspace = 3
        options.codec = .none
        let file = try disk.open(path, .create)
        let writer = TableWriter(file: file, path: path, number: 7, options: options, createdAt: 1234)
        for (key, trailer, value) in [
            ("key-a", Trailer(SequenceNumber(9), .value), "one"), ("key-a", Trailer(SequenceNumber(8), .deletion), ""),
            ("key-b", Trailer(SequenceNumber(7), .value), "two"),
        ] {
            try Array(key.utf8).withUnsafeBytes { key in
                try Array(value.utf8).withUnsafeBytes { try writer.add(key, trailer, $0) }
            }
        }
        try writer.addRangeDeletions(
            RangeDeletions([RangeDeletion(start: [0x61], end: [0x62], sequence: SequenceNumber(5))]))
        let metadata = try writer.finish()
        var lines: [String] = []
        try Dump.table(7, in: "db", on: disk) { lines.append($0) }
        #expect(
            lines == [
                "000000000007.table: \(metadata.byteCount) bytes",
                "@\(metadata.byteCount - 72) footer of table 7",
                "   properties: 49 bytes at 238",
                "   index root: 45 bytes at 296",
                "   range deletions: 6 bytes at 223",
                "@4 data block, 72 bytes stored, 3 entries, all keys begin with \"key-\"",
                "   9 value: \"key-a\" \"one\"",
                "   8 deletion: \"key-a\" ",
                "   7 value: \"key-b\" \"two\"",
                "@85 filter, 80 bytes stored, 1 lines, 6 probes",
                "@174 index leaf, 40 bytes stored, 1 entries, all keys begin with \"key-b\"",
                "   up to \"key-b\": 72 bytes at 4",
                "@223 range-deletion block, 6 bytes stored",
                "   \"a\" up to \"b\", sequence 5",
                "@238 properties block, 49 bytes stored",
                "   keyspace 3",
                "   1 data blocks in 1 partitions",
                "   keys \"a\"...\"key-b\", sequences 5 to 9, 3 entries, 1 deletions, 1 range deletions, 21 bytes raw,"
                    + " created at 1234",
                "@296 index root, 45 bytes stored, 1 entries, all keys begin with \"key-b\"",
                "   up to \"key-b\": leaf of 40 bytes at 174, filter of 80 bytes at 85, 1 data blocks from number 0",
                "@\(metadata.byteCount) end",
            ]
        )

        var bytes = disk[path]!
        bytes[30] ^= 1
        disk[path] = bytes
        lines = []
        try Dump.table(7, in: "db", on: disk) { lines.append($0) }
        #expect(lines[5].hasPrefix("@0 damage, 81 bytes of a data block: "))
        #expect(lines[6].hasPrefix("@85 filter"))
        bytes[bytes.count - 1] ^= 1
        disk[path] = bytes
        lines = []
        try Dump.table(7, in: "db", on: disk) { lines.append($0) }
        #expect(lines[1].hasPrefix("@\(metadata.byteCount - 72) damage: the file does not end as a table does"))
        #expect(lines.contains { $0.hasPrefix("@238 properties block") })
    }

    @Test func aBlobFileIsShownValueByValue() throws {
        let disk = MemoryFileSystem()
        let path = FileName.blob(9).path(in: "db")
        let writer = try BlobWriter(fileSystem: disk, path: path, number: 9, codec: .lz4)
        for (key, value) in [("a", Array("small".utf8)), ("b", [UInt8](repeating: 0x78, count: 500))] {
            _ = try Array(key.utf8).withUnsafeBytes { key in
                try value.withUnsafeBytes { try writer.append(key, $0) }
            }
        }
        let metadata = try writer.finish()
        var lines: [String] = []
        try Dump.blob(9, in: "db", on: disk) { lines.append($0) }
        #expect(lines[0] == "000000000009.blob: \(metadata.byteCount) bytes")
        #expect(lines[1] == "@24 value of \"a\": 5 bytes: \"small\"")
        #expect(lines[2].hasPrefix("@54 value of \"b\": 500 bytes, ") && lines[2].contains(" stored with lz4: \"xxxx"))
        #expect(lines[3] == "@\(metadata.byteCount) end, 2 values")
        var bytes = disk[path]!
        bytes[26] ^= 1
        disk[path] = bytes
        lines = []
        try Dump.blob(9, in: "db", on: disk) { lines.append($0) }
        #expect(lines[1].hasPrefix("@24 damage: ") && lines[2].hasPrefix("@54 value of \"b\""))
    }

    @Test func everyFileOfADatabaseIsRecognisedByItsName() throws {
        let fixture = try SalvageFixture(seed: 41, closes: false)
        for path in fixture.files.keys.sorted() where !path.hasSuffix("LOCK") {
            let lines = try dump(path, fixture)
            #expect(!lines.isEmpty && !lines.contains { $0.contains("damage") }, "\(path)")
        }
    }

    @Test func damagedFilesAreShownWithoutATrap() throws {
        let fixture = try SalvageFixture(seed: 42, closes: true, rounds: 3)
        var random = TestRandom(seed: 43)
        for (path, good) in fixture.files.sorted(by: { $0.key < $1.key }) where !path.hasSuffix("LOCK") {
            let used = (good.lastIndex { $0 != 0 } ?? 0) + 1
            for _ in 0..<20 {
                var bad = good
                for _ in 0...random.below(3) { bad[random.below(used)] ^= 1 << UInt8(random.below(8)) }
                if random.chance(20) { bad.removeLast(random.below(bad.count)) }
                fixture.machine.disk.replaceContents(of: path, with: bad)
                let lines = try dump(path, fixture)
                if path.hasSuffix(".table") { #expect(lines.contains { $0.contains("damage") }, "\(path)") }
            }
            fixture.machine.disk.replaceContents(of: path, with: good)
        }
    }

    @Test func otherNamesAreRefused() throws {
        let fixture = try SalvageFixture(seed: 44, closes: true, rounds: 1)
        func kind(_ path: String) -> ApusError.Kind? {
            do throws(ApusError) {
                try DatabaseFile.dump(path, environment: fixture.machine.environment) { _ in }
                return nil
            } catch {
                return error.kind
            }
        }
        #expect(kind("/db/notes.txt") == .invalidArgument)
        #expect(kind("/db/LOCK") == .invalidArgument)
        #expect(kind("") == .invalidArgument)
        #expect(kind("/db/000000009999.table") == .notFound)
        #expect(kind("/db/CURRENT") == nil)
    }
}
