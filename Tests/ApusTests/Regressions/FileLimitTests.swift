// A process that has no file descriptor left: what can be had by closing files that nobody is reading is had, and the
// rest is an error that says what it is, not damage and not a missing database.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite("No file descriptor left")
struct FileLimitTests {
    /// A closed database with one table in each of two keyspaces.
    private func makeDatabase() throws -> EngineFixture {
        let fixture = EngineFixture(seed: 1)
        let database = try fixture.open()
        for name in ["a", "b"] { try database.keyspace(name).put("key", "value") }
        try database.close()
        fixture.machine.restart()
        return fixture
    }

    @Test("an idle file gives up its descriptor for one that is read")
    func idleFile() throws {
        let fixture = try makeDatabase()
        let database = try fixture.open()
        let (first, second) = (try database.existingKeyspace("a"), try database.existingKeyspace("b"))
        #expect(try first.get("key") == Array("value".utf8))
        fixture.disk.inject(Fault(.fail(ErrorCode.tooManyOpenFiles), on: [.open]) { $0.path.hasSuffix(".table") })
        #expect(try second.get("key") == Array("value".utf8))
        #expect(try first.get("key") == Array("value".utf8))
        try database.close()
    }

    @Test("without an idle file the read fails, and works again later")
    func noIdleFile() throws {
        let fixture = try makeDatabase()
        let database = try fixture.open()
        let keyspace = try database.existingKeyspace("a")
        fixture.disk.inject(Fault(.fail(ErrorCode.tooManyOpenFiles), on: [.open], times: nil))
        let error = expectError(.io) { _ = try keyspace.get("key") }
        #expect(error?.systemCode == ErrorCode.tooManyOpenFiles)
        fixture.disk.removeFaults()
        #expect(try keyspace.get("key") == Array("value".utf8))
        try database.close()
    }

    @Test("opening says what is missing, whichever file it is, and loses nothing")
    func opening() throws {
        let fixture = try makeDatabase()
        for count in 0..<100 {
            fixture.disk.removeFaults()
            fixture.disk.inject(
                Fault(.fail(ErrorCode.tooManyOpenFiles), on: [.open, .lock], skipping: count, times: nil))
            do throws(ApusError) {
                try fixture.open().close()
                return #expect(count > 3)
            } catch {
                #expect(error.kind == .io && error.systemCode == ErrorCode.tooManyOpenFiles, "open \(count): \(error)")
            }
            fixture.disk.removeFaults()
            fixture.machine.restart()
            let database = try fixture.open()
            for name in ["a", "b"] { #expect(try database.existingKeyspace(name).get("key") != nil) }
            try database.close()
            fixture.machine.restart()
        }
        Issue.record("opening never succeeded")
    }
}
