// The slow second implementation that builds with APUS_CHECKS=1 hold every version against: what must be found is
// found, and what is in order is not complained of. The tables are real ones; their arrangement is at fault.

import ApusSimulation
import Testing

@testable import Apus

@Suite("Invariants")
struct InvariantsTests {
    private final class Scene {
        private let fixture = TableFixture()
        private var number: FileNumber = 0

        /// A table of entries "key@sequence", with what the manifest is to say of it changed.
        func table(_ entries: String..., change: (inout TableMetadata) -> Void = { _ in }) throws -> Table {
            try table(
                entries.map { entry in
                    let parts = entry.split(separator: "@")
                    return TableEntry(Array(parts[0].utf8), UInt64(parts[1])!, [1])
                }, change: change)
        }

        func table(_ entries: [TableEntry], change: (inout TableMetadata) -> Void = { _ in }) throws -> Table {
            number += 1
            var metadata = try fixture.write(entries, number: number)
            change(&metadata)
            return fixture.open(metadata)
        }

        func loseFile(of table: Table) throws { try fixture.fileSystem.remove(fixture.path(table.metadata.number)) }
    }

    private func violation(_ levels: [Int: [Table]], blobFiles: [FileNumber] = []) -> String? {
        Invariants.violation(
            in: Version(
                keyspace: 3,
                levels: (0..<VersionEdit.levelCount).map { levels[$0] ?? [] },
                blobFiles: blobFiles.map {
                    BlobFileMetadata(number: $0, byteCount: 100, checksum: 0, valueCount: 1, recordByteCount: 50)
                }))
    }

    private func expect(_ violation: String?, _ part: String) {
        #expect(violation?.contains(part) == true, "\(violation ?? "nothing was found"), expected: \(part)")
    }

    @Test("a version that is in order is not complained of")
    func sound() throws {
        let scene = Scene()
        #expect(violation([:]) == nil)
        let levels = [
            0: [try scene.table("a@9", "m@8"), try scene.table("a@7", "a@6", "z@5")],
            1: [try scene.table("a@4", "b@3"), try scene.table("c@4", "m@2")],
            // What no snapshot can tell apart any more has number zero.
            5: [try scene.table("a@1", "m@0")], 6: [try scene.table("m@0", "n@0")],
        ]
        #expect(violation(levels) == nil)
    }

    @Test("tables of a level that share a key, or stand in the wrong order, are found")
    func overlap() throws {
        let scene = Scene()
        let (first, second) = (try scene.table("a@1", "f@1"), try scene.table("f@2", "k@1"))
        expect(violation([1: [first, second]]), "tables 1 and 2 of level 1 overlap")
        expect(violation([6: [second, first]]), "of level 6 overlap")
        // Not only neighbours: one that reaches over the next.
        let wide = try scene.table("l@1", "z@1")
        let between = try scene.table("zz@1")
        let inside = try scene.table("x@1")
        expect(violation([2: [wide, between, inside]]), "tables 3 and 5 of level 2 overlap")
        // In level 0 they may.
        #expect(violation([0: [second, first]]) == nil)
    }

    @Test("a table may end with a range deletion where the next begins, and only so")
    func exclusiveBounds() throws {
        let scene = Scene()
        func upper(_ isExclusive: Bool) throws -> Table {
            try scene.table("a@1") {
                $0.largest = Array("f".utf8)
                $0.largestIsExclusive = isExclusive
            }
        }
        let lower = try scene.table("f@1", "g@1")
        #expect(violation([1: [try upper(true), lower]]) == nil)
        expect(violation([1: [try upper(false), lower]]), "overlap")
    }

    @Test("an entry below a newer one of its key is in order; above an older one is not")
    func order() throws {
        let scene = Scene()
        let (old, new) = (try scene.table("a@1", "k@3"), try scene.table("j@8", "k@4"))
        #expect(violation([0: [new, old]]) == nil && violation([0: [new], 1: [old]]) == nil)
        #expect(violation([2: [new], 6: [old]]) == nil)
        expect(violation([0: [old, new]]), "table 2 holds [107] at 4, above which is 3")
        expect(violation([0: [old], 1: [new]]), "above which is 3")
        expect(violation([2: [old], 6: [new]]), "above which is 3")
        // Twice the same entry is one too many.
        let again = try scene.table("k@3")
        expect(violation([1: [old], 2: [again]]), "table 3 holds [107] at 3, above which is 3")
    }

    @Test("bounds, counts and numbers that are not those of the entries are found")
    func metadata() throws {
        let changes: [(what: String, change: (inout TableMetadata) -> Void)] = [
            ("outside its bounds", { $0.smallest = Array("b".utf8) }),
            ("outside its bounds", { $0.largest = Array("e".utf8) }),
            ("outside its bounds", { $0.largestIsExclusive = true }),
            ("sequence 2, outside its bounds", { $0.smallestSequence = SequenceNumber(3) }),
            ("sequence 5, outside its bounds", { $0.largestSequence = SequenceNumber(4) }),
            ("holds 2 entries, its metadata say 3", { $0.entryCount = 3 }),
        ]
        for (what, change) in changes {
            let scene = Scene()
            expect(violation([4: [try scene.table("a@5", "f@2", change: change)]]), what)
        }
    }

    @Test("a value whose blob file the version does not list is found")
    func blobs() throws {
        var payload: [UInt8] = []
        BlobReference(file: 77, offset: 64, storedByteCount: 50, valueByteCount: 40).encode(into: &payload)
        let entry = TableEntry([1], 5, payload, kind: .separatedValue)
        let table = try Scene().table([entry])
        #expect(violation([1: [table]], blobFiles: [76, 77]) == nil)
        expect(violation([1: [table]], blobFiles: [76, 78]), "table 1 refers to blob file 77, which is gone")
        expect(violation([1: [table]]), "blob file 77")
    }

    @Test("what cannot be read is not what this is about")
    func unreadable() throws {
        let scene = Scene()
        let table = try scene.table("a@1")
        try scene.loseFile(of: table)
        #expect(violation([1: [table]]) == nil)
        // But what was found before is said.
        let (first, second) = (try scene.table("b@1", "f@1"), try scene.table("c@2"))
        expect(violation([0: [table], 1: [first, second]]), "overlap")
    }

    /// Installs a version whose table holds, as its manifest has it, one entry more than there are.
    private static func installNonsense(checksVersions: Bool) throws {
        let fixture = EngineFixture()
        fixture.options.tuning!.checksVersions = checksVersions
        let database = try fixture.open()
        let keyspace = try database.keyspace("a")
        try keyspace.put("key", "value")
        try database.flush()
        let table = keyspace.tree.retainedView().version.levels.joined().first!.metadata
        let level = keyspace.tree.retainedView().version.levels.firstIndex { !$0.isEmpty }!
        var wrong = table
        wrong.entryCount += 1
        let id = keyspace.tree.id
        let edit = VersionEdit([.tableRemoved(id, level: level, table.number), .tableAdded(id, level: 5, wrong)])
        try database.engine.install(edit, in: id) { _ in }
    }

    @Test("the engine stops before it makes a version durable that is not in order, where it is told to check")
    func engine() async {
        await #expect(processExitsWith: .success) { try InvariantsTests.installNonsense(checksVersions: false) }
        await #expect(processExitsWith: .failure) { try InvariantsTests.installNonsense(checksVersions: true) }
    }
}
