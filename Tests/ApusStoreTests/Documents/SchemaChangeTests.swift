// Schemas that change: indexes built over documents that are there, while others write and after crashes; migrations
// that run once, go on after a crash, and can be tried without harm; what cannot change.

import Apus
import ApusIO
import ApusSimulation
import Testing

@testable import ApusStore

@Suite struct SchemaChangeTests {
    private func open(
        _ fixture: DocumentFixture, _ schema: Schema<JSONValue>
    ) throws -> JSONDocuments {
        try fixture.store.documents(named: "things", schema: schema)
    }

    private func fill(_ things: JSONDocuments, _ count: Int) throws {
        try things.store.transaction { transaction in
            for number in 0..<count {
                try things.insert(["id": JSONValue(number), "n": JSONValue(number % 7)], in: transaction)
            }
        }
    }

    @Test func anIndexIsBuiltInTheBackgroundWhileOthersWrite() throws {
        let fixture = try DocumentFixture()
        try fill(try open(fixture, Schema()), 1_000)
        try fixture.reopen()
        let things = try open(fixture, Schema().index("n"))
        #expect(things.indexes.map(\.status) == [.building])
        var steps = 0
        while things.indexes[0].status == .building {
            #expect(try things.query("n == 3").explain().index == nil)
            // Before and behind where the builder is.
            try things.update(JSONValue(steps)) { $0["n"] = 3 }
            try things.update(JSONValue(990 - steps)) { $0["n"] = 3 }
            try things.delete(JSONValue(500 + steps))
            try things.insert(["id": JSONValue(2_000 + steps), "n": 3])
            _ = fixture.machine.scheduler.runOne()
            steps += 1
        }
        #expect(steps >= 5)
        let query = try things.query("n == 3")
        #expect(try query.explain().index == "n")
        let expected = try things.query().all().filter { $0["n"] == 3 }.count
        #expect(try query.count() == expected)
        #expect(try fixture.store.verify().isSound)
    }

    @Test func buildingGoesOnAfterACrash() throws {
        let fixture = try DocumentFixture()
        try fill(try open(fixture, Schema()), 1_000)
        try fixture.reopen()
        let schema = Schema<JSONValue>().index("n").unique("id", "n")
        let before = try open(fixture, schema)
        #expect(try before.collection.buildBatch())
        #expect(try before.collection.buildBatch())
        try fixture.store.database.synchronize()
        try fixture.crash()
        let things = try open(fixture, schema)
        guard case .building(let through) = things.collection.indexes[0].status else {
            Issue.record("the index is \(things.collection.indexes[0].status)")
            return
        }
        #expect(!through.isEmpty, "it begins again")
        try things.buildIndexes()
        #expect(things.indexes.map(\.status) == [.ready, .ready])
        #expect(try things.query("n == 3").count() == 143)
        #expect(try fixture.store.verify().isSound)
    }

    @Test func aUniqueIndexThatCannotBeSaysWhy() throws {
        let fixture = try DocumentFixture()
        try fill(try open(fixture, Schema()), 20)
        try fixture.reopen()
        let things = try open(fixture, Schema().unique("n"))
        #expect(storeError { try things.buildIndexes() }?.kind == .constraintViolated)
        guard case .failed(let message) = things.indexes[0].status else {
            Issue.record("the index is \(things.indexes[0].status)")
            return
        }
        #expect(message.contains("same values"))
        #expect(try things.query("n == 3").explain().index == nil)
    }

    @Test func indexesThatAreGoneLeaveNothing() throws {
        let fixture = try DocumentFixture()
        try fill(try open(fixture, Schema().index("n").index("id")), 50)
        try fixture.reopen()
        let things = try open(fixture, Schema().index("id"))
        #expect(things.indexes.map(\.name) == ["id"])
        let entries = try things.collection.keyspace.count(.prefix(KeyCoder.encode(1)))
        #expect(entries == 0)
        #expect(try fixture.store.verify().isSound)
    }

    @Test func migrationsRunOnceAndGoOnAfterACrash() throws {
        let fixture = try DocumentFixture()
        try fill(try open(fixture, Schema().index("n")), 1_000)
        let schema = Schema<JSONValue>().index("n").migration(to: 2) { document in
            document["n"] = JSONValue((document["n"]?.integerValue ?? 0) + 100)
        }.migration(to: 3) { document in
            document["added"] = true
        }
        let dry = try fixture.store.dryRunMigration(named: "things", schema: schema)
        #expect(dry.documents == 1_000 && dry.changed == 1_000 && dry.failureCount == 0)
        try fixture.reopen()
        // The machine stops in the middle of the second batch's commit.
        fixture.machine.disk.inject(Fault(.stop, skipping: 4) { $0.isMutation })
        #expect(throws: (any Error).self) { try open(fixture, schema) }
        try fixture.crash()
        let things = try open(fixture, schema)
        #expect(try things.query("added == true").count() == 1_000)
        #expect(try things.query("n >= 100 and n < 107").count() == 1_000)
        #expect(try things.getVersioned(5)?.version == 2)
        try fixture.reopen()
        #expect(try open(fixture, schema).getVersioned(5)?.version == 2)
        #expect(try fixture.store.verify().isSound)
    }

    @Test func aDryRunSaysWhatWouldFail() throws {
        let fixture = try DocumentFixture()
        try fill(try open(fixture, Schema()), 10)
        let schema = Schema<JSONValue>().check("small", field("n") < 5).migration(to: 2) { $0["x"] = 1 }
        let report = try fixture.store.dryRunMigration(named: "things", schema: schema)
        #expect(report.documents == 10 && report.changed == 8 && report.failureCount == 2)
        #expect(report.failures.first?.key == "5" && report.failures.first?.message.contains("small") == true)
        #expect(try open(fixture, Schema()).query().count() == 10)
    }

    @Test func whatCannotChangeIsRefused() throws {
        let fixture = try DocumentFixture()
        let newer = Schema<JSONValue>().migration(to: 2) { _ in }
        try fill(try open(fixture, newer), 3)
        #expect(storeError { try open(fixture, Schema()) }?.kind == .definitionMismatch)
        try fixture.reopen()
        #expect(storeError { try open(fixture, Schema()) }?.kind == .definitionMismatch)
        #expect(storeError { try open(fixture, Schema(key: "other", version: 2)) }?.kind == .definitionMismatch)
        #expect(storeError { try fixture.store.documents(named: "nothing") }?.kind == .notFound)
        let orphan = Schema<JSONValue>().references("nothing", by: "n")
        #expect(storeError { try fixture.store.documents(named: "orphan", schema: orphan) }?.kind == .notFound)
        #expect(try open(fixture, newer).query().count() == 3)
    }

    @Test func schemasSurviveTheCatalogue() throws {
        let definition = Message.schema.definition
        let again = try SchemaDefinition(encoded: definition.encoded, of: "doc:Message")
        #expect(again == definition)
        let fixture = try DocumentFixture()
        _ = try fixture.messages()
        try fixture.reopen()
        // Whoever opens it without the type keeps the same rules.
        let messages = try fixture.store.documents(named: "Message")
        let talks = try fixture.store.documents(named: "Talk")
        let talk = try talks.insert(["title": "t"])
        let good: JSONValue = ["talk": talk, "role": "user", "time": 5, "text": "x", "tags": []]
        let id = try messages.insert(good)
        var bad = good
        bad["text"] = ""
        #expect(storeError { try messages.insert(bad) }?.kind == .constraintViolated)
        bad = good
        bad["time"] = "tomorrow"
        #expect(storeError { try messages.insert(bad) }?.field == "time")
        guard case .id(let key) = id else { return }
        #expect(try fixture.messages().get(key)?.time == Timestamp(milliseconds: 5))
        #expect(try talks.delete(talk))
        #expect(try messages.get(id) == nil)
    }

    @Test func verificationFindsWhatIsWrong() throws {
        let fixture = try DocumentFixture()
        let talks = try fixture.talks()
        let messages = try fixture.messages()
        let talk = try talks.insert(Talk(title: "a", owner: "o"))
        try messages.insert(Message(talk: talk, role: .user, time: Timestamp(milliseconds: 1), text: "x", tags: ["t"]))
        #expect(try fixture.store.verify().isSound)
        let keyspace = talks.collection.keyspace
        for entry in try keyspace.entries(.prefix(KeyCoder.encode(1))) { try keyspace.delete(entry.key) }
        try keyspace.put(KeyCoder.encode(1, "stray", "x"), [3])
        try keyspace.put(KeyCoder.encode(77), "?")
        try keyspace.put(KeyCoder.encode(0, "damaged"), [1, 1, 1, 0, 200, 1])
        try keyspace.delete(DocumentCollection.documentPrefix + talks.collection.encodedKey(.id(talk)))
        let report = try fixture.store.verify()
        let found = report.problems.map(\.description).joined(separator: "\n")
        #expect(found.contains("does not exist") && found.contains("stray") && found.contains("no index"))
        #expect(report.problemCount >= 4, "\(found)")
    }
}
