// File names: what is formatted is parsed, and nothing else is.

import ApusIO
import Testing

@testable import Apus

@Suite struct FileNameTests {
    @Test func everyNameIsParsedBack() {
        let names: [FileName] = [
            .current, .lock, .manifest(1), .log(999_999_999_999), .table(1_000_000_000_000), .blob(7),
            .temporaryCurrent, .table(FileNumber.max / 2 - 1),
        ]
        for name in names { #expect(FileName(name.string) == name) }
        #expect(FileName.table(42).string == "000000000042.table")
        #expect(FileName.table(42).path(in: "a/b") == "a/b/000000000042.table")
    }

    @Test(arguments: [
        "", "current", "CURRENT ", "1.log", "000000000000.log", "0000000000001.log", "+00000000001.log",
        "000000000001.LOG", "000000000001.log.", "000000000001.log.bak", ".tmp", "00000000000١.log", "000000000001",
        "99999999999999999999999.log", "18446744073709551615.log", "LOCK.tm", "LOCK.tmp", "draft.tmp",
        "CURRENT.tmp.tmp", "000000000001.table.tmp",
    ])
    func nothingElseIsOurs(_ name: String) {
        #expect(FileName(name) == nil)
    }

    @Test func parentsOfPaths() {
        #expect(DatabaseDirectory.parent(of: "db") == ".")
        #expect(DatabaseDirectory.parent(of: "/db") == "/")
        #expect(DatabaseDirectory.parent(of: "a/b/") == "a")
        #expect(DatabaseDirectory.parent(of: "a//b//") == "a")
        #expect(DatabaseDirectory.parent(of: "/") == "/")
    }

    @Test func aNewDirectoryIsDurableInItsParent() throws {
        let disk = LogTestFileSystem()
        try DatabaseDirectory.create("db", on: disk)
        #expect(disk.calls.map(\.operation) == [.createDirectory, .synchronizeDirectory])
        #expect(disk.calls.last?.name == ".")
    }
}
