// Faults of compaction that reviews have found, each as the shortest story that shows it.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite("Compaction regressions")
struct CompactionRegressionTests {
    /// A database whose level 0 is only compacted on request.
    private func database() throws -> (EngineFixture, Database, Keyspace) {
        let fixture = EngineFixture(seed: 3, writeBufferByteCount: 1 << 20)
        fixture.options.tuning!.levels.levelZeroTrigger = 10
        fixture.options.tuning!.levels.levelZeroPressure = 20
        let database = try fixture.open()
        return (fixture, database, try database.keyspace("a"))
    }

    private func putTable(_ entries: [(String, String)], _ database: Database, _ keyspace: Keyspace) throws {
        for (key, value) in entries { try keyspace.put(key, value) }
        try database.flush()
    }

    @Test("compacting a range leaves no table of level 0 above a newer one that shares keys with it")
    func compactedRange() throws {
        let (_, database, keyspace) = try database()
        try putTable([("a", "base"), ("k", "base")], database, keyspace)
        try database.compact()
        try putTable([("m", "old"), ("p", "old")], database, keyspace)
        try putTable([("b", "old"), ("d", "old")], database, keyspace)
        try putTable([("f", "new"), ("p", "new")], database, keyspace)
        try database.compact(KeyRange(lower: Array("b".utf8), upper: Array("e".utf8)))
        #expect(try keyspace.get("p") == Array("new".utf8))
        #expect(try database.verify().problems.isEmpty)
        try database.close()
    }

    @Test("compacting everything leaves no table of level 0 above a newer one that shares keys with it")
    func compactedDatabase() throws {
        let (_, database, keyspace) = try database()
        try putTable([("a", "base"), ("k", "base")], database, keyspace)
        try database.compact()
        for pair in [["b", "d"], ["q", "r"], ["m", "p"], ["h", "i"]] {
            try putTable(pair.map { ($0, "old") }, database, keyspace)
        }
        try putTable([("f", "new"), ("p", "new")], database, keyspace)
        let snapshot = try database.snapshot()
        try database.compact()
        #expect(try keyspace.get("p") == Array("new".utf8))
        #expect(try snapshot.get("p", in: keyspace) == Array("new".utf8))
        #expect(try database.verify().problems.isEmpty)
        snapshot.release()
        try database.close()
    }

    @Test("a compaction for the sake of reads that finds no room stops nothing else")
    func readCompactionWithoutRoom() throws {
        let fixture = EngineFixture(seed: 5, writeBufferByteCount: 1 << 20)
        fixture.options.tuning!.levels.tableByteCount = 1 << 20
        fixture.options.tuning!.levels.baseByteCount = 8 << 20
        fixture.options.tuning!.leastWastedSeeks = 10
        fixture.options.tuning!.levels.levelZeroTrigger = 100
        fixture.options.tuning!.levels.levelZeroPatience = 100
        fixture.options.tuning!.levels.levelZeroPressure = 200
        let database = try fixture.open()
        let keyspace = try database.keyspace("a", options: KeyspaceOptions(compression: .none))
        for start in [0, 200] {
            try database.write { batch in
                for number in start..<(start + 400) {
                    batch.put("key \(number)", String(repeating: "x", count: 500), in: keyspace)
                }
            }
            try database.flush()
        }
        fixture.machine.scheduler.runAll()
        #expect(database.statistics.keyspaces[0].levels[0].tables == 2)
        // Room for small tables, not for both of these merged into one.
        fixture.machine.disk.inject(
            Fault(.fail(ErrorCode.noSpace), on: [.write], times: nil) {
                $0.path.hasSuffix(".table") && $0.offset + $0.byteCount > 250_000
            })
        for _ in 0..<20_000 { _ = try keyspace.entries(limit: 1) }
        fixture.machine.scheduler.runAll()
        for number in 0..<20 {
            try keyspace.put("small \(number)", "value")
            try database.flush()
            fixture.machine.scheduler.runAll(for: 1_000_000_000)
        }
        #expect(try keyspace.get("small 19") == Array("value".utf8))
        #expect(database.statistics.keyspaces[0].levels[0].tables == 22)
        // With room again, and as many seeks as before and more, it is done.
        fixture.machine.disk.removeFaults()
        for _ in 0..<1_000 { _ = try keyspace.entries(limit: 1) }
        fixture.machine.scheduler.runAll()
        #expect(database.statistics.keyspaces[0].levels[0].tables == 0)
        #expect(try database.verify().problems.isEmpty)
        try database.close()
    }
}
