// Arguments outside their limits, and handles that have had their time: each a typed error, and nothing written.

import ApusSimulation
import Testing

@testable import Apus

@Suite("Bad arguments")
struct ArgumentTests {
    let fixture = EngineFixture()

    @Test("a key has 1 byte to 64 KiB")
    func keys() throws {
        let database = try fixture.open()
        let keyspace = try database.keyspace("a", options: KeyspaceOptions(mergeOperator: .append))
        let longest = [UInt8](repeating: 7, count: 65_536)
        let tooLong = longest + [7]
        try keyspace.put(longest, "value")
        #expect(try keyspace.get(longest) == Array("value".utf8))
        for key in [[], tooLong] {
            expectError(.invalidArgument, "put") { try keyspace.put(key, "value") }
            expectError(.invalidArgument, "delete") { try keyspace.delete(key) }
            expectError(.invalidArgument, "merge") { try keyspace.merge(key, "value") }
            expectError(.invalidArgument, "deleteRange") { try keyspace.deleteRange(from: key, to: "z") }
            expectError(.invalidArgument, "deleteRange") { try keyspace.deleteRange(from: "a", to: key) }
            expectError(.invalidArgument, "transaction") {
                try database.transaction { $0.put(key, "value", in: keyspace) }
            }
            #expect(try keyspace.get(key) == nil)
            #expect(try keyspace.contains(key) == false)
        }
        #expect(try keyspace.count() == 1)
        #expect(database.statistics.lastSequence == 1)
    }

    @Test("a value has up to 1 GiB")
    func values() throws {
        let database = try fixture.open()
        let keyspace = try database.keyspace("a")
        // The limit is checked before the bytes are looked at, so none need be there.
        let place = UnsafeRawPointer(bitPattern: 4_096)!
        let tooLong = UnsafeRawBufferPointer(start: place, count: Limits.valueByteCount.upperBound + 1)
        let error = expectError(.invalidArgument) { try keyspace.put("key", tooLong) }
        #expect(error?.message.contains("1073741825") == true)
        try keyspace.put("empty", [UInt8]())
        #expect(try keyspace.get("empty") == [])
    }

    @Test("a batch keeps its first error and writes nothing")
    func batches() throws {
        let database = try fixture.open()
        let keyspace = try database.keyspace("a")
        var batch = WriteBatch()
        batch.put("good", "value", in: keyspace)
        batch.put("", "value", in: keyspace)
        batch.deleteRange(from: "z", to: "a", in: keyspace)
        let error = expectError(.invalidArgument) { try database.commit(batch) }
        #expect(error?.message == "a key must not be empty")
        #expect(try keyspace.count() == 0)
    }

    @Test("a range must not end before it starts")
    func ranges() throws {
        let database = try fixture.open()
        let keyspace = try database.keyspace("a")
        let reversed = KeyRange(lower: [2], upper: [1])
        expectError(.invalidArgument, "deleteRange") { try keyspace.deleteRange(from: "b", to: "a") }
        try keyspace.deleteRange(from: "a", to: "a")
        expectError(.invalidArgument, "entries") { _ = try keyspace.entries(reversed) }
        expectError(.invalidArgument, "count") { _ = try keyspace.count(reversed) }
        expectError(.invalidArgument, "cursor") { _ = try keyspace.makeCursor(reversed) }
        expectError(.invalidArgument, "compact") { try keyspace.compact(reversed) }
        expectError(.invalidArgument, "compact") { try database.compact(reversed) }
        let snapshot = try database.snapshot()
        expectError(.invalidArgument, "snapshot") { _ = try snapshot.entries(reversed, in: keyspace) }
        expectError(.invalidArgument, "transaction") {
            try database.transaction { _ = try $0.entries(reversed, in: keyspace) }
        }
        #expect(try keyspace.entries(KeyRange(lower: [1], upper: [1])).isEmpty)
        #expect(database.statistics.lastSequence == 0)
    }

    @Test("merge needs an operator, and operands that it understands")
    func merges() throws {
        let database = try fixture.open()
        let plain = try database.keyspace("plain")
        expectError(.invalidArgument) { try plain.merge("key", "operand") }
        let counters = try database.keyspace("counters", options: KeyspaceOptions(mergeOperator: .add))
        try counters.merge("key", "not eight bytes")
        let error = expectError(.mergeFailed) { _ = try counters.get("key") }
        #expect(error?.message.contains("key") == true)
        expectError(.mergeFailed) { _ = try counters.entries() }
        // The damage is one key's: the others go on, and a new value heals it. Compaction leaves it as it is.
        try counters.merge("other", 5)
        try database.compact()
        #expect(try counters.get("other") == [5, 0, 0, 0, 0, 0, 0, 0])
        expectError(.mergeFailed) { _ = try counters.get("key") }
        try counters.put("key", [1, 0, 0, 0, 0, 0, 0, 0])
        try database.compact()
        #expect(try counters.count() == 2)
        try database.close()
    }

    @Test("a keyspace without its operator opens; only reading operands fails")
    func missingOperator() throws {
        fixture.options.mergeOperators = [TailMergeOperator()]
        var database = try fixture.open()
        var keyspace = try database.keyspace("a", options: KeyspaceOptions(mergeOperator: TailMergeOperator()))
        try keyspace.put("key", "x")
        try database.flush()
        // Above a table with the key, so that the operand stays one when it is flushed.
        try keyspace.merge("key", "abc")
        try keyspace.put("plain", "value")
        try database.close()
        fixture.options.mergeOperators = []
        fixture.machine.restart()
        database = try fixture.open()
        keyspace = try database.existingKeyspace("a")
        #expect(try keyspace.get("plain") == Array("value".utf8))
        expectError(.mergeFailed) { _ = try keyspace.get("key") }
        try database.close()
        fixture.options.mergeOperators = [TailMergeOperator()]
        fixture.machine.restart()
        database = try fixture.open()
        #expect(try database.existingKeyspace("a").get("key") == Array("xcba".utf8))
    }

    @Test("options outside their limits are refused")
    func options() throws {
        let database = try fixture.open()
        let bad: [KeyspaceOptions] = [
            KeyspaceOptions(timeToLive: .zero), KeyspaceOptions(compaction: .fifo(maximumByteCount: 0)),
            KeyspaceOptions(filterBitsPerKey: 33), KeyspaceOptions(filterBitsPerKey: -1),
            KeyspaceOptions(valueSeparationThreshold: 0),
        ]
        for options in bad { expectError(.invalidArgument) { _ = try database.keyspace("a", options: options) } }
        expectError(.invalidArgument) { _ = try database.keyspace("") }
        expectError(.invalidArgument) { _ = try database.keyspace(String(repeating: "a", count: 256)) }
        expectError(.notFound) { _ = try database.existingKeyspace("a") }
        expectError(.notFound) { try database.dropKeyspace("a") }
        #expect(database.keyspaceNames.isEmpty)
        _ = try database.keyspace("a")
        expectError(.invalidArgument, "ephemeral is for ever") {
            _ = try database.keyspace("a", options: KeyspaceOptions(isEphemeral: true))
        }
        let sums = try database.keyspace("sums", options: KeyspaceOptions(mergeOperator: .add))
        try sums.merge("key", 1)
        expectError(.invalidArgument, "operands are there") {
            _ = try database.keyspace("sums", options: KeyspaceOptions(mergeOperator: .append))
        }
        _ = try database.keyspace("sums", options: KeyspaceOptions(compression: .zstd))
        try sums.merge("key", 1)
        try database.close()
        fixture.machine.restart()
        #expect(try fixture.open().existingKeyspace("sums").get("key") == [2, 0, 0, 0, 0, 0, 0, 0])
        let budget = EngineFixture()
        budget.options.memoryBudget = 1 << 19
        expectError(.invalidArgument) { _ = try budget.open() }
        for bytes in [Int.max, 1 << 62, 1 << 60, -1] {
            budget.options.memoryBudget = bytes
            expectError(.invalidArgument) { _ = try budget.open() }
        }
        let interval = EngineFixture()
        interval.options.syncInterval = .zero
        expectError(.invalidArgument) { _ = try interval.open() }
        expectError(.invalidArgument) {
            _ = try Database.open(at: "", environment: fixture.machine.environment)
        }
    }

    @Test("every handle says closed once the database is")
    func closed() throws {
        let database = try fixture.open()
        let keyspace = try database.keyspace("a")
        try keyspace.put("key", "value")
        let snapshot = try database.snapshot()
        let cursor = try keyspace.makeCursor()
        try cursor.seekToFirst()
        var batch = WriteBatch()
        batch.put("key", "other", in: keyspace)
        try database.close()
        try database.close()
        expectError(.closed, "get") { _ = try keyspace.get("key") }
        expectError(.closed, "multi-get") { _ = try keyspace.get(["key"]) }
        expectError(.closed, "withValue") { _ = try keyspace.withValue(for: "key") { $0.byteCount } }
        expectError(.closed, "contains") { _ = try keyspace.contains("key") }
        expectError(.closed, "put") { try keyspace.put("key", "value") }
        expectError(.closed, "entries") { _ = try keyspace.entries() }
        expectError(.closed, "makeCursor") { _ = try keyspace.makeCursor() }
        expectError(.closed, "compact") { try keyspace.compact() }
        expectError(.closed, "batch") { try database.commit(batch) }
        expectError(.closed, "snapshot") { _ = try database.snapshot() }
        expectError(.closed, "get at snapshot") { _ = try snapshot.get("key", in: keyspace) }
        expectError(.closed, "scan at snapshot") { _ = try snapshot.entries(in: keyspace) }
        expectError(.closed, "transaction") { try database.transaction { _ in } }
        expectError(.closed, "next") { try cursor.next() }
        expectError(.closed, "seek") { try cursor.seek("key") }
        expectError(.closed, "withEntry") { try cursor.withEntry { _, _ in } }
        expectError(.closed, "value") { _ = try cursor.value() }
        expectError(.closed, "keyspace") { _ = try database.keyspace("b") }
        expectError(.closed, "drop") { try database.dropKeyspace("a") }
        expectError(.closed, "flush") { try database.flush() }
        expectError(.closed, "compact") { try database.compact() }
        expectError(.closed, "synchronize") { try database.synchronize() }
        expectError(.closed, "verify") { _ = try database.verify() }
        snapshot.release()
    }

    @Test("a transaction that outlives its database, and a snapshot that was released")
    func ended() throws {
        let database = try fixture.open()
        let keyspace = try database.keyspace("a")
        let snapshot = try database.snapshot()
        snapshot.release()
        snapshot.release()
        expectError(.closed) { _ = try snapshot.get("key", in: keyspace) }
        expectError(.closed) { _ = try snapshot.makeCursor(in: keyspace) }
        #expect(database.statistics.openSnapshots == 0)
        expectError(.closed, "commit") {
            try database.transaction { transaction in
                transaction.put("key", "value", in: keyspace)
                try database.close()
                expectError(.closed, "get") { _ = try transaction.get("key", in: keyspace) }
            }
        }
    }

    @Test("a savepoint counts once, in its own transaction, until an earlier one is rolled back to")
    func savepoints() throws {
        let database = try fixture.open()
        let keyspace = try database.keyspace("a")
        var foreign: Transaction.Savepoint?
        try database.transaction { foreign = $0.savepoint() }
        try database.transaction { transaction in
            let first = transaction.savepoint()
            transaction.put("a", "1", in: keyspace)
            transaction.put("b", "1", in: keyspace)
            let second = transaction.savepoint()
            try transaction.rollBack(to: first)
            for key in ["a long key", "another long key", "third"] { transaction.put(key, "value", in: keyspace) }
            expectError(.invalidArgument, "one that is gone") { try transaction.rollBack(to: second) }
            expectError(.invalidArgument, "another's") { try transaction.rollBack(to: foreign!) }
            let third = transaction.savepoint()
            transaction.deleteRange(from: [UInt8]("a".utf8), to: [UInt8]("b".utf8), in: keyspace)
            try transaction.rollBack(to: third)
            try transaction.rollBack(to: third)
            #expect(try transaction.entries(in: keyspace).count == 3)
        }
        #expect(try keyspace.count() == 3)
    }

    @Test("a cursor that stands nowhere has no value")
    func nowhere() throws {
        let database = try fixture.open()
        let cursor = try database.keyspace("a").makeCursor()
        expectError(.invalidArgument) { _ = try cursor.value() }
        expectError(.invalidArgument) { try cursor.withEntry { _, _ in } }
        try database.close()
        expectError(.closed) { _ = try cursor.value() }
    }

    @Test("a dropped keyspace, and one of another database")
    func strangers() throws {
        let database = try fixture.open()
        let keyspace = try database.keyspace("a")
        try keyspace.put("key", "value")
        let snapshot = try database.snapshot()
        let cursor = try keyspace.makeCursor()
        try database.dropKeyspace("a")
        expectError(.closed) { try keyspace.put("key", "value") }
        expectError(.closed) { _ = try keyspace.get("key") }
        expectError(.closed) { _ = try snapshot.get("key", in: keyspace) }
        expectError(.closed) { try cursor.seekToFirst() }
        expectError(.closed) { try keyspace.compact() }
        expectError(.closed) { try database.transaction { _ = try $0.get("key", in: keyspace) } }
        let again = try database.keyspace("a")
        #expect(try again.get("key") == nil)
        expectError(.closed) { try keyspace.put("key", "value") }

        let other = EngineFixture(seed: 2)
        let stranger = try other.open().keyspace("a")
        var batch = WriteBatch()
        batch.put("key", "value", in: stranger)
        expectError(.invalidArgument) { try database.commit(batch) }
        expectError(.invalidArgument) { _ = try snapshot.get("key", in: stranger) }
        expectError(.invalidArgument) { try database.transaction { _ = try $0.get("key", in: stranger) } }
    }
}
