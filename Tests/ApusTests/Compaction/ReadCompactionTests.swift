// Seeks pay for a compaction: a tree of several sorted runs becomes one of one run once seeks have looked into all of
// them often enough, and neither before nor again.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite struct ReadCompactionTests {
    private struct Scene {
        let fixture = EngineFixture(seed: 7, writeBufferByteCount: 1 << 20)
        let database: Database
        let keyspace: Keyspace
        private let names = (0..<300).map { "key \(1_000 + $0)" }

        /// One run in the last level, one in level 0: nothing is due.
        init(byteCountPerSeek: Int = 64) throws {
            fixture.options.tuning!.levels.tableByteCount = 1 << 20
            fixture.options.tuning!.levels.baseByteCount = 1 << 20
            fixture.options.tuning!.leastWastedSeeks = 10
            fixture.options.tuning!.byteCountPerWastedSeek = byteCountPerSeek
            database = try fixture.open()
            keyspace = try database.keyspace("a", options: KeyspaceOptions(compression: .none))
            for name in names { try keyspace.put(name, "old \(name)") }
            try database.compact()
            try database.write { batch in
                for name in names.prefix(150) { batch.put(name, "new \(name)", in: keyspace) }
            }
            try database.flush()
            fixture.machine.scheduler.runAll()
        }

        var runCount: Int {
            let levels = database.statistics.keyspaces[0].levels
            return levels[0].tables + levels.dropFirst().filter { $0.tables > 0 }.count
        }

        func seek(_ count: Int) throws {
            for number in 0..<count {
                let cursor = try keyspace.makeCursor()
                try cursor.seek(names[number % names.count])
                #expect(cursor.key == Array(names[number % names.count].utf8))
            }
            fixture.machine.scheduler.runAll()
        }
    }

    @Test("wasted seeks lead to one sorted run, which costs no more compaction")
    func seeksMergeTheRuns() throws {
        let scene = try Scene()
        #expect(scene.runCount == 2)
        try scene.seek(20)
        // The tables have more bytes than that is worth.
        #expect(scene.runCount == 2)
        try scene.seek(400)
        #expect(scene.runCount == 1)
        let written = scene.database.statistics.compactionBytesWritten
        try scene.seek(2_000)
        #expect(scene.database.statistics.compactionBytesWritten == written)
        let entries = try scene.keyspace.entries()
        #expect(entries.count == 300)
        #expect(entries.filter { $0.value.starts(with: Array("new".utf8)) }.count == 150)
        #expect(try scene.database.verify().isSound)
    }

    @Test("one long-lived cursor, and scans, count as well")
    func otherReaders() throws {
        let long = try Scene()
        let cursor = try long.keyspace.makeCursor()
        for _ in 0..<400 { try cursor.seekToFirst() }
        long.fixture.machine.scheduler.runAll()
        #expect(long.runCount == 1)
        // It still sees what it saw.
        try cursor.seekToLast()
        #expect(cursor.isValid)
        let scanning = try Scene()
        for _ in 0..<400 { _ = try scanning.keyspace.entries(limit: 1) }
        scanning.fixture.machine.scheduler.runAll()
        #expect(scanning.runCount == 1)
    }

    @Test("a few seeks, cheap ones, or none of a memtable's merge nothing")
    func seeksThatAreNotWorthIt() throws {
        let scene = try Scene(byteCountPerSeek: 1)
        try scene.seek(400)
        #expect(scene.runCount == 2)
        // What is only in memory is no sorted run that compaction could merge.
        try scene.database.compact()
        try scene.keyspace.put("key", "value")
        try scene.seek(50_000)
        #expect(scene.runCount == 1)
        #expect(try scene.keyspace.contains("key"))
    }

    @Test("a read-only database stays as it is")
    func readOnly() throws {
        let scene = try Scene()
        try scene.database.close()
        scene.fixture.options.isReadOnly = true
        let database = try scene.fixture.open()
        let keyspace = try database.existingKeyspace("a")
        for _ in 0..<400 { _ = try keyspace.entries(limit: 1) }
        scene.fixture.machine.scheduler.runAll()
        #expect(database.statistics.keyspaces[0].levels[0].tables == 1)
    }
}
