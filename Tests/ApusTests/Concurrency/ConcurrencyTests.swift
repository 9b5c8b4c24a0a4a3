// The engine on real threads and a real disk: writers, readers, flushes and compactions all at once. Run under the
// thread and address sanitizers, too.

import ApusIO
import Synchronization
import Testing

@testable import Apus

@Suite("Concurrency", .serialized)
struct ConcurrencyTests {
    /// Runs the bodies on a thread each; records what they throw.
    private func run(_ bodies: [@Sendable () throws -> Void]) {
        let threads = bodies.map { body in
            TestThread {
                do { try body() } catch { Issue.record("\(error)") }
            }
        }
        for thread in threads { thread.join() }
    }

    private func number(_ bytes: [UInt8]?) -> Int64 {
        (bytes ?? []).reversed().reduce(0) { $0 << 8 | Int64($1) }
    }

    private func bytes(_ number: Int64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * Int64($0))) }
    }

    @Test("money moves between accounts and stays the same in total")
    func bank() throws {
        let real = try RealDatabase()
        let database = real.database
        let accounts = try database.keyspace("accounts")
        let count = 20
        try database.write { batch in
            for account in 0..<count { batch.put("account \(account)", bytes(100), in: accounts) }
        }
        let isDone = Atomic(false)
        let movers = (0..<3).map { seed -> @Sendable () throws -> Void in
            {
                var random = TestRandom(seed: UInt64(seed))
                for _ in 0..<150 {
                    let (from, to) = ("account \(random.below(count))", "account \(random.below(count))")
                    let amount = Int64(random.below(10))
                    if from == to { continue }
                    try database.transaction { transaction in
                        let left = self.number(try transaction.get(from, in: accounts))
                        guard left >= amount else { return }
                        transaction.put(from, self.bytes(left - amount), in: accounts)
                        let right = self.number(try transaction.get(to, in: accounts))
                        transaction.put(to, self.bytes(right + amount), in: accounts)
                    }
                }
            }
        }
        let auditor: @Sendable () throws -> Void = {
            while !isDone.load(ordering: .relaxed) {
                let snapshot = try database.snapshot()
                let total = try snapshot.entries(in: accounts).reduce(Int64(0)) { $0 + self.number($1.value) }
                #expect(total == Int64(count) * 100)
                let cursor = try accounts.makeCursor()
                var seen: Int64 = 0
                try cursor.seekToLast()
                while cursor.isValid {
                    seen += self.number(try cursor.value())
                    try cursor.previous()
                }
                #expect(seen == Int64(count) * 100)
            }
        }
        let operatorThread: @Sendable () throws -> Void = {
            while !isDone.load(ordering: .relaxed) {
                try database.flush()
                try database.compact()
            }
        }
        let background = [auditor, operatorThread].map { body in
            TestThread { do { try body() } catch { Issue.record("\(error)") } }
        }
        run(movers)
        isDone.store(true, ordering: .relaxed)
        for thread in background { thread.join() }
        #expect(try accounts.entries().reduce(Int64(0)) { $0 + number($1.value) } == Int64(count) * 100)
        #expect(try database.verify().isSound)
    }

    @Test("counters only grow, batches are seen whole, through flushes and compactions")
    func countersAndBatches() throws {
        let real = try RealDatabase(writeBufferByteCount: 8_192)
        let database = real.database
        let counters = try database.keyspace("counters", options: KeyspaceOptions(mergeOperator: .add))
        let left = try database.keyspace("left")
        let right = try database.keyspace("right", options: KeyspaceOptions(valueSeparationThreshold: 64))
        let writers = (0..<3).map { writer -> @Sendable () throws -> Void in
            {
                for round in 0..<400 {
                    try counters.merge("counter \(round % 5)", 1)
                    let value = [UInt8](repeating: UInt8(round % 251), count: 80)
                    try database.write { batch in
                        batch.put("pair \(writer)", value, in: left)
                        batch.put("pair \(writer)", value, in: right)
                    }
                    if round % 50 == 0 { try left.deleteRange(from: "x", to: "y") }
                }
            }
        }
        let isDone = Atomic(false)
        let readers = (0..<2).map { _ in
            TestThread {
                do {
                    var last = [Int64](repeating: 0, count: 5)
                    while !isDone.load(ordering: .relaxed) {
                        for index in 0..<5 {
                            let now = self.number(try counters.get("counter \(index)"))
                            #expect(now >= last[index])
                            last[index] = now
                        }
                        let snapshot = try database.snapshot()
                        for writer in 0..<3 {
                            let one = try snapshot.get("pair \(writer)", in: left)
                            #expect(try snapshot.get("pair \(writer)", in: right) == one)
                        }
                    }
                } catch { Issue.record("\(error)") }
            }
        }
        run(writers + [{ for _ in 0..<10 { try database.compact() } }])
        isDone.store(true, ordering: .relaxed)
        for reader in readers { reader.join() }
        let total = try (0..<5).reduce(Int64(0)) { $0 + number(try counters.get("counter \($1)")) }
        #expect(total == 1_200)
        #expect(try database.verify().isSound)
    }

    @Test("durable commits of many threads share syncs")
    func groupCommit() throws {
        let real = try RealDatabase(writeBufferByteCount: 1 << 20)
        let database = real.database
        let keyspace = try database.keyspace("a")
        run(
            (0..<8).map { writer in
                { for round in 0..<25 { try keyspace.put("\(writer) \(round)", "value", durability: .durable) } }
            })
        let statistics = database.statistics
        #expect(statistics.commits == 200)
        #expect(statistics.syncs <= 200)
        #expect(try keyspace.count() == 200)
    }

    @Test("durable commits of many tasks share syncs and block nobody")
    func asynchronous() async throws {
        let real = try RealDatabase(writeBufferByteCount: 1 << 20)
        let database = real.database
        let keyspace = try database.keyspace("a")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<300 {
                group.addTask { try await keyspace.put("key \(task)", "value", durability: .durable) }
            }
            try await group.waitForAll()
        }
        #expect(try keyspace.count() == 300)
        #expect(database.statistics.syncs < 300)
        try await database.flush()
        try await database.compact()
        let value = try await database.transaction { try $0.get("key 7", in: keyspace) }
        #expect(value == Array("value".utf8))
    }

    @Test("closing answers every writer: done or closed")
    func closeUnderWriters() throws {
        let real = try RealDatabase()
        let database = real.database
        let keyspace = try database.keyspace("a")
        let acknowledged = Monitor<Set<String>>([])
        let hasStarted = Atomic(0)
        let writers = (0..<4).map { writer in
            TestThread {
                for round in 0... {
                    let key = "\(writer) \(round)"
                    do throws(ApusError) {
                        try keyspace.put(key, "value")
                    } catch {
                        #expect(error.kind == .closed)
                        return
                    }
                    acknowledged.withLock { _ = $0.insert(key) }
                    if round == 20 { hasStarted.wrappingAdd(1, ordering: .relaxed) }
                }
            }
        }
        while hasStarted.load(ordering: .relaxed) < 4 { _ = try keyspace.get("0 0") }
        try database.close()
        for writer in writers { writer.join() }
        let again = try Database.open(at: real.path)
        let found = try again.existingKeyspace("a").entries().map { String(decoding: $0.key, as: UTF8.self) }
        #expect(acknowledged.withLock { $0.isSubset(of: Set(found)) })
        try again.close()
    }
}
