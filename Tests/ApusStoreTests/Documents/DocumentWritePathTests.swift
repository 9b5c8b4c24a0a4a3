// What writes leave out because it is known already: the document that a change has just read, entries that stay as they
// are, look-ups of a deletion one by one. None of it may be seen.

import Apus
import ApusIO
import ApusSimulation
import Testing

@testable import ApusStore

@Suite struct DocumentWritePathTests {
    @Test func aChangeThatWritesTheSameDocumentItselfLeavesNoEntryBehind() throws {
        let fixture = try DocumentFixture()
        let (talks, messages) = (try fixture.talks(), try fixture.messages())
        let talk = try talks.insert(Talk(title: "a"))
        let id = try messages.insert(Message(talk: talk, role: .user, time: Timestamp(milliseconds: 1), text: "1"))
        try fixture.store.transaction { transaction in
            try messages.update(id, in: transaction) { outer in
                try messages.update(id, in: transaction) { $0.role = .tool }
                outer.text = "2"
            }
        }
        #expect(try messages.getVersioned(id)?.version == 3)
        #expect(try messages.query().filter(\.role == .tool).count() == 0)
        #expect(try messages.query().filter(\.role == .user).all().map(\.text) == ["2"])
        #expect(try fixture.store.verify().isSound)
    }

    @Test func aChangeThatIsRolledBackInsideAnotherCounts() throws {
        let fixture = try DocumentFixture()
        let talks = try fixture.talks()
        let id = try talks.insert(Talk(title: "a", owner: "eve"))
        try fixture.store.transaction { transaction in
            try talks.update(id, in: transaction) { talk in
                let savepoint = transaction.savepoint()
                try talks.delete(id, in: transaction)
                try transaction.rollBack(to: savepoint)
                talk.title = "b"
            }
        }
        #expect(try talks.query().filter(\.title == "b" && \.owner != nil).count() == 1)
        #expect(try fixture.store.verify().isSound)
    }

    @Test func aValueThatAnIndexCannotHoldIsRefusedWhateverElseChanges() throws {
        let fixture = try DocumentFixture()
        let plain = try fixture.store.documents(named: "things", schema: Schema<JSONValue>())
        try plain.insert(["id": 1, "a": "text", "b": 1])
        try fixture.reopen()
        let things = try fixture.store.documents(
            named: "things", schema: Schema<JSONValue>().index(.ascending("a", .integer)))
        #expect(storeError { try things.buildIndexes() } != nil)
        #expect(storeError { try things.put(["id": 1, "a": "text", "b": 2]) }?.kind == .constraintViolated)
        try things.put(["id": 1, "a": 5, "b": 2])
        try things.buildIndexes()
        try things.put(["id": 1, "a": 5, "b": 3])
        #expect(try things.query("a == 5").all().map { $0["b"] } == [3])
        #expect(try fixture.store.verify().isSound)
    }

    @Test func entriesKeepUpWithEveryKindOfChange() throws {
        let fixture = try DocumentFixture()
        let schema = Schema<JSONValue>().index("a").index("a", "b").unique("c").index("b", where: .always)
        let things = try fixture.store.documents(named: "things", schema: schema)
        let values: [JSONValue] = [1, 1.0, 2, "x", "", nil, true, [1], ["x": 1], .double(.nan)]
        try things.insert(["id": 1])
        for (step, a) in values.enumerated() {
            for b in values {
                var fields: JSONValue = ["id": 1, "a": a, "b": b]
                if step % 2 == 0 { fields["c"] = b }
                _ = storeError { try things.put(fields) }
            }
            #expect(try fixture.store.verify().isSound)
        }
    }

    @Test func aDocumentWhoseExpiryChangesTakesItsEntriesAlong() throws {
        let fixture = try DocumentFixture()
        let talks = try fixture.talks()
        let id = try talks.insert(Talk(title: "a", owner: "eve"))
        let time = UInt64(fixture.machine.environment.clock.wallMilliseconds())
        try talks.update(Talk(id: id, title: "a", owner: "eve"), expiry: .at(milliseconds: time + 1000))
        fixture.machine.clock.advance(nanoseconds: 2_000_000_000)
        #expect(try talks.query().filter(\.title == "a" && \.owner != nil).count() == 0)
        #expect(try fixture.store.verify().isSound)
        try talks.insert(Talk(title: "a", owner: "bob"))
    }

    @Test func aCascadeTakesMoreDocumentsThanAGroupHas() throws {
        let fixture = try DocumentFixture()
        let (talks, messages) = (try fixture.talks(), try fixture.messages())
        let talk = try talks.insert(Talk(title: "a"))
        let other = try talks.insert(Talk(title: "b"))
        var last: DocumentID?
        try fixture.store.transaction { transaction in
            for number in 0..<700 {
                last = try messages.insert(
                    Message(
                        talk: number % 7 == 0 ? other : talk, role: .user,
                        time: Timestamp(milliseconds: Int64(number)), text: "\(number)", tags: ["x", "\(number % 3)"],
                        replyTo: last), in: transaction)
            }
        }
        try fixture.store.transaction { transaction throws -> Void in
            #expect(try talks.delete(talk, in: transaction))
            #expect(try !talks.delete(talk, in: transaction))
            #expect(try messages.query(in: transaction).count() == 100)
        }
        #expect(try messages.query().filter(.contains(\.tags, "x")).count() == 100)
        #expect(try messages.query().filter(\.replyTo != nil).isEmpty())
        #expect(try fixture.store.verify().isSound)
        #expect(try talks.delete(other))
        #expect(try messages.query().isEmpty())
        #expect(try fixture.store.verify().isSound)
    }

    @Test func aDeletionConflictsWithAChangeOfWhatItTakesAlong() throws {
        let fixture = try DocumentFixture()
        let (talks, messages) = (try fixture.talks(), try fixture.messages())
        let talk = try talks.insert(Talk(title: "a"))
        let ids = try (0..<20).map { number in
            try messages.insert(
                Message(talk: talk, role: .user, time: Timestamp(milliseconds: Int64(number)), text: "\(number)"))
        }
        var attempts = 0
        try fixture.store.transaction { transaction in
            attempts += 1
            try talks.delete(talk, in: transaction)
            if attempts == 1 { try messages.update(ids[19]) { $0.role = .tool } }
        }
        #expect(attempts == 2)
        #expect(try messages.query().isEmpty())
        #expect(try fixture.store.verify().isSound)
    }
}
