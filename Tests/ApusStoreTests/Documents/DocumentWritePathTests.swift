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

    @Test func oneFieldIsSetWithEverythingThatFollowsFromIt() throws {
        let fixture = try DocumentFixture()
        let (talks, messages) = (try fixture.talks(), try fixture.messages())
        let talk = try talks.insert(Talk(title: "a", owner: "eve"))
        var message = Message(talk: talk, role: .user, time: Timestamp(milliseconds: 1), text: "1", tags: ["x"])
        message.id = try messages.insert(message, expiry: .at(milliseconds: 1 << 50))

        #expect(try messages.set(\.text, to: "long enough not to fit where the old one was, \(talk)", of: message.id))
        #expect(try messages.set(\.role, to: .tool, of: message.id))
        #expect(try messages.set(\.score, to: 0.5, of: message.id))
        #expect(try messages.set(\.score, to: 0.25, of: message.id))
        #expect(try messages.set(\.tags, to: ["y", "z"], of: message.id))
        message.text = "long enough not to fit where the old one was, \(talk)"
        message.role = .tool
        message.score = 0.25
        message.tags = ["y", "z"]
        let found = try #require(try messages.getVersioned(message.id))
        #expect(found.document == message && found.version == 6 && found.expiry == 1 << 50)
        #expect(try messages.query().filter(\.role == .tool).count() == 1)
        #expect(try messages.query().filter(\.role == .user).count() == 0)

        #expect(try messages.set(\.score, to: nil, of: message.id))
        #expect(try messages.get(message.id)?.score == nil)
        #expect(try !messages.set(\.text, to: "x", of: .automatic))
        #expect(storeError { try messages.set(\.text, to: "", of: message.id) }?.constraint == .check)
        #expect(storeError { try messages.set(\.score, to: 2, of: message.id) }?.constraint == .check)
        #expect(storeError { try messages.set(\.talk, to: message.id, of: message.id) }?.constraint == .reference)
        #expect(storeError { try messages.set(\.id, to: talk, of: message.id) }?.kind == .invalidArgument)
        #expect(try messages.getVersioned(message.id)?.version == 7)

        let other = try talks.insert(Talk(title: "b", owner: "eve"))
        #expect(storeError { try talks.set(\.title, to: "a", of: other) }?.constraint == .unique)
        #expect(try talks.set(\.title, to: "c", of: other))
        try fixture.store.transaction { transaction in
            try messages.set(\.text, to: "2", of: message.id, in: transaction)
            #expect(try messages.get(message.id, in: transaction)?.text == "2")
            try messages.set(\.text, to: "3", of: message.id, in: transaction)
        }
        #expect(try messages.get(message.id)?.text == "3")
        #expect(try fixture.store.verify().isSound)
    }

    @Test func aFieldOfADocumentWithoutATypeIsSetInTheKindThatTheSchemaDeclares() throws {
        let fixture = try DocumentFixture()
        let things = try fixture.store.documents(
            named: "things", schema: Schema<JSONValue>().index(.ascending("due", .date)))
        try things.insert(["id": 1, "due": 5, "in": ["side": 1]])
        #expect(try things.set("due", to: "1970-01-01T00:00:01Z", of: 1))
        #expect(try things.set("in.side", to: 2, of: 1))
        #expect(try things.set("new", to: true, of: 1))
        #expect(try !things.set("new", to: true, of: 2))
        #expect(storeError { try things.set("due", to: "soon", of: 1) }?.kind == .constraintViolated)
        #expect(
            try things.get(1)
                == ["id": 1, "due": .date(Timestamp(milliseconds: 1000)), "in": ["side": 2], "new": true])
        #expect(try things.query("due == 1000").count() == 1)
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
