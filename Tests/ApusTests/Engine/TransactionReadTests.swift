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
}
