// Migrations that were interrupted, met halfway, or overtaken; and trying them.

import Apus
import ApusSimulation
import Testing

@testable import ApusStore

@Suite struct MigrationTests {
    private static let count = 1_000

    private let second = Schema<JSONValue>().index("n").migration(to: 2) { document in
        document["n"] = JSONValue((document["n"]?.integerValue ?? 0) + 100)
    }

    private func open(_ fixture: DocumentFixture, _ schema: Schema<JSONValue>) throws -> JSONDocuments {
        try fixture.store.documents(named: "things", schema: schema)
    }

    /// Documents of which some have been migrated to version 2.
    private func interrupted() throws -> DocumentFixture {
        let fixture = try DocumentFixture()
        let things = try open(fixture, Schema<JSONValue>().index("n"))
        try fixture.store.transaction { transaction in
            for number in 0..<Self.count {
                try things.insert(["id": JSONValue(number), "n": JSONValue(number % 7)], in: transaction)
            }
        }
        try fixture.reopen()
        struct Interruption: Error {}
        let broken = Schema<JSONValue>().index("n").migration(to: 2) { document in
            guard document["id"]!.integerValue! < 500 else { throw Interruption() }
            document["n"] = JSONValue((document["n"]?.integerValue ?? 0) + 100)
        }
        #expect(throws: Interruption.self) { try open(fixture, broken) }
        return fixture
    }

    @Test func openingByNameSkipsNoMigration() throws {
        let fixture = try interrupted()
        let byName = try fixture.store.documents(named: "things")
        #expect(try byName.query().count() == Self.count)
        #expect(try byName.get(999)?["n"] == JSONValue(999 % 7))
        #expect(storeError { try byName.put(["id": 999, "n": 1]) }?.kind == .definitionMismatch)
        #expect(try byName.delete(998))
        // The same collection, in use, and now with the migrations.
        let things = try open(fixture, second)
        #expect(try things.query("n >= 100 and n < 107").count() == Self.count - 1)
        #expect(try things.getVersioned(0)?.version == 2 && things.getVersioned(999)?.version == 2)
        try byName.put(["id": 999, "n": 1])
        #expect(try fixture.store.verify().isSound)
    }

    @Test func aNewerVersionReachesWhatTheInterruptedOneHadChanged() throws {
        let fixture = try interrupted()
        let third = second.migration(to: 3) { $0["third"] = true }
        let things = try open(fixture, third)
        #expect(try things.query("third == true").count() == Self.count)
        #expect(try things.query("n >= 100 and n < 107").count() == Self.count)
        #expect(try fixture.store.verify().isSound)
    }

    @Test func aReferenceThatBecomesNullLeavesTheMigrationToDo() throws {
        let fixture = try DocumentFixture()
        let parents = try fixture.store.documents(named: "parents", schema: Schema<JSONValue>())
        try parents.insert(["id": 1])
        let schema = Schema<JSONValue>().references("parents", by: "parent", onDelete: .setNull)
        try open(fixture, schema).insert(["id": 1, "parent": 1])
        try fixture.reopen()
        struct Interruption: Error {}
        #expect(throws: Interruption.self) { try open(fixture, schema.migration(to: 2) { _ in throw Interruption() }) }
        // It opens the collection of the documents that refer to it, by name.
        #expect(try fixture.store.documents(named: "parents").delete(1))
        let things = try open(fixture, schema.migration(to: 2) { $0["second"] = true })
        #expect(try things.get(1) == ["id": 1, "parent": nil, "second": true])
    }

    @Test func aDryRunWritesNothingAndMayBeReadOnly() throws {
        let fixture = try DocumentFixture()
        let things = try open(fixture, Schema())
        for number in 0..<10 { try things.insert(["id": JSONValue(number), "n": JSONValue(number)]) }
        try fixture.reopen()
        let sequence = fixture.store.database.sequence
        let schema = Schema<JSONValue>().unique("half").migration(to: 2) { document in
            document["half"] = JSONValue(document["n"]!.integerValue! / 2)
        }
        let report = try fixture.store.dryRunMigration(named: "things", schema: schema)
        #expect(report.documents == 10 && report.changed == 5 && report.failureCount == 5)
        #expect(report.failures.first?.key == "1")
        #expect(fixture.store.database.sequence == sequence)
    }
}
