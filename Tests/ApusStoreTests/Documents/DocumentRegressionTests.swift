// Histories that once gave wrong answers, lost a rule or left an entry behind; each is the shortest that did.

import Apus
import ApusSimulation
import Testing

@testable import ApusStore

@Suite struct DocumentRegressionTests {
    /// JSON documents with integers as keys.
    private func things(_ fixture: DocumentFixture, _ schema: Schema<JSONValue>) throws -> JSONDocuments {
        try fixture.store.documents(named: "things", schema: schema)
    }

    @Test func aViolationThatTheLastIndexFindsLeavesNoEntryOfTheOthers() throws {
        let fixture = try DocumentFixture()
        let things = try things(
            fixture, Schema<JSONValue>().index("a").index(.ascending("b", .integer)))
        try fixture.store.transaction { transaction in
            let error = storeError { try things.insert(["id": 1, "a": 5, "b": "text"], in: transaction) }
            #expect(error?.kind == .constraintViolated && error?.field == "b")
            try things.insert(["id": 2, "a": 6, "b": 7], in: transaction)
            #expect(storeError { try things.put(["id": 2, "a": 8, "b": "text"], in: transaction) } != nil)
        }
        #expect(try things.query("a == 5").all().isEmpty)
        #expect(try things.query("a == 8").all().isEmpty)
        #expect(try things.query("a == 6").count() == 1)
        #expect(try fixture.store.verify().isSound)
    }

    @Test func aSnapshotFromBeforeAnIndexWasCompleteDoesWithoutIt() throws {
        let fixture = try DocumentFixture()
        let plain = try things(fixture, Schema())
        try fixture.store.transaction { transaction in
            for number in 0..<500 { try plain.insert(["id": JSONValue(number), "n": 1], in: transaction) }
        }
        try fixture.reopen()
        let things = try things(fixture, Schema().index("n").unique("id", "n").unique("m"))
        let early = try fixture.store.snapshot()
        #expect(try things.collection.buildBatch())
        let middle = try fixture.store.snapshot()
        try things.buildIndexes()
        for snapshot in [early, middle] {
            #expect(try things.query("n == 1", in: snapshot).explain().index == nil)
            #expect(try things.query("n == 1", in: snapshot).count() == 500)
            #expect(storeError { try things.get(by: "m", 1, in: snapshot) }?.kind == .invalidQuery)
        }
        #expect(try things.query("n == 1", in: fixture.store.snapshot()).explain().index == "n")
        let index = try fixture.store.transaction { transaction in
            try things.query("n == 1", in: transaction).explain().index
        }
        #expect(index == "n")
        #expect(try fixture.store.verify().isSound)
    }

    /// Documents are looked up several at a time, and those behind the last one wanted counted as read.
    @Test func aQueryThatStopsHasReadNoDocumentBeyond() throws {
        let fixture = try DocumentFixture()
        let things = try things(fixture, Schema<JSONValue>().index("n"))
        try fixture.store.transaction { transaction in
            for id in 1...9 {
                try things.insert(["id": JSONValue(id), "n": 1, "m": id == 1 ? 0 : 1], in: transaction)
            }
        }
        var attempts = 0
        try fixture.store.transaction { transaction in
            attempts += 1
            // The first group is the document 1, which does not match; the second is 2, which does, and 3.
            let found = try things.query("n == 1 and m == 1 limit 1", in: transaction).all()
            #expect(found.map { $0["id"] } == [2])
            try things.put(["id": 3, "n": 1, "m": 2])
            try things.insert(["id": JSONValue(100 + attempts), "n": 2], in: transaction)
        }
        #expect(attempts == 1)
    }

    @Test func namesThatAreKeywordsInOtherLettersAreFoundInTheCatalogue() throws {
        let fixture = try DocumentFixture()
        let schema = Schema<JSONValue>().check("c", field("Order") >= 0).index("Limit", where: field("COUNT") == 1)
        try things(fixture, schema).insert(["id": 1, "Order": 3])
        try fixture.reopen()
        let things = try fixture.store.documents(named: "things")
        #expect(storeError { try things.insert(["id": 2, "Order": -1]) }?.kind == .constraintViolated)
    }

    @Test func integersThatNoFractionIsHaveNoNeighboursEntry() throws {
        let fixture = try DocumentFixture()
        let things = try things(fixture, Schema<JSONValue>().index(.ascending("x", .double)))
        let limit: Int64 = 1 << 53
        try things.insert(["id": 1, "x": JSONValue(limit)])
        #expect(storeError { try things.insert(["id": 2, "x": JSONValue(limit + 1)]) }?.field == "x")
        #expect(try things.query().filter(field("x") < JSONValue(limit + 1)).count() == 1)
        #expect(try things.query().filter(field("x") == JSONValue(limit + 1)).count() == 0)
        #expect(try things.query().filter(field("x") >= JSONValue(limit + 1)).count() == 0)
        #expect(try things.query().filter(field("x") == JSONValue(limit)).explain().index == "x")
    }

    @Test func theEntryOfAnotherDocumentStaysWhileAUniqueIndexIsBuilt() throws {
        let fixture = try DocumentFixture()
        let plain = try things(fixture, Schema())
        try plain.insert(["id": 1, "mail": "a"])
        try plain.insert(["id": 2, "mail": "a"])
        try fixture.reopen()
        let things = try things(fixture, Schema().unique("mail"))
        // Both have the value; the entry becomes the first one's.
        #expect(storeError { try things.buildIndexes() }?.kind == .constraintViolated)
        try things.update(1) { $0["other"] = true }
        try things.delete(2)
        try things.buildIndexes()
        #expect(things.indexes.map(\.status) == [.ready])
        #expect(try things.get(by: "mail", "a")?["id"] == 1)
        #expect(storeError { try things.insert(["id": 3, "mail": "a"]) }?.kind == .constraintViolated)
        #expect(try fixture.store.verify().isSound)
    }

    @Test func deletingByAQueryInATransactionIsAllOrNothing() throws {
        let fixture = try DocumentFixture()
        let parents = try fixture.store.documents(named: "parents", schema: Schema<JSONValue>().index("n"))
        let children = try fixture.store.documents(
            named: "children", schema: Schema<JSONValue>().references("parents", by: "parent", onDelete: .restrict))
        for number in 0..<5 { try parents.insert(["id": JSONValue(number), "n": 1]) }
        try children.insert(["id": 1, "parent": 4])
        try fixture.store.transaction { transaction in
            let error = storeError { try parents.query("n == 1", in: transaction).delete() }
            #expect(error?.kind == .constraintViolated)
        }
        #expect(try parents.query().count() == 5)
    }

    @Test func aLimitOfNoneIsKept() throws {
        let fixture = try DocumentFixture()
        let things = try things(fixture, Schema())
        try things.insert(["id": 1])
        #expect(try things.query().limit(0).first() == nil)
        #expect(try things.query().limit(0).isEmpty())
        #expect(try !things.query().isEmpty())
        #expect(try things.query().limit(0).count() == 0)
    }

    @Test func explainingGroupsTellsOfGroups() throws {
        let fixture = try DocumentFixture()
        let things = try things(fixture, Schema())
        for number in 0..<20 { try things.insert(["id": JSONValue(number), "n": JSONValue(number % 4)]) }
        for text in ["distinct n limit 1", "group by n: count limit 1 order by n desc"] {
            let explanation = try things.query(text).explain()
            #expect(explanation.scanned == 20 && explanation.matched == 20 && !explanation.sorts)
        }
        #expect(try things.query("count limit 3").explain().scanned == 3)
    }

    @Test func groupsComeInTheOrderAskedFor() throws {
        let fixture = try DocumentFixture()
        let things = try things(fixture, Schema())
        for number in 0..<12 {
            try things.insert(["id": JSONValue(number), "n": JSONValue(number % 4), "m": JSONValue(number % 2)])
        }
        #expect(try things.query().sorted(byField: "n", .descending).limit(2).distinct(byField: "n") == [3, 2])
        guard case .groups(let groups) = try things.query("group by m, n: count order by n desc limit 3").answer()
        else {
            Issue.record("no groups")
            return
        }
        #expect(groups.map(\.keys) == [[1, 3], [0, 2], [1, 1]] && groups.allSatisfy { $0.value == 3 })
        #expect(try things.query().sorted(byField: "n").aggregate(.count) == 12)
        let error = storeError { try things.query("distinct n order by m").answer() }
        #expect(error?.kind == .invalidQuery && error?.message.contains("not by m") == true)
    }

    @Test func constantsOfRulesAreOfTheKindOfTheirFields() throws {
        let fixture = try DocumentFixture()
        let schema = Schema<JSONValue>()
            .index(.ascending("time", .date), where: field("time") >= "2024-01-01")
            .check("late enough", field("time") > "2000-01-01")
        let things = try things(fixture, schema)
        try things.insert(["id": 1, "time": "2024-06-01"])
        try things.insert(["id": 2, "time": "2010-06-01"])
        #expect(storeError { try things.insert(["id": 3, "time": "1999-06-01"]) }?.kind == .constraintViolated)
        let query = try things.query("time >= '2024-01-01' and time < '2025-01-01'")
        #expect(try query.count() == 1)
        #expect(try query.explain().index?.hasPrefix("time where") == true)
    }

    @Test func conditionsThatTheCatalogueCannotHoldAreRefused() throws {
        let fixture = try DocumentFixture()
        var deep = field("a") == 1
        for _ in 0..<100 { deep = !deep }
        for condition in [field("a") == .double(.nan), field("a") == [1], field("a") == ["b": 1], deep, field("") == 1]
        {
            #expect(storeError { try things(fixture, Schema().check("c", condition)) }?.kind == .invalidArgument)
            #expect(storeError { try things(fixture, Schema().index("a", where: condition)) }?.kind == .invalidArgument)
        }
    }

    @Test func elementsAreOfTheKindDeclared() throws {
        let fixture = try DocumentFixture()
        let things = try things(fixture, Schema<JSONValue>().index(.each("links", .id)))
        let id = DocumentID(milliseconds: 5, random: 6, 7)
        try things.insert(["id": 1, "links": [.string(id.description)]])
        #expect(try things.query(#"links contains "\#(id)""#).count() == 1)
    }

    @Test func aTypeMayHaveAnIdentifierAsItsRawValue() throws {
        struct TalkID: RawRepresentable, Codable, Hashable, Sendable, DocumentKey {
            var rawValue: DocumentID
        }
        struct Talk: Document {
            var id = TalkID(rawValue: .automatic)
            var title: String
        }
        let fixture = try DocumentFixture()
        let talks = try fixture.store.documents(Talk.self)
        let id = try talks.insert(Talk(title: "a"))
        #expect(id.rawValue != .automatic)
        #expect(try talks.get(id)?.title == "a")
    }

    @Test func valuesOfAUniqueIndexMoveInsideATransaction() throws {
        let fixture = try DocumentFixture()
        let things = try things(fixture, Schema().unique("name"))
        try things.insert(["id": 1, "name": "a"])
        try things.insert(["id": 2, "name": "b"])
        try fixture.store.transaction { transaction in
            try things.delete(1, in: transaction)
            try things.insert(["id": 3, "name": "a"], in: transaction)
            // A swap goes over a third value.
            try things.update(3, in: transaction) { $0["name"] = nil }
            try things.update(2, in: transaction) { $0["name"] = "a" }
            #expect(storeError { try things.update(3, in: transaction) { $0["name"] = "a" } } != nil)
            try things.update(3, in: transaction) { $0["name"] = "b" }
        }
        #expect(try things.get(by: "name", "a")?["id"] == 2)
        #expect(try things.get(by: "name", "b")?["id"] == 3)
        #expect(try fixture.store.verify().isSound)
    }

    @Test func ofManyWhoWantAUniqueValueAtOnceOneGetsIt() async throws {
        let real = try RealStore()
        let things = try await real.store.documents(named: "things", schema: Schema<JSONValue>().unique("name"))
        let winners = await withTaskGroup(of: Bool.self) { group in
            for number in 0..<16 {
                group.addTask {
                    do {
                        _ = try await things.insert(["id": JSONValue(number), "name": "the one"])
                        return true
                    } catch {
                        return false
                    }
                }
            }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(winners == 1)
        #expect(try await things.query().count() == 1)
        #expect(try await real.store.verify().isSound)
    }

    @Test func aUniqueValueIsFreeAgainWhenItsDocumentHasExpired() throws {
        let fixture = try DocumentFixture()
        let things = try things(fixture, Schema().unique("name").index("n"))
        try things.insert(["id": 1, "name": "a", "n": 1], expiry: .after(.seconds(10)))
        #expect(storeError { try things.insert(["id": 2, "name": "a"]) }?.kind == .constraintViolated)
        let before = try fixture.store.snapshot()
        fixture.machine.clock.advance(nanoseconds: 10_000_000_000)
        #expect(try things.query("n == 1").all().isEmpty)
        #expect(try things.query("n == 1").count() == 0)
        try things.insert(["id": 2, "name": "a", "n": 1])
        // The document that is gone comes back with another value, and takes nothing of the one that followed it.
        try things.put(["id": 1, "name": "b"])
        #expect(try things.get(by: "name", "a")?["id"] == 2)
        #expect(try things.query("n == 1", in: before).all().map { $0["id"] } == [1])
        #expect(try fixture.store.verify().isSound)
        before.release()
    }
}
