// Histories of real threads, recorded and judged: single keys are linearizable, transactions are serializable in an
// order that agrees with time. The judges are tested on histories that are wrong.

import ApusIO
import Synchronization
import Testing

@testable import Apus

@Suite("Isolation", .serialized)
struct IsolationTests {
    private static let threadCount = 4

    private func run(_ body: @escaping @Sendable (Int) throws -> Void) {
        let threads = (0..<Self.threadCount).map { thread in
            TestThread {
                do { try body(thread) } catch { Issue.record("\(error)") }
            }
        }
        for thread in threads { thread.join() }
    }

    /// Keeps memtables small and compaction busy while `body` runs.
    private func withMaintenance(_ database: Database, _ body: () -> Void) {
        let flag = Flag()
        let maintainer = TestThread {
            do {
                while !flag.isSet {
                    try database.flush()
                    try database.compact()
                }
            } catch { Issue.record("\(error)") }
        }
        body()
        flag.set()
        maintainer.join()
    }

    private final class Flag: Sendable {
        private let value = Atomic(false)
        var isSet: Bool { value.load(ordering: .relaxed) }
        func set() { value.store(true, ordering: .relaxed) }
    }

    /// Time that never stands still: every tick comes after those handed out before.
    private final class Ticks: Sendable {
        private let value = Atomic(0)
        func next() -> Int { value.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue }
    }

    // MARK: Registers

    @Test("single keys are linearizable", arguments: 0..<6)
    func registers(seed: UInt64) throws {
        let real = try RealDatabase(writeBufferByteCount: 4_096)
        let keyspace = try real.database.keyspace("registers")
        let keyCount = 3
        let ticks = Ticks()
        let recorded = Monitor([[RegisterOperation]](repeating: [], count: keyCount))
        let isBatching = seed % 2 == 1
        withMaintenance(real.database) {
            run { thread in
                var random = TestRandom(seed: seed &* 100 &+ UInt64(thread))
                var own = [[RegisterOperation]](repeating: [], count: keyCount)
                for round in 0..<250 {
                    let key = random.below(keyCount)
                    let called = ticks.next()
                    let kind: RegisterOperation.Kind
                    switch random.below(10) {
                    case 0..<5:
                        let found = try keyspace.get("key \(key)").flatMap { Int(String(decoding: $0, as: UTF8.self)) }
                        kind = .read(found)
                    case 5..<9:
                        let value = thread * 1_000 + round
                        if isBatching {
                            var batch = WriteBatch()
                            batch.put("key \(key)", "never seen", in: keyspace)
                            batch.put("key \(key)", "\(value)", in: keyspace)
                            try real.database.commit(batch)
                        } else {
                            try keyspace.put("key \(key)", "\(value)")
                        }
                        kind = .write(value)
                    default:
                        try keyspace.delete("key \(key)")
                        kind = .write(nil)
                    }
                    own[key].append(RegisterOperation(kind: kind, called: called, returned: ticks.next()))
                }
                let done = own
                recorded.withLock { all in for key in 0..<keyCount { all[key] += done[key] } }
            }
        }
        for operations in recorded.withLock({ $0 }) {
            #expect(operations.count > 100)
            #expect(RegisterHistory(operations).isLinearizable, "seed \(seed)")
        }
        try real.database.close()
    }

    @Test("a stale read is no linearizable history")
    func staleReads() {
        func history(_ operations: (RegisterOperation.Kind, Int, Int)...) -> RegisterHistory {
            RegisterHistory(operations.map { RegisterOperation(kind: $0.0, called: $0.1, returned: $0.2) })
        }
        #expect(history((.write(1), 1, 2), (.write(2), 3, 6), (.read(1), 4, 5)).isLinearizable)
        #expect(history((.write(1), 1, 2), (.write(2), 3, 6), (.read(2), 4, 5)).isLinearizable)
        #expect(!history((.write(1), 1, 2), (.write(2), 3, 4), (.read(1), 5, 6)).isLinearizable)
        #expect(!history((.write(1), 1, 2), (.read(nil), 3, 4)).isLinearizable)
        #expect(!history((.write(1), 1, 9), (.read(1), 2, 3), (.read(nil), 4, 5)).isLinearizable)
    }

    // MARK: Lists

    @Test("transactions are serializable, in an order that agrees with time", arguments: 0..<4)
    func lists(seed: UInt64) throws {
        let real = try RealDatabase(writeBufferByteCount: 8_192)
        let database = real.database
        let keyspace = try database.keyspace("lists")
        let listCount = 4
        let ticks = Ticks()
        let recorded = Monitor<[ListTransaction]>([])
        withMaintenance(database) {
            run { thread in
                var random = TestRandom(seed: seed &* 100 &+ UInt64(thread))
                for round in 0..<80 {
                    let plan = (0..<random.between(1, 4)).map { _ in (random.below(listCount), random.chance(50)) }
                    let called = ticks.next()
                    let operations = try database.transaction { transaction -> [ListTransaction.Operation] in
                        var operations: [ListTransaction.Operation] = []
                        for (index, (list, isRead)) in plan.enumerated() {
                            let found = try Self.list(transaction.get("list \(list)", in: keyspace))
                            if isRead {
                                operations.append(.read(list: list, found: found))
                            } else {
                                let element = (thread * 1_000 + round) * 10 + index
                                let text = (found + [element]).map(String.init).joined(separator: ",")
                                transaction.put("list \(list)", text, in: keyspace)
                                operations.append(.append(list: list, element: element))
                            }
                        }
                        return operations
                    }
                    let transaction = ListTransaction(
                        operations: operations, thread: thread, called: called, returned: ticks.next())
                    recorded.withLock { $0.append(transaction) }
                }
            }
        }
        let lists = try (0..<listCount).map { try Self.list(keyspace.get("list \($0)")) }
        let transactions = recorded.withLock { $0 }
        #expect(transactions.count == 320)
        #expect(ListHistory(transactions: transactions, lists: lists).anomaly == nil, "seed \(seed)")
        try database.close()
    }

    private static func list(_ bytes: [UInt8]?) -> [Int] {
        String(decoding: bytes ?? [], as: UTF8.self).split(separator: ",").compactMap { Int($0) }
    }

    @Test("lost updates, write skew and stale reads are found")
    func anomalies() {
        func transaction(
            _ thread: Int, _ called: Int, _ returned: Int, _ operations: [ListTransaction.Operation]
        )
            -> ListTransaction
        {
            ListTransaction(operations: operations, thread: thread, called: called, returned: returned)
        }
        func anomaly(_ lists: [[Int]], _ transactions: ListTransaction...) -> String? {
            ListHistory(transactions: transactions, lists: lists).anomaly
        }
        let first = transaction(0, 1, 4, [.append(list: 0, element: 1)])
        let second = transaction(1, 2, 3, [.append(list: 0, element: 2)])
        #expect(anomaly([[1, 2]], first, second) == nil)
        #expect(anomaly([[2]], first, second) != nil)
        // Each read what the other had not written yet.
        let skewed = [
            transaction(0, 1, 4, [.read(list: 1, found: []), .append(list: 0, element: 1)]),
            transaction(1, 2, 3, [.read(list: 0, found: []), .append(list: 1, element: 2)]),
        ]
        #expect(ListHistory(transactions: skewed, lists: [[1], [2]]).anomaly != nil)
        let stale = transaction(1, 5, 6, [.read(list: 0, found: [])])
        #expect(anomaly([[1]], first, stale) != nil)
        #expect(anomaly([[1]], first, transaction(1, 2, 3, [.read(list: 0, found: [])])) == nil)
    }
}
