// What a layer above the engine asks it for: the environment, the time that expiry goes by, a thread to block on.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite struct EnvironmentAccessTests {
    @Test func timeIsTheInjectedClocksAndNeverGoesBack() throws {
        let fixture = EngineFixture()
        let database = try fixture.open()
        let start = fixture.machine.clock.wallMilliseconds()
        #expect(database.time == start)
        fixture.machine.clock.setWall(milliseconds: start + 500)
        #expect(database.time == start + 500)
        fixture.machine.clock.setWall(milliseconds: start)
        #expect(database.time == start + 500)
        #expect(database.environment.clock.wallMilliseconds() == start)
        try database.close()
    }

    @Test func snapshotsAndTransactionsKeepTheirTime() throws {
        let fixture = EngineFixture()
        let database = try fixture.open()
        let keyspace = try database.keyspace("a")
        let start = database.time
        let snapshot = try database.snapshot()
        try keyspace.put("k", "v", expiry: .at(milliseconds: start + 100))
        let later = try database.snapshot()
        try database.transaction { transaction in
            fixture.machine.clock.setWall(milliseconds: start + 100)
            #expect(transaction.time == start)
            let value = try transaction.get("k", in: keyspace)
            #expect(value == [UInt8]("v".utf8))
        }
        #expect(snapshot.time == start && later.time == start && database.time == start + 100)
        #expect(try later.withValue(for: "k", in: keyspace) { $0.byteCount } == 1)
        #expect(try snapshot.withValue(for: "k", in: keyspace) { $0.byteCount } == nil)
        #expect(try keyspace.get("k") == nil)
        try database.close()
    }

    @Test func withValuePassesErrorsOn() throws {
        struct Refusal: Error {}
        let fixture = EngineFixture()
        let database = try fixture.open()
        let keyspace = try database.keyspace("a")
        try keyspace.put("k", "v")
        let snapshot = try database.snapshot()
        #expect(throws: Refusal.self) { try snapshot.withValue(for: "k", in: keyspace) { _ in throw Refusal() } }
        snapshot.release()
        #expect(throws: ApusError.self) { try snapshot.withValue(for: "k", in: keyspace) { _ in } }
        try database.close()
    }

    @Test func workRunsOnAThreadOfTheDatabase() async throws {
        let real = try RealDatabase()
        // It closes its database when it goes.
        defer { withExtendedLifetime(real) {} }
        let database = real.database
        let keyspace = try database.keyspace("a")
        let value = try await database.onWorker {
            try keyspace.put("k", "v")
            return try keyspace.get("k")
        }
        #expect(value == [UInt8]("v".utf8))
        #expect(!database.isReadOnly)
        await #expect(throws: ApusError.self) {
            try await database.onWorker { throw ApusError(.notFound, "nothing") }
        }
    }

    @Test func readOnlyIsKnown() throws {
        let fixture = EngineFixture()
        try fixture.open().close()
        fixture.options.isReadOnly = true
        let database = try fixture.open()
        #expect(database.isReadOnly)
        try database.close()
    }
}
