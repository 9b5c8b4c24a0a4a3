// Explanations of sound and damaged files, line by line where it matters.

import ApusIO
import Testing

@testable import Apus

@Suite struct DumpTests {
    private func lines(_ body: (DumpOutput) throws -> Void) rethrows -> [String] {
        var lines: [String] = []
        try body { lines.append($0) }
        return lines
    }

    private func disk() throws -> LogTestFileSystem {
        let disk = LogTestFileSystem()
        let database = try LogTestDatabase.open(disk)
        for sequence in 1...3 { try database.commit(UInt64(sequence), 2) }
        return disk
    }

    @Test func aLogIsShownEntryByEntry() throws {
        let disk = try disk()
        let shown = try lines { try Dump.log(1, in: "db", on: disk, to: $0) }
        #expect(
            shown == [
                "000000000001.log: 4096 bytes",
                "@0 log, number 1, database 0123456789abcdeffedcba9876543210",
                "   capacity 4096",
                "   after sequence 0",
                "@64 batch 1, 11 bytes, synced up to 64",
                "   1 value in 1: \"a\" \"\\x1f \"",
                "@104 batch 2, 11 bytes, synced up to 104",
                "   2 value in 1: \"a\" \">?\"",
                "@144 batch 3, 11 bytes, synced up to 144",
                "   3 value in 1: \"a\" \"]^\"",
                "@184 end",
            ]
        )
    }

    @Test func damageIsShownWhereItIsAndTheRestFollows() throws {
        let disk = try disk()
        var bytes = disk.content("db/000000000001.log")
        bytes[64 + 30] ^= 1
        disk.setContent("db/000000000001.log", bytes)
        let shown = try lines { try Dump.log(1, in: "db", on: disk, to: $0) }
        #expect(shown.contains { $0.hasPrefix("@64 damage, 40 bytes: a frame's payload is damaged") })
        #expect(shown.contains { $0.hasPrefix("@144 batch 3") })
    }

    @Test func aManifestIsShownChangeByChange() throws {
        let disk = try disk()
        let shown = try lines { try Dump.manifest(2, in: "db", on: disk, to: $0) }
        #expect(shown.contains("   next file number 3"))
        #expect(shown.contains("   log 1 created with 4096 bytes"))
        #expect(
            try lines { try Dump.current(in: "db", on: disk, to: $0) }.first == "manifest       000000000002.manifest"
        )
    }

    @Test func hostileFilesAreShownWithoutATrap() throws {
        let seed: UInt64 = 0xD0
        var random = TestRandom(seed: seed)
        let disk = try disk()
        for name in ["000000000001.log", "000000000002.manifest"] {
            let good = disk.content("db/" + name)
            for _ in 0..<300 {
                var bad = good
                for _ in 0...random.below(5) { bad[random.below(400)] = UInt8(truncatingIfNeeded: random.next()) }
                if random.below(3) == 0 { bad.removeLast(random.below(bad.count)) }
                disk.setContent("db/" + name, bad)
                if name.hasSuffix("log") {
                    #expect(try !lines { try Dump.log(1, in: "db", on: disk, to: $0) }.isEmpty, "seed \(seed)")
                } else {
                    #expect(try !lines { try Dump.manifest(2, in: "db", on: disk, to: $0) }.isEmpty, "seed \(seed)")
                }
            }
        }
    }
}
