// What a transaction reads of its own writes, between its writes: each kind of change alone and over the others.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite struct TransactionReadTests {
    private func open() throws -> (Database, Keyspace) {
        let database = try Database.open(at: "/db", environment: .simulated(seed: 1))
        return (database, try database.keyspace("k", options: KeyspaceOptions(mergeOperator: .append)))
    }

    @Test func everyKindOfChangeIsSeenAtOnce() throws {
        let (database, keyspace) = try open()
        for key in ["a", "b", "c", "d", "e"] { try keyspace.put(key, "old") }
        try database.transaction { transaction throws -> Void in
            transaction.put("z", "new", in: keyspace)
            #expect(try transaction.get("a", in: keyspace) == Array("old".utf8))
            transaction.put("a", "new", in: keyspace)
            #expect(try transaction.get("a", in: keyspace) == Array("new".utf8))
            transaction.delete("b", in: keyspace)
            #expect(try transaction.get("b", in: keyspace) == nil)
            transaction.merge("c", "+", in: keyspace)
            #expect(try transaction.get("c", in: keyspace) == Array("old+".utf8))
            transaction.put("d", "brief", in: keyspace, expiry: .at(milliseconds: 1))
            #expect(try transaction.get("d", in: keyspace) == nil)
            transaction.deleteRange("a"..<"b", in: keyspace)
            #expect(try transaction.get("a", in: keyspace) == nil)
            #expect(try transaction.get("e", in: keyspace) == Array("old".utf8))
            transaction.put("a", "again", in: keyspace)
            #expect(try transaction.get("a", in: keyspace) == Array("again".utf8))
            #expect(try transaction.get("nothing", in: keyspace) == nil)
        }
        #expect(try keyspace.entries().map { String(decoding: $0.key, as: UTF8.self) } == ["a", "c", "e", "z"])
    }

    @Test func readsBetweenManyWritesSeeAllOfThem() throws {
        let (database, keyspace) = try open()
        try database.transaction { transaction throws -> Void in
            for number in 0..<3_000 {
                transaction.put("key \(number)", "\(number)", in: keyspace)
                #expect(try transaction.get("key \(number / 2)", in: keyspace) == Array("\(number / 2)".utf8))
            }
        }
        #expect(try keyspace.count() == 3_000)
    }

    @Test func readsAfterARollBackSeeWhatIsLeft() throws {
        let (database, keyspace) = try open()
        try database.transaction { transaction throws -> Void in
            transaction.put("a", "1", in: keyspace)
            let savepoint = transaction.savepoint()
            for number in 0..<100 { transaction.put("a", "\(number)", in: keyspace) }
            #expect(try transaction.get("a", in: keyspace) == Array("99".utf8))
            try transaction.rollBack(to: savepoint)
            #expect(try transaction.get("a", in: keyspace) == Array("1".utf8))
            transaction.put("b", "2", in: keyspace)
            #expect(try transaction.get("b", in: keyspace) == Array("2".utf8))
        }
    }

    @Test func severalKeysAreWhatEachIsAlone() throws {
        let (database, keyspace) = try open()
        for number in 0..<60 { try keyspace.put("key \(number)", "\(number)") }
        try database.compact()
        try keyspace.merge("key 3", "+")
        try database.transaction { transaction throws -> Void in
            transaction.put("key 5", "own", in: keyspace)
            transaction.put("key 5", "own again", in: keyspace)
            transaction.delete("key 7", in: keyspace)
            transaction.merge("key 9", "+", in: keyspace)
            let keys = (0..<70).map { "key \($0)" }
            let alone = try keys.map { try transaction.get($0, in: keyspace) }
            #expect(alone[5] == Array("own again".utf8) && alone[7] == nil && alone[9] == Array("9+".utf8))
            var shown: [[UInt8]?] = []
            try transaction.withValues(for: keys, in: keyspace) { index, value in
                #expect(index == shown.count)
                shown.append(value?.copied())
                return .next
            }
            #expect(shown == alone)
        }
    }

    @Test func whatIsShownFollowsWhatTheClosureWrites() throws {
        let (database, keyspace) = try open()
        let keys = (0..<40).map { "key \($0)" }
        for key in keys { try keyspace.put(key, "old") }
        try database.transaction { transaction throws -> Void in
            var found = 0
            try transaction.withValues(for: keys, in: keyspace) { index, value in
                if value != nil { found += 1 }
                transaction.delete("key \(index + 1)", in: keyspace)
                return .next
            }
            #expect(found == 1)
            #expect(try transaction.withValue(for: "key 0", in: keyspace) { $0.copied() } == Array("old".utf8))
        }
        #expect(try keyspace.count() == 1)
    }

    /// Whether a transaction that reads as `read` does, and then writes, conflicts with a put of `key` meanwhile.
    private func conflicts(
        with key: String, _ read: @escaping (Transaction, Keyspace) throws -> Void
    ) throws -> Bool {
        let (database, keyspace) = try open()
        for number in 0..<40 { try keyspace.put("key \(number)", "old") }
        do {
            try database.transaction(attempts: 1) { transaction in
                try read(transaction, keyspace)
                try keyspace.put(key, "meanwhile")
                transaction.put("result", "x", in: keyspace)
            }
            return false
        } catch let error as ApusError where error.kind == .conflict {
            return true
        }
    }

    @Test func whatAClosureHasSeenCountsAsReadAndNothingElse() throws {
        let read: (Transaction, Keyspace) throws -> Void = { transaction, keyspace in
            let keys = (0..<30).map { "key \($0)" } + ["nothing"]
            try transaction.withValues(for: keys, in: keyspace) { index, _ in index == 20 ? .stop : .next }
        }
        #expect(try conflicts(with: "key 0", read))
        #expect(try conflicts(with: "key 20", read))
        #expect(try !conflicts(with: "key 21", read))
        #expect(try !conflicts(with: "nothing", read))
        #expect(try conflicts(with: "nothing") { _ = try $0.withValue(for: "nothing", in: $1) { _ in } })
        #expect(try conflicts(with: "key 1") { _ = try $0.contains("key 1", in: $1) })
    }

    @Test func everyOneOfManyReadsCounts() throws {
        for victim in [0, 7, 8, 16, 17, 499] {
            let isConflict = try conflicts(with: "many \(victim)") { transaction, keyspace in
                for number in 0..<500 {
                    _ = try transaction.get("many \(number)", in: keyspace)
                    _ = try transaction.get("many \(number / 2)", in: keyspace)
                }
            }
            #expect(isConflict)
        }
    }

    @Test func changesAreCountedAndRollBacksToo() throws {
        let (database, keyspace) = try open()
        try database.transaction { transaction throws -> Void in
            let before = transaction.changeCount
            _ = try transaction.get("a", in: keyspace)
            #expect(transaction.changeCount == before)
            let savepoint = transaction.savepoint()
            transaction.put("a", "1", in: keyspace)
            let written = transaction.changeCount
            #expect(written > before)
            try transaction.rollBack(to: savepoint)
            let undone = transaction.changeCount
            #expect(undone > written)
            transaction.put("a", "2", in: keyspace)
            #expect(transaction.changeCount > undone)
        }
    }
}
