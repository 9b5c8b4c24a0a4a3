// What a directory is taken for: fresh, a database, somebody else's, or damaged.

import ApusIO
import Testing

@testable import Apus

@Suite struct RecoveredStateTests {
    private func kind(_ body: () throws -> Void) -> ApusError.Kind? {
        do {
            try body()
            return nil
        } catch {
            return (error as? ApusError)?.kind
        }
    }

    private func content(_ disk: LogTestFileSystem) throws -> DatabaseDirectoryContent {
        try RecoveredState.read(directory: "db", fileSystem: disk)
    }

    private func isFresh(_ disk: LogTestFileSystem) throws -> Bool {
        if case .fresh = try content(disk) { true } else { false }
    }

    @Test func anAbsentEmptyOrOnlyLockedDirectoryIsFresh() throws {
        let disk = LogTestFileSystem()
        #expect(try isFresh(disk))
        try disk.createDirectory("db")
        #expect(try isFresh(disk))
        disk.setContent("db/LOCK", [])
        #expect(try isFresh(disk))
    }

    @Test func aDirectoryWithOtherFilesIsNoDatabase() throws {
        let disk = LogTestFileSystem()
        try disk.createDirectory("db")
        disk.setContent("db/notes.txt", [1])
        #expect(kind { _ = try content(disk) } == .notADatabase)
        disk.setContent("db/LOCK", [])
        #expect(kind { _ = try content(disk) } == .notADatabase)
        disk.setContent("db/CURRENT.tmp", [])
        #expect(kind { _ = try content(disk) } == .notADatabase)
        disk.setContent("file", [1])
        #expect(kind { _ = try RecoveredState.read(directory: "file", fileSystem: disk) } == .notADatabase)
    }

    @Test func aCreationInterruptedAnywhereIsFreshOrDone() throws {
        let whole = LogTestFileSystem()
        _ = try LogTestDatabase.open(whole)
        var opened = 0
        for index in 0...whole.calls.count {
            for seed in 0..<20 {
                let disk = LogTestFileSystem()
                disk.setFault { _, call in call >= index ? .partial : nil }
                _ = try? LogTestDatabase.open(disk)
                let after = disk.crashed(seed: UInt64(seed))
                if after.holdsGarbledCreation {
                    // Nobody can tell whose file that is: it stays.
                    #expect(kind { _ = try content(after) } == .notADatabase, "call \(index), seed \(seed)")
                    continue
                }
                opened += 1
                let database = try LogTestDatabase.open(after)
                try database.commit(1)
                #expect(try LogTestDatabase.read(after)?.1.sequences == [1], "call \(index), seed \(seed)")
            }
        }
        #expect(opened > whole.calls.count * 15)
    }

    @Test func withoutCurrentADatabaseIsNeverCreatedAnew() throws {
        for life in 1...2 {
            let disk = LogTestFileSystem()
            for sequence in 1...life { try LogTestDatabase.open(disk).commit(UInt64(sequence)) }
            disk.setContent("db/CURRENT", nil)
            #expect(kind { _ = try content(disk) } == .corruption)
        }
        let empty = LogTestFileSystem()
        _ = try LogTestDatabase.open(empty)
        empty.setContent("db/CURRENT", nil)
        #expect(kind { _ = try content(empty) } == .corruption)
    }

    @Test(arguments: ["000000000009.table", "000000000009.blob", "000000000009.log", "000000000009.manifest"])
    func anyDataFileWithoutCurrentIsDamage(_ name: String) throws {
        let disk = LogTestFileSystem()
        try disk.createDirectory("db")
        disk.setContent("db/" + name, [])
        #expect(kind { _ = try content(disk) } == .corruption)
    }

    @Test func filesThatTheManifestListsMustBeThereInTheirSize() throws {
        let disk = LogTestFileSystem()
        let database = try LogTestDatabase.open(disk)
        disk.setContent("db/000000000009.table", [UInt8](repeating: 0, count: 4096))
        disk.setContent("db/000000000010.blob", [UInt8](repeating: 0, count: 10))
        let blob = BlobFileMetadata(number: 10, byteCount: 10, checksum: 0, valueCount: 1, recordByteCount: 10)
        try database.manifest.append(
            VersionEdit([
                .keyspaceCreated(1, name: "a", .init()), .tableAdded(1, level: 2, .sample(9, "a", "b")),
                .blobAdded(1, blob),
            ])
        )
        guard case .database(let good) = try content(disk) else { return }
        #expect(good.obsoleteFiles.isEmpty)
        for (path, bytes) in [
            ("db/000000000009.table", 4095), ("db/000000000009.table", 4097), ("db/000000000010.blob", 9),
        ] {
            let copy = disk.copy()
            copy.setContent(path, [UInt8](repeating: 0, count: bytes))
            #expect(kind { _ = try content(copy) } == .corruption)
            copy.setContent(path, nil)
            #expect(kind { _ = try content(copy) } == .corruption)
            guard
                case .database(let salvaged) = try RecoveredState.read(
                    directory: "db",
                    fileSystem: copy,
                    mode: .salvage
                )
            else { return }
            #expect(salvaged.losses.map(\.file) == [path])
            #expect(salvaged.manifest.keyspaces[1]?.levels[2].count == (path.hasSuffix("table") ? 0 : 1))
        }
    }

    @Test func leftoversAreListedAndNumbersNeverComeBack() throws {
        let disk = LogTestFileSystem()
        try LogTestDatabase.open(disk).commit(1)
        disk.setContent("db/000000000500.table", [1])
        disk.setContent("db/000000000400.log", [])
        disk.setContent("db/CURRENT.tmp", [])
        disk.setContent("db/x.tmp", [1])
        disk.setContent("db/readme", [])
        guard case .database(let recovered) = try content(disk) else { return }
        #expect(recovered.obsoleteFiles == [.log(400), .table(500), .temporaryCurrent])
        #expect(recovered.foreignNames == ["readme", "x.tmp"])
        #expect(recovered.nextFileNumber == 501)
    }

    @Test func anUnknownVersionIsUnsupported() throws {
        let disk = LogTestFileSystem()
        try LogTestDatabase.open(disk).commit(1)
        var text = Array("apus-current 2\nwhatever\n".utf8)
        let checksum = String(text.withUnsafeBytes { CRC32C.checksum($0) }, radix: 16)
        text += Array((String(repeating: "0", count: 8 - checksum.count) + checksum + "\n").utf8)
        disk.setContent("db/CURRENT", text)
        #expect(kind { _ = try content(disk) } == .unsupportedFormat)
    }

    @Test func readingChangesNothing() throws {
        let disk = LogTestFileSystem()
        try LogTestDatabase.open(disk).commit(1)
        disk.clearCalls()
        _ = try LogTestDatabase.read(disk)
        _ = try LogTestDatabase.read(disk, mode: .salvage)
        #expect(disk.calls.isEmpty)
    }

    @Test func sequenceNumbersNeverGoBackOverTenOpens() throws {
        let disk = LogTestFileSystem()
        var last: UInt64 = 0
        for round in 0..<10 {
            let database = try LogTestDatabase.open(disk)
            #expect(database.manifest.state.lastSequence == SequenceNumber(last))
            for _ in 0..<(round % 3) {
                last += 1
                try database.commit(last)
            }
            if round % 4 == 3 { try database.close() }
        }
        #expect(try LogTestDatabase.read(disk)?.1.sequences == Array(1..<(last + 1)))
    }
}

extension LogTestFileSystem {
    /// Whether a crash has put garbage where a file of "db" without CURRENT tells what it is.
    var holdsGarbledCreation: Bool {
        let magics = ["manifest": Array("APMF".utf8), "tmp": Array("apus-current ".utf8)]
        return !fileNames.contains("CURRENT")
            && fileNames.contains { name in
                let bytes = content("db/" + name)
                guard let magic = magics[String(name.split(separator: ".").last!)] else { return false }
                return !bytes.starts(with: magic) && !bytes.allSatisfy { $0 == 0 }
            }
    }
}
