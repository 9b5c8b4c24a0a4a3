// The core of the store: transactions and snapshots over several keyspaces, readers that read alike, the catalogue.

import Apus
import Testing

@testable import ApusStore

@Suite struct StoreTests {
    @Test func transactionsCommitEverythingOrNothing() throws {
        struct Refusal: Error {}
        let store = try StoreFixture().open()
        let a = try store.database.keyspace("a")
        let b = try store.database.keyspace("b")
        var committed = 0
        let result = try store.transaction { transaction in
            transaction.put("k", "1", in: a)
            transaction.put("k", "2", in: b)
            transaction.onCommit { committed += 1 }
            return try transaction.get("k", in: a)
        }
        #expect(result == [UInt8]("1".utf8) && committed == 1)
        #expect(throws: Refusal.self) {
            try store.transaction { transaction in
                transaction.put("k", "3", in: a)
                transaction.onCommit { committed += 1 }
                throw Refusal()
            }
        }
        #expect(try store.get("k", in: a) == [UInt8]("1".utf8) && committed == 1)
        try store.close()
    }

    @Test func actionsOfTheCommitRunOnceHoweverOftenTheBodyRuns() throws {
        let store = try StoreFixture().open()
        let counter = try store.database.keyspace("counter")
        var bodies = 0
        var actions = 0
        try store.transaction { transaction in
            bodies += 1
            _ = try transaction.get("k", in: counter)
            // Somebody else commits between the read and the commit, the first time only.
            if bodies == 1 { try counter.put("k", "other") }
            transaction.put("k", "own", in: counter)
            transaction.onCommit { actions += 1 }
            let savepoint = transaction.savepoint()
            transaction.put("k", "given up", in: counter)
            transaction.onCommit { actions += 100 }
            try transaction.rollBack(to: savepoint)
        }
        #expect(bodies == 2 && actions == 1)
        #expect(try store.get("k", in: counter) == [UInt8]("own".utf8))
        try store.close()
    }

    @Test func everyReaderReadsAlike() throws {
        func check(_ reader: some StoreReader, _ keyspace: Keyspace) throws {
            #expect(try reader.get("b", in: keyspace) == [2])
            #expect(try reader.get("x", in: keyspace) == nil)
            #expect(try reader.contains("b", in: keyspace) && !reader.contains("x", in: keyspace))
            #expect(try reader.withValue(for: "b", in: keyspace) { $0.byteCount } == 1)
            #expect(try reader.withValue(for: "x", in: keyspace) { $0.byteCount } == nil)
            #expect(try reader.entries(in: keyspace).map(\.value) == [[1], [2], [3]])
            #expect(try reader.entries(.from("b"), in: keyspace, limit: 1).map(\.value) == [[2]])
            #expect(try reader.entries(in: keyspace, reversed: true, limit: 2).map(\.value) == [[3], [2]])
            #expect(reader.time == 1_700_000_000_000)
        }
        let store = try StoreFixture().open()
        let keyspace = try store.database.keyspace("k")
        for (key, value) in zip(["a", "b", "c"], [1, 2, 3] as [UInt8]) { try keyspace.put(key, [value]) }
        let snapshot = try store.snapshot()
        try check(store, keyspace)
        try store.transaction { try check($0, keyspace) }
        try keyspace.put("b", [9])
        try check(snapshot, keyspace)
        snapshot.release()
        #expect(throws: ApusError.self) { try snapshot.get("b", in: keyspace) }
        try store.close()
    }

    @Test func catalogueKeepsRecords() throws {
        let fixture = StoreFixture()
        var store = try fixture.open()
        let names = try [
            CollectionName(.blobs, "a"), CollectionName(.documents, "b"), CollectionName(.sessions, "c"),
        ]
        for (index, name) in names.enumerated() {
            let record = CollectionRecord(format: index + 1, definition: [UInt8](repeating: 7, count: index * 100))
            try store.transaction { try store.catalogue.put(record, of: name, in: $0) }
        }
        try store.transaction { try store.catalogue.remove(names[1], in: $0) }
        try store.close()
        store = try fixture.open()
        #expect(try store.catalogue.record(of: names[0], in: store) == CollectionRecord(format: 1))
        #expect(try store.catalogue.record(of: names[1], in: store) == nil)
        let all = try store.catalogue.collections(in: store) { _, error in Issue.record(error) }
        #expect(all.map(\.name) == [names[0], names[2]])
        #expect(all.last?.record.definition.count == 200)
        #expect(try store.verify().collections == ["blob:a", "session:c"])
        try store.close()
    }

    @Test func damagedCatalogueIsReported() throws {
        let store = try StoreFixture().open()
        let keyspace = try store.database.existingKeyspace("store")
        let name = try CollectionName(.vectors, "v")
        for (bytes, kind) in [
            ([], .unsupportedFormat), ([2], .unsupportedFormat), ([1, 1, 5, 0], .corruption),
            ([1, 1, 0, 0], .corruption), ([1, 0xFF], .corruption),
        ] as [([UInt8], StoreError.Kind)] {
            try keyspace.put(name.catalogueKey, bytes)
            let error = #expect(throws: StoreError.self) { try store.catalogue.record(of: name, in: store) }
            #expect(error?.kind == kind && error?.collection == "vector:v")
            let report = try store.verify()
            #expect(!report.isSound && report.problems.count == 1 && report.problems[0].collection == "vector:v")
        }
        try store.close()
    }

    @Test(arguments: ["", "a:b", String(repeating: "n", count: 201)])
    func namesAreChecked(name: String) {
        let error = #expect(throws: StoreError.self) { try CollectionName(.blobs, name) }
        #expect(error?.kind == .invalidArgument)
    }

    @Test func collectionsAreSharedAndTheirDefinitionsCompared() throws {
        final class Fake: StoreCollection {
            let definition: [UInt8]
            init(_ definition: [UInt8]) { self.definition = definition }
        }
        let store = try StoreFixture().open()
        var made = 0
        func fake(_ definition: [UInt8]) throws -> Fake {
            try store.collection(.documents, "f", definition: definition) { record in
                made += 1
                #expect(record == nil)
                return Fake(definition)
            }
        }
        var first: Fake? = try fake([1])
        #expect(try fake([1]) === first && made == 1)
        let error = #expect(throws: StoreError.self) { try fake([2]) }
        #expect(error?.kind == .definitionMismatch && error?.description.contains("doc:f") == true)
        first = nil
        #expect(try fake([2]).definition == [2] && made == 2)
        try store.close()
    }

    @Test func readOnlyStoresOpen() throws {
        let fixture = StoreFixture()
        try fixture.open().close()
        fixture.options.isReadOnly = true
        let store = try fixture.open()
        #expect(try store.catalogue.collections(in: store) { _, _ in }.isEmpty)
        let name = try CollectionName(.blobs, "b")
        #expect(throws: ApusError.self) {
            try store.transaction { try store.catalogue.put(CollectionRecord(format: 1), of: name, in: $0) }
        }
        try store.close()
    }
}
