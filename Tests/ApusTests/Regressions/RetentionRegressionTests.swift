// Faults about what may go and when: tables of FIFO keyspaces, expired entries, merge results, work that a passing error
// stopped for good.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite("Retention regressions")
struct RetentionRegressionTests {
    private func value(_ byte: UInt8, _ count: Int = 200) -> [UInt8] { [UInt8](repeating: byte, count: count) }

    @Test("a keyspace that becomes FIFO loses its levels first, so that nothing deleted comes back")
    func levelsGoFirst() throws {
        let fixture = EngineFixture(seed: 1)
        let database = try fixture.open()
        let keyspace = try database.keyspace("a")
        for number in 0..<100 { try keyspace.put("key \(number)", value(1)) }
        try database.compact()
        _ = try database.keyspace("a", options: KeyspaceOptions(compaction: .fifo(maximumByteCount: 8_000)))
        for number in 0..<100 { try keyspace.delete("key \(number)") }
        try database.flush()
        for number in 0..<400 {
            try keyspace.put("other \(number)", value(2))
            fixture.machine.scheduler.runAll()
            for deleted in 0..<100 { #expect(try !keyspace.contains("key \(deleted)")) }
        }
        try database.flush()
        fixture.machine.scheduler.runAll()
        let levels = database.statistics.keyspaces[0].levels
        #expect(levels.dropFirst().allSatisfy { $0.tables == 0 })
        #expect(levels[0].byteCount <= 12_000)
    }

    @Test("a FIFO keyspace counts its blob files")
    func blobFilesCount() throws {
        let fixture = EngineFixture(seed: 2)
        let database = try fixture.open()
        let keyspace = try database.keyspace(
            "a",
            options: KeyspaceOptions(
                compression: .none, compaction: .fifo(maximumByteCount: 20_000),
                valueSeparationThreshold: 100))
        for number in 0..<100 {
            try keyspace.put("key \(number)", value(UInt8(number), 2_000))
            fixture.machine.scheduler.runAll()
        }
        try database.flush()
        fixture.machine.scheduler.runAll()
        #expect(database.statistics.keyspaces[0].blobByteCount < 40_000)
        #expect(try keyspace.count() > 0)
    }

    @Test("expired entries and old FIFO tables go without anybody writing")
    func timeAloneIsEnough() throws {
        let fixture = EngineFixture(seed: 3, writeBufferByteCount: 1 << 20)
        let database = try fixture.open()
        let expiring = try database.keyspace("a", options: KeyspaceOptions(timeToLive: .seconds(100)))
        let aging = try database.keyspace(
            "b", options: KeyspaceOptions(compaction: .fifo(maximumByteCount: 1 << 30, maximumAge: .seconds(100))))
        for number in 0..<100 {
            try expiring.put("key \(number)", value(1))
            try aging.put("key \(number)", value(1))
        }
        try database.flush()
        // These stay in memory: too few for a table.
        for number in 0..<100 { try expiring.put("late \(number)", value(1)) }
        fixture.machine.scheduler.runAll(for: 1_000_000_000_000)
        let statistics = database.statistics
        #expect(statistics.keyspaces.map { $0.levels.reduce(0) { $0 + $1.entries } } == [0, 0])
        #expect(statistics.keyspaces.allSatisfy { $0.unflushedEntries == 0 })
        // Nothing is left to look after.
        fixture.machine.scheduler.runAll(for: 100_000_000_000)
        #expect(fixture.machine.scheduler.pendingCount == 0)
    }

    @Test("a base that expired is kept for operands whose operator is not at hand")
    func operandsWithoutOperator() throws {
        final class Joining: MergeOperator {
            let name = "joining"
            func merge(key: RawSpan, existing: RawSpan?, operand: RawSpan, into result: inout [UInt8]) {
                result = (existing?.copied() ?? []) + operand.copied()
            }
        }
        let fixture = EngineFixture(seed: 4, writeBufferByteCount: 1 << 20)
        fixture.options.mergeOperators = [Joining()]
        fixture.options.tuning!.levels.expiryPatience = 1
        do {
            let database = try fixture.open()
            let keyspace = try database.keyspace("a", options: KeyspaceOptions(mergeOperator: Joining()))
            try keyspace.put("key", "base,", expiry: .after(.seconds(50)))
            try database.compact()
            try keyspace.merge("key", "operand", expiry: .after(.seconds(100_000)))
            try database.close()
        }
        fixture.machine.clock.advance(nanoseconds: 1_000_000_000_000)
        fixture.options.mergeOperators = []
        fixture.machine.restart()
        do {
            let database = try fixture.open()
            // Written anew for its expired entry, beneath the operand, which stays where it is.
            fixture.machine.scheduler.runAll(for: 100_000_000_000)
            let levels = database.statistics.keyspaces[0].levels
            #expect(database.statistics.compactionBytesWritten > 0)
            #expect(levels[0].tables == 1 && levels.last!.tables == 1)
            try database.close()
        }
        fixture.options.mergeOperators = [Joining()]
        fixture.machine.restart()
        let database = try fixture.open()
        #expect(try database.existingKeyspace("a").get("key") == Array("base,operand".utf8))
    }

    @Test("a merge result that no file could hold is an error, and its operands stay")
    func mergeResultsHaveALimit() throws {
        var chain = MergeChain()
        struct Growing: MergeOperator {
            let name = "growing"
            func merge(key: RawSpan, existing: RawSpan?, operand: RawSpan, into result: inout [UInt8]) {
                let count = Limits.valueByteCount.upperBound + 1
                // Address space only: nobody looks at the bytes.
                result = [UInt8](unsafeUninitializedCapacity: count) { $1 = count }
            }
        }
        let operand: [UInt8] = [1]
        operand.withUnsafeBytes { chain.add(operand: $0, writtenAt: 1, expiresAt: 0) }
        expectError(.mergeFailed) {
            _ = try operand.withBytes { (key) throws(ApusError) in
                try chain.resolve(base: nil, key: key, operator: Growing())
            }
        }
    }

    @Test("a lack of file descriptors, or a disk that refuses a table, stops no writes for good")
    func passingErrors() throws {
        let faults = [
            Fault(.fail(ErrorCode.tooManyOpenFiles), on: [.open], times: 3) { $0.path.hasSuffix(".table") },
            Fault(.fail(ErrorCode.inputOutput), on: [.write], times: 3) { $0.path.hasSuffix(".table") },
            Fault(.fail(ErrorCode.inputOutput), on: [.synchronize], times: 3) { $0.path.hasSuffix(".table") },
        ]
        for fault in faults {
            let fixture = EngineFixture(seed: 5)
            let database = try fixture.open()
            let keyspace = try database.keyspace("a")
            fixture.disk.inject(fault)
            var written = 0
            for number in 0..<400 {
                do {
                    try keyspace.put("key \(number)", value(1))
                    written += 1
                } catch {
                    #expect(error.kind == .io)
                }
                fixture.machine.scheduler.runAll(for: 100_000_000)
            }
            #expect(fixture.disk.struckFaultCount == 3)
            #expect(try keyspace.count() == written)
            try database.flush()
            try database.close()
            fixture.machine.restart()
            #expect(try fixture.open().existingKeyspace("a").count() == written)
        }
    }

    @Test("a table that cannot be read stops compaction of its own keyspace alone")
    func unreadableTable() throws {
        let fixture = EngineFixture(seed: 6)
        let database = try fixture.open()
        let (damaged, other) = (try database.keyspace("damaged"), try database.keyspace("other"))
        for number in 0..<40 { try damaged.put("key \(number % 10)", value(UInt8(number))) }
        try database.flush()
        fixture.disk.inject(
            Fault(.fail(ErrorCode.inputOutput), on: [.read], times: nil) { $0.path.hasSuffix(".table") })
        for number in 0..<100 {
            try damaged.put("key \(number % 10)", value(UInt8(number)))
            fixture.machine.scheduler.runAll(for: 1_000_000)
        }
        fixture.machine.scheduler.runAll(for: 10_000_000_000)
        fixture.disk.removeFaults()
        for number in 0..<200 {
            try other.put("key \(number)", value(UInt8(number)))
            fixture.machine.scheduler.runAll()
        }
        try database.flush()
        #expect(try other.count() == 200)
        try database.close()
    }

    @Test("a transaction's scan has read as far as it went, and does not meet what is written during it")
    func scansReadWhatTheyWalk() throws {
        let fixture = EngineFixture(seed: 7)
        let database = try fixture.open()
        let queue = try database.keyspace("queue")
        for number in 0..<10 { try queue.put("q/\(number)", "job") }
        // Taking the first job does not conflict with adding a last one; adding one before it does.
        try database.transaction(attempts: 1) { transaction in
            let first = try transaction.entries(.prefix("q/"), in: queue, limit: 1)[0]
            transaction.delete(first.key, in: queue)
            try queue.put("q/9x", "job")
        }
        expectError(.conflict) {
            try database.transaction(attempts: 1) { transaction in
                _ = try transaction.entries(.prefix("q/"), in: queue, limit: 1)
                transaction.put("other", "value", in: queue)
                try queue.put("q/0", "job")
            }
        }
        try database.transaction(attempts: 1) { transaction in
            _ = try transaction.entries(.prefix("q/"), in: queue, reversed: true, limit: 1)
            transaction.put("other", "value", in: queue)
            try queue.put("q/1a", "job")
        }
        expectError(.conflict) {
            try database.transaction(attempts: 1) { transaction in
                _ = try transaction.entries(.prefix("q/"), in: queue, reversed: true, limit: 1)
                transaction.put("other", "value", in: queue)
                try queue.put("q/9z", "job")
            }
        }
        try database.transaction(attempts: 1) { transaction in
            transaction.put("q/a", "own", in: queue)
            var visited = 0
            try transaction.scan(.prefix("q/a"), in: queue) { key, _ in
                visited += 1
                transaction.put(key.copied() + Array("x".utf8), "own", in: queue)
                _ = try transaction.get("q/a", in: queue)
                return visited < 100 ? .next : .stop
            }
            #expect(visited == 1)
        }
    }
}
