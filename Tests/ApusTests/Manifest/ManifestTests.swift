// Writing and reading manifests: roll-over, clean close, torn and damaged ends, failures.

import ApusIO
import Testing

@testable import Apus

@Suite struct ManifestTests {
    private func kind(_ body: () throws -> Void) -> ApusError.Kind? {
        do {
            try body()
            return nil
        } catch {
            return (error as? ApusError)?.kind
        }
    }

    private func read(_ disk: LogTestFileSystem) throws -> ManifestState {
        let current = try #require(try CurrentFile.read(in: "db", on: disk))
        return try ManifestReader.read(current, in: "db", on: disk, mode: .strict).state
    }

    private func create(_ disk: LogTestFileSystem, byteCount: UInt64 = 8192) throws -> LogTestDatabase {
        try LogTestDatabase.open(disk, manifestByteCount: byteCount)
    }

    @Test func everyEditIsThereAfterItReturned() throws {
        let disk = LogTestFileSystem()
        let database = try create(disk)
        try database.manifest.append(VersionEdit([.keyspaceCreated(1, name: "a", KeyspaceSettings())]))
        for number in 10..<40 {
            try database.manifest.append(VersionEdit([.tableAdded(1, level: 0, .sample(UInt64(number), "a", "z"))]))
            #expect(try read(disk) == database.manifest.state)
        }
        #expect(try read(disk).keyspaces[1]?.levels[0].count == 30)
    }

    @Test func aFullManifestIsReplacedByASnapshot() throws {
        let disk = LogTestFileSystem()
        let database = try create(disk, byteCount: 1024)
        try database.manifest.append(VersionEdit([.keyspaceCreated(1, name: "a", KeyspaceSettings())]))
        let first = database.manifest.number
        for number in 1000..<1400 {
            try database.manifest.append(
                VersionEdit([
                    .tableAdded(1, level: 1, .sample(UInt64(number), "k\(number)", "k\(number)"))
                ])
            )
            if number % 2 == 0 {
                try database.manifest.append(VersionEdit([.tableRemoved(1, level: 1, UInt64(number))]))
            }
        }
        #expect(database.manifest.number > first)
        #expect(try read(disk).keyspaces == database.manifest.state.keyspaces)
        #expect(
            disk.fileNames.filter { $0.hasSuffix("manifest") } == [FileName.manifest(database.manifest.number).string]
        )
        #expect(disk.content(LogTestDatabase.path(.manifest(database.manifest.number))).count < 400 * 200)
    }

    @Test func currentIsReplacedOnlyAfterTheManifestAndItsNameAreDurable() throws {
        let disk = LogTestFileSystem()
        _ = try create(disk)
        #expect(
            disk.calls.drop { $0.name != "000000000002.manifest" }.prefix(10).map {
                "\($0.operation.rawValue) \($0.name)"
            } == [
                "open 000000000002.manifest", "allocate 000000000002.manifest", "write 000000000002.manifest",
                "synchronize 000000000002.manifest", "open CURRENT.tmp", "write CURRENT.tmp", "synchronize CURRENT.tmp",
                "synchronizeDirectory db", "rename CURRENT.tmp", "synchronizeDirectory db",
            ]
        )
    }

    @Test func theOldManifestGoesOnlyAfterCurrentNamesTheNewOneDurably() throws {
        let disk = LogTestFileSystem()
        let database = try create(disk, byteCount: 1024)
        try database.manifest.append(VersionEdit([.keyspaceCreated(1, name: "a", KeyspaceSettings())]))
        let old = FileName.manifest(database.manifest.number).string
        disk.clearCalls()
        var number: FileNumber = 1000
        while disk.fileNames.contains(old) {
            try #require(number < 2000, "the manifest never outgrows its file")
            try database.manifest.append(VersionEdit([.tableAdded(1, level: 1, .sample(number, "a", "b"))]))
            // The ranges of a level may not overlap.
            try database.manifest.append(VersionEdit([.tableRemoved(1, level: 1, number)]))
            number += 1
        }
        let calls = disk.calls.map { "\($0.operation.rawValue) \($0.name)" }
        let rename = try #require(calls.firstIndex(of: "rename CURRENT.tmp"))
        #expect(calls[rename + 1] == "synchronizeDirectory db")
        #expect(try #require(calls.firstIndex(of: "remove \(old)")) > rename + 1)
    }

    @Test func namesOfNewFilesAreDurableBeforeTheEditIsWritten() throws {
        let disk = LogTestFileSystem()
        let database = try create(disk)
        try database.manifest.append(VersionEdit([.keyspaceCreated(1, name: "a", KeyspaceSettings())]))
        disk.clearCalls()
        try database.manifest.append(VersionEdit([.tableAdded(1, level: 0, .sample(9, "a", "b"))]))
        #expect(disk.calls.map(\.operation) == [.synchronizeDirectory, .write, .synchronize])
    }

    @Test func aFailedWriteSyncOrDirectorySyncIsFinal() throws {
        for operation in [IOError.Operation.write, .synchronize, .synchronizeDirectory] {
            let disk = LogTestFileSystem()
            let database = try create(disk)
            disk.setFault { call, _ in call.operation == operation ? .inputOutput : nil }
            #expect(kind { try database.manifest.append(VersionEdit([.logCreated(50, byteCount: 1)])) } == .failed)
            disk.setFault(nil)
            disk.clearCalls()
            #expect(kind { try database.manifest.append(VersionEdit([.lastSequence(.zero)])) } == .failed)
            #expect(disk.calls.isEmpty)
        }
    }

    @Test func anImpossibleEditIsRefusedAndChangesNothing() throws {
        let disk = LogTestFileSystem()
        let database = try create(disk)
        disk.clearCalls()
        let edits: [[VersionEdit.Change]] = [
            [.tableRemoved(1, level: 0, 5)], [.keyspaceDropped(4)], [.logDeleted(77)], [.logCreated(1, byteCount: 1)],
            [.keyspaceCreated(1, name: "a", .init()), .keyspaceCreated(2, name: "a", .init())],
            [.databaseID(DatabaseID(first: 0, second: 0))],
        ]
        for changes in edits {
            #expect(kind { try database.manifest.append(VersionEdit(changes)) } == .corruption)
        }
        #expect(disk.calls.isEmpty)
        try database.manifest.append(VersionEdit([.keyspaceCreated(1, name: "a", KeyspaceSettings())]))
    }

    @Test func withoutSpaceForANewManifestTheEditIsRefusedAndCanBeRetried() throws {
        let disk = LogTestFileSystem()
        let database = try create(disk, byteCount: 100)
        try database.manifest.append(VersionEdit([.keyspaceCreated(1, name: "a", KeyspaceSettings())]))
        disk.setFault { call, _ in call.operation == .allocate ? .noSpace : nil }
        var number: UInt64 = 100
        var refusal: ApusError.Kind?
        while refusal == nil {
            number += 1
            refusal = kind {
                try database.manifest.append(VersionEdit([.tableAdded(1, level: 0, .sample(number, "a", "b"))]))
            }
        }
        #expect(refusal == .outOfSpace)
        #expect(try read(disk) == database.manifest.state)
        #expect(disk.fileNames.filter { $0.hasSuffix("manifest") }.count == 1)
        disk.setFault(nil)
        try database.manifest.append(VersionEdit([.tableAdded(1, level: 0, .sample(number, "a", "b"))]))
        #expect(try read(disk).keyspaces[1]?.tables[0].count == Int(number) - 100)
    }

    @Test func aFailedRenameOfCurrentIsFinal() throws {
        let disk = LogTestFileSystem()
        let database = try create(disk, byteCount: 100)
        try database.manifest.append(VersionEdit([.keyspaceCreated(1, name: "a", KeyspaceSettings())]))
        disk.setFault { call, _ in call.operation == .rename ? .inputOutput : nil }
        var number: UInt64 = 100
        var refusal: ApusError.Kind?
        while refusal == nil {
            number += 1
            refusal = kind {
                try database.manifest.append(VersionEdit([.tableAdded(1, level: 0, .sample(number, "a", "b"))]))
            }
        }
        #expect(refusal == .failed)
        disk.setFault(nil)
        #expect(kind { try database.manifest.append(VersionEdit([.lastSequence(.zero)])) } == .failed)
    }

    @Test func aCleanCloseIsReadBackAndNothingMayFollowIt() throws {
        let disk = LogTestFileSystem()
        let database = try create(disk)
        try database.commit(1)
        try database.close()
        let (recovered, _) = try #require(try LogTestDatabase.read(disk))
        #expect(recovered.current.state == .clean)
        #expect(recovered.manifest.cleanClose?.lastSequence == SequenceNumber(1))
        #expect(kind { try database.manifest.append(VersionEdit()) } == .closed)
        #expect(kind { try database.commit(2) } == .closed)
        let again = try create(disk)
        #expect(try CurrentFile.read(in: "db", on: disk)?.state == .open)
        #expect(again.manifest.state.cleanClose == nil)
    }

    @Test func aManifestThatLostItsLastEditIsFoundByTheLogThatItRegistered() throws {
        let disk = LogTestFileSystem()
        let database = try create(disk)
        try database.commit(1)
        let early = disk.content(LogTestDatabase.path(.manifest(2)))
        try database.logs.rotate()
        disk.setContent(LogTestDatabase.path(.manifest(2)), early)
        #expect(kind { _ = try LogTestDatabase.read(disk) } == .corruption)
    }

    @Test func anIdOfADroppedKeyspaceIsNotGivenOutAgain() throws {
        var state = ManifestState(databaseID: LogTestDatabase.id)
        try state.apply(VersionEdit([.keyspaceCreated(5, name: "a", .init())]))
        try state.apply(VersionEdit([.keyspaceDropped(5)]))
        var copy = ManifestState(databaseID: LogTestDatabase.id)
        for edit in state.snapshot() { try copy.apply(edit) }
        #expect(copy.nextKeyspaceID == 6)
        try copy.apply(VersionEdit([.keyspaceCreated(6, name: "a", .init())]))
    }

    @Test func aSnapshotInManyEditsBuildsTheSameState() throws {
        var state = ManifestState(databaseID: LogTestDatabase.id)
        try state.apply(VersionEdit(VersionEditTests.everyChange.dropLast(5)))
        state.cleanClose = nil
        for byteCount in [1, 100, 1 << 20] {
            var copy = ManifestState(databaseID: LogTestDatabase.id)
            let edits = state.snapshot(byteCount: byteCount)
            for edit in edits { try copy.apply(edit) }
            #expect(copy == state)
            #expect((edits.count > 1) == (byteCount < 1 << 20))
        }
    }
}
