// Faults that opening once had, each reduced to the smallest history.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite struct RecoveryRegressionTests {
    let fixture = EngineFixture()

    private func write(_ name: String, _ bytes: [UInt8]) throws {
        try fixture.disk.open("/db/" + name, .create).close()
        try fixture.overwrite(name, with: bytes)
    }

    private func contents() throws -> [String: [UInt8]] {
        var contents: [String: [UInt8]] = [:]
        for name in try fixture.names() {
            let isDirectory = try fixture.disk.status(of: "/db/" + name)?.isDirectory == true
            contents[name] = isDirectory ? [] : try fixture.bytes(of: name)
        }
        return contents
    }

    // MARK: - Directories of other people

    /// Names that look like the engine's, or did once, with contents that nobody would call leftovers.
    @Test(
        "what is not ours is neither removed nor overwritten, whatever its name",
        arguments: [
            ["thesis.tmp"], ["000000000001.log"], ["000000000002.manifest"], ["CURRENT.tmp"], ["LOCK"],
            ["CURRENT"], ["LOCK", "draft.tmp"], ["000000000001.manifest", "LOCK"],
        ])
    func foreignFiles(_ names: [String]) throws {
        try fixture.disk.createDirectory("/db")
        for name in names { try write(name, Array("important: \(name)".utf8)) }
        let before = try contents()
        for (isReadOnly, creates) in [(false, true), (false, false), (true, false)] {
            fixture.options.isReadOnly = isReadOnly
            fixture.options.createIfMissing = creates
            let kind: ApusError.Kind = names == ["CURRENT"] ? .corruption : .notADatabase
            expectError(kind, "\(names)") { _ = try fixture.open() }
            #expect(try contents() == before, "\(names)")
        }
    }

    @Test("a directory with a name of ours is not removed", arguments: ["x.tmp", "CURRENT.tmp", "000000000001.log"])
    func foreignDirectory(_ name: String) throws {
        try fixture.disk.createDirectory("/db")
        try fixture.disk.createDirectory("/db/" + name)
        expectError(.notADatabase, name) { _ = try fixture.open() }
        #expect(try fixture.names() == [name])
    }

    @Test("a log that begins with zeros but goes on is no leftover")
    func logBehindZeros() throws {
        try fixture.disk.createDirectory("/db")
        try write("000000000001.log", [UInt8](repeating: 0, count: 100) + [1])
        let before = try contents()
        expectError(.corruption) { _ = try fixture.open() }
        #expect(try contents() == before)
    }

    @Test("without createIfMissing what an interrupted creation left is left alone")
    func leftoversAreOnlyReplacedByACreation() throws {
        try fixture.disk.createDirectory("/db")
        try write("000000000001.log", [UInt8](repeating: 0, count: 100))
        try write("000000000002.manifest", [])
        try write("CURRENT.tmp", Array("apus-current 1\n".utf8))
        let before = try contents()
        fixture.options.createIfMissing = false
        expectError(.notFound) { _ = try fixture.open() }
        #expect(try contents() == before)
        fixture.options.createIfMissing = true
        let database = try fixture.open()
        try database.keyspace("a").put("key", "value")
        try database.close()
        #expect(try !fixture.names().contains("CURRENT.tmp"))
    }

    @Test("a database keeps the files of others")
    func foreignFileInADatabase() throws {
        try fixture.open().close()
        try write("report.tmp", [1])
        let database = try fixture.open()
        #expect(try database.verify().foreignNames == ["report.tmp"])
        try database.close()
        #expect(try fixture.bytes(of: "report.tmp") == [1])
    }
}

// MARK: - What is never logged

extension RecoveryRegressionTests {
    @Test("read-only too, a keyspace that is never logged is empty after a crash", arguments: [true, false])
    func ephemeralAfterCrash(isReadOnly: Bool) throws {
        do {
            let database = try fixture.open()
            let cache = try database.keyspace("cache", options: KeyspaceOptions(isEphemeral: true))
            let kept = try database.keyspace("kept")
            try cache.put("key", "old")
            try cache.put("gone", "old")
            try kept.put("key", "value")
            try database.flush()
            try cache.put("key", "new")
            try cache.delete("gone")
            fixture.disk.inject(Fault(.stop))
            try? database.close()
        }
        fixture.disk.removeFaults()
        fixture.machine.restart()
        fixture.options.isReadOnly = isReadOnly
        let database = try fixture.open()
        #expect(try database.existingKeyspace("cache").entries().isEmpty)
        #expect(try database.existingKeyspace("cache").get("key") == nil)
        #expect(try database.existingKeyspace("kept").get("key") == Array("value".utf8))
        #expect(try database.verify().problems == [])
        try database.close()
    }
}
