// While writes go on, dead entries may take almost as much space as live ones; when writes pause, it is given back.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite struct RestCompactionTests {
    private let fixture = EngineFixture(seed: 9, writeBufferByteCount: 1 << 20)
    private let names = (0..<300).map { "key \(1_000 + $0)" }
    private let minute: UInt64 = 60_000_000_000

    /// A last level, and half as much above it that hides half of it: nothing is due.
    private func makeUntidy() throws -> Database {
        fixture.options.tuning!.levels.tableByteCount = 1 << 20
        fixture.options.tuning!.levels.baseByteCount = 1 << 20
        let database = try fixture.open()
        let keyspace = try database.keyspace("a", options: KeyspaceOptions(compression: .none))
        for name in names { try keyspace.put(name, "old \(name)") }
        try database.compact()
        for name in names.prefix(150) { try keyspace.put(name, "new \(name)") }
        try database.flush()
        fixture.machine.scheduler.runAll()
        #expect(levelZeroCount(database) == 1)
        return database
    }

    private func levelZeroCount(_ database: Database) -> Int { database.statistics.keyspaces[0].levels[0].tables }

    private func tableByteCount(_ database: Database) -> Int {
        Int(database.statistics.keyspaces[0].levels.reduce(0) { $0 + $1.byteCount })
    }

    @Test("two quiet minutes free what dead entries take, once")
    func aPauseIsUsed() throws {
        let database = try makeUntidy()
        let untidy = tableByteCount(database)
        fixture.machine.scheduler.runAll(for: 3 * minute)
        #expect(levelZeroCount(database) == 0)
        #expect(tableByteCount(database) * 115 <= untidy * 100)
        let written = database.statistics.compactionBytesWritten
        fixture.machine.scheduler.runAll(for: 60 * minute)
        #expect(database.statistics.compactionBytesWritten == written)
        let entries = try database.existingKeyspace("a").entries()
        #expect(entries.filter { $0.value.starts(with: Array("new".utf8)) }.count == 150)
        #expect(try database.verify().isSound)
        try database.close()
    }

    @Test("who writes on is left alone")
    func writesGoOn() throws {
        let database = try makeUntidy()
        let busy = try database.keyspace("b")
        for number in 0..<10 {
            try busy.put("key \(number)", "value")
            try database.flush()
            fixture.machine.scheduler.runAll(for: minute)
        }
        #expect(levelZeroCount(database) == 1)
        fixture.machine.scheduler.runAll(for: 2 * minute)
        #expect(levelZeroCount(database) == 0)
        try database.close()
    }

    @Test("a database that was left untidy is tidied up when it is opened again")
    func reopening() throws {
        try makeUntidy().close()
        let database = try fixture.open()
        fixture.machine.scheduler.runAll(for: 3 * minute)
        #expect(levelZeroCount(database) == 0)
        try database.close()
    }
}
