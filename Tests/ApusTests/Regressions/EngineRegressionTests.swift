// Faults that random histories found in the engine, each as the shortest story that shows it.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite("Engine regressions")
struct EngineRegressionTests {
    @Test("a flush of one keyspace does not outlive earlier relaxed commits of another")
    func flushSynchronizesTheLog() throws {
        let fixture = EngineFixture(seed: 1, writeBufferByteCount: 2_048)
        fixture.options.durability = .relaxed
        // The end of a segment would make it durable, too.
        fixture.options.tuning!.logSegmentByteCount = 1 << 20
        do {
            let database = try fixture.open()
            let (first, second) = (try database.keyspace("first"), try database.keyspace("second"))
            try first.put("key", "value")
            for number in 0..<100 { try second.put("key \(number)", [UInt8](repeating: 1, count: 100)) }
            fixture.machine.scheduler.runAll()
            #expect(database.statistics.flushes > 0)
            fixture.disk.inject(Fault(.stop))
            try? database.close()
        }
        fixture.disk.removeFaults()
        fixture.machine.crash(.dropAll)
        let database = try fixture.open()
        #expect(try database.existingKeyspace("second").count() > 0)
        #expect(try database.existingKeyspace("first").get("key") == Array("value".utf8))
    }

    @Test("tables that compaction replaced are removed at once when nobody reads them")
    func replacedTablesGo() throws {
        let fixture = EngineFixture(seed: 2)
        let database = try fixture.open()
        let keyspace = try database.keyspace("a")
        for round in 0..<3 {
            for number in 0..<20 { try keyspace.put("key \(number)", "value \(round)") }
            try database.flush()
        }
        try database.compact()
        fixture.machine.scheduler.runAll()
        let tables = database.statistics.keyspaces[0].levels.reduce(0) { $0 + $1.tables }
        #expect(try fixture.names().count { $0.hasSuffix(".table") } == tables)
    }

    @Test("a crash between the renaming and the clearing of a reused log segment is no damage")
    func reusedSegmentIsCutOff() throws {
        for count in 0..<400 {
            let fixture = EngineFixture(seed: 3, writeBufferByteCount: 2_048)
            var acknowledged = 0
            do {
                let database = try fixture.open()
                let keyspace = try database.keyspace("a")
                fixture.disk.inject(
                    Fault(.stop, on: [.rename], skipping: count) { $0.path.hasSuffix(".log") })
                for number in 0..<200 where !fixture.disk.isStopped {
                    do throws(ApusError) {
                        try keyspace.put("key \(number)", [UInt8](repeating: 1, count: 150))
                        acknowledged += 1
                    } catch {
                        #expect(fixture.disk.isStopped)
                    }
                    fixture.machine.scheduler.runAll()
                }
                if !fixture.disk.isStopped { return #expect(count > 0) }
                try? database.close()
            }
            fixture.disk.removeFaults()
            fixture.machine.restart()
            #expect(try fixture.open().existingKeyspace("a").count() >= acknowledged, "rename \(count)")
        }
    }

    @Test("a log segment is kept for the sake of its last entry")
    func lastEntryOfASegment() throws {
        let fixture = EngineFixture(seed: 4, writeBufferByteCount: 32_768)
        let value = [UInt8](repeating: 1, count: 1_000)
        do {
            let database = try fixture.open()
            let (busy, quiet) = (try database.keyspace("busy"), try database.keyspace("quiet"))
            let log = try #require(database.engine.committer.log)
            for number in 0..<5 { try busy.put("key \(number)", value) }
            // Fills the segment so far that nothing else fits.
            let segment = try #require(log.segments.last)
            try quiet.put("key", [UInt8](repeating: 2, count: Int(segment.capacity - segment.byteCount) - 200))
            let sequence = database.engine.committer.lastSequence
            for number in 5..<60 {
                try busy.put("key \(number)", value)
                fixture.machine.scheduler.runAll()
            }
            #expect(database.statistics.flushes > 0)
            #expect(quiet.tree.active.entryCount == 1)
            #expect(log.segments.contains { $0.number == segment.number && $0.lastSequence == sequence })
            fixture.disk.inject(Fault(.stop))
            try? database.close()
        }
        fixture.disk.removeFaults()
        fixture.machine.restart()
        let database = try fixture.open()
        #expect(try database.existingKeyspace("quiet").get("key")?.first == 2)
        #expect(try database.existingKeyspace("busy").count() == 60)
    }

    @Test("a seek past a key at the start of a table, where the table before ends with a range deletion")
    func seekPastTheFirstKeyOfATable() throws {
        let fixture = TableFixture()
        let deletion = RangeDeletion(start: [1], end: [5], sequence: SequenceNumber(3))
        let upper = try fixture.write([TableEntry([1], 4, [9])], number: 7, rangeDeletions: [deletion])
        let lower = try fixture.write([TableEntry([5], 2, [9]), TableEntry([8], 1, [9])], number: 8)
        let cursor = LevelCursor([fixture.open(upper), fixture.open(lower)], fillCache: true)
        try cursor.seek([5], .last)
        #expect(cursor.current?.key == [8])
        try cursor.seek([5], .first)
        #expect(cursor.current?.key == [5])
    }
}
