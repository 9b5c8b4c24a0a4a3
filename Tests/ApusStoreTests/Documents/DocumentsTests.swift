// A collection of documents as programs use it: keys, rules, references, versions, expiry.

import Apus
import ApusIO
import ApusSimulation
import ApusStore
import Testing

@Suite struct DocumentsTests {
    private func now(_ fixture: DocumentFixture) -> Timestamp {
        Timestamp(milliseconds: Int64(fixture.machine.clock.wallMilliseconds()))
    }

    @Test func documentsAreInsertedReadChangedAndDeleted() throws {
        let fixture = try DocumentFixture()
        let talks = try fixture.talks()
        let messages = try fixture.messages()
        let talk = try talks.insert(Talk(title: "First"))
        #expect(talk != .automatic && talk.milliseconds == fixture.machine.clock.wallMilliseconds())
        let id = try messages.insert(Message(talk: talk, role: .user, time: now(fixture), text: "Hello"))
        #expect(try messages.get(id)?.text == "Hello")
        let changed = try messages.update(id) { $0.text += "!" }
        #expect(changed?.text == "Hello!")
        #expect(try messages.getVersioned(id)?.version == 2)
        #expect(try messages.getVersioned(id)?.text == "Hello!")
        #expect(try messages.contains(id))
        #expect(try messages.delete(id))
        #expect(try !messages.delete(id))
        #expect(try messages.get(id) == nil)
        #expect(try messages.update(id) { $0.text = "" } == nil)
        try fixture.reopen()
        #expect(try fixture.talks().get(talk)?.title == "First")
        #expect(try fixture.store.verify().isSound)
    }

    @Test func keysMayBeStringsIntegersAndRawValues() throws {
        struct UserID: RawRepresentable, DocumentKey { var rawValue: String }
        struct User: Document {
            var id: UserID
            var age: Int
            static let collectionName = "users"
        }
        struct Page: Document {
            var id: Int
            var text = ""
        }
        let store = try DocumentFixture().store
        let users: Documents<User> = try store.documents()
        #expect(users.name == "users")
        try users.insert(User(id: UserID(rawValue: "ada"), age: 36))
        #expect(try users.get(UserID(rawValue: "ada"))?.age == 36)
        let pages: Documents<Page> = try store.documents()
        try pages.insert([Page(id: -5), Page(id: 300), Page(id: 7)])
        #expect(try pages.query().sorted(by: \.id).all().map(\.id) == [-5, 7, 300])
        #expect(try store.documentCollectionNames() == ["Page", "users"])
        #expect(storeError { try pages.insert(Page(id: 7)) }?.constraint == .primaryKey)
        #expect(storeError { try pages.update(Page(id: 8)) }?.kind == .notFound)
        try pages.put(Page(id: 8, text: "new"))
        try pages.put(Page(id: 8, text: "newer"))
        #expect(try pages.get(8)?.text == "newer")
    }

    @Test func checksHoldAndAViolationLeavesTheTransactionAsItWas() throws {
        let fixture = try DocumentFixture()
        let talks = try fixture.talks()
        let messages = try fixture.messages()
        try fixture.store.transaction { transaction in
            let talk = try talks.insert(Talk(title: "a"), in: transaction)
            let good = Message(talk: talk, role: .user, time: now(fixture), text: "x", score: 0.5)
            let id = try messages.insert(good, in: transaction)
            var bad = good
            bad.text = ""
            let error = storeError { try messages.insert(bad, in: transaction) }
            #expect(error?.kind == .constraintViolated && error?.constraint == .check)
            #expect(error?.description.contains("text is not empty") == true)
            bad.text = "x"
            bad.score = 1.5
            #expect(storeError { try messages.insert(bad, in: transaction) }?.message.contains("fractions") == true)
            #expect(storeError { try messages.update(id, in: transaction) { $0.text = "" } } != nil)
        }
        #expect(try messages.query().count() == 1)
        #expect(try fixture.store.verify().isSound)
    }

    @Test func uniqueIndexesRefuseASecondDocument() throws {
        let fixture = try DocumentFixture()
        let talks = try fixture.talks()
        let first = try talks.insert(Talk(title: "same", owner: "ada"))
        let error = storeError { try talks.insert(Talk(title: "same", owner: "bob")) }
        #expect(error?.kind == .constraintViolated && error?.field == "title")
        // Not owned by anybody: not in the partial index.
        let free = try talks.insert(Talk(title: "same"))
        #expect(storeError { try talks.update(free) { $0.owner = "eve" } }?.constraint == .unique)
        try talks.update(first) { $0.title = "other" }
        #expect(try talks.update(free) { $0.owner = "eve" } != nil)
        #expect(try fixture.store.verify().isSound)
    }

    @Test func nilIsEqualToNothingInAUniqueIndex() throws {
        struct Account: Document {
            var id: Int
            var email: String?
            static let schema = Schema<Account>().unique(\.email)
        }
        let accounts: Documents<Account> = try DocumentFixture().store.documents()
        try accounts.insert([Account(id: 1), Account(id: 2), Account(id: 3, email: "a")])
        #expect(storeError { try accounts.update(Account(id: 2, email: "a")) }?.constraint == .unique)
        #expect(try accounts.get(by: \.email, "a")?.id == 3)
        #expect(try accounts.get(by: \.email, "b") == nil && accounts.get(by: \.email, nil) == nil)
        try accounts.store.transaction { transaction in
            try accounts.update(3, in: transaction) { $0.email = "b" }
            #expect(try accounts.get(by: \.email, "b", in: transaction)?.id == 3)
            #expect(try accounts.get(by: \.email, "a", in: transaction) == nil)
        }
        #expect(storeError { try accounts.get(by: \.id, 3) }?.kind == .invalidQuery)
        try accounts.update(3) { $0.email = "a" }
        #expect(try accounts.query().filter(\.email == nil).sorted(by: \.id).all().map(\.id) == [1, 2])
        #expect(try accounts.query().filter(\.email == "a").all().map(\.id) == [3])
    }

    @Test func referencesCascadeBecomeNullAndRestrict() throws {
        struct Lock: Document {
            var id: Int
            var message: DocumentID
            static let schema = Schema<Lock>().references(Message.self, by: \.message)
        }
        let fixture = try DocumentFixture()
        let talks = try fixture.talks()
        let messages = try fixture.messages()
        let locks: Documents<Lock> = try fixture.store.documents()
        let talk = try talks.insert(Talk(title: "a"))
        let other = try talks.insert(Talk(title: "b"))
        let wrong = Message(talk: DocumentID(5), role: .user, time: now(fixture), text: "x")
        let error = storeError { try messages.insert(wrong) }
        #expect(error?.constraint == .reference && error?.field == "talk")
        let first = try messages.insert(Message(talk: talk, role: .user, time: now(fixture), text: "1"))
        let reply = try messages.insert(
            Message(talk: other, role: .assistant, time: now(fixture), text: "2", replyTo: first))
        try locks.insert(Lock(id: 1, message: first))
        #expect(storeError { try talks.delete(talk) }?.constraint == .restriction)
        #expect(try messages.contains(first), "a deletion that is refused leaves everything")
        try locks.delete(1)
        #expect(try talks.delete(talk))
        #expect(try messages.get(first) == nil)
        #expect(try messages.get(reply)?.replyTo == nil)
        #expect(try messages.get(reply) != nil)
        #expect(try fixture.store.verify().isSound)
    }

    @Test func aChainOfReferencesMayBeLong() throws {
        struct Node: Document {
            var id: Int
            var parent: Int?
            static let schema = Schema<Node>().references(Node.self, by: \.parent, onDelete: .cascade)
        }
        let fixture = try DocumentFixture()
        let nodes: Documents<Node> = try fixture.store.documents()
        try fixture.store.transaction { transaction in
            for id in 0..<2_000 { try nodes.insert(Node(id: id, parent: id == 0 ? nil : id - 1), in: transaction) }
        }
        // A cycle of two.
        try nodes.insert([Node(id: -1, parent: 1_999), Node(id: -2, parent: -1)])
        try nodes.update(-1) { $0.parent = -2 }
        #expect(try nodes.delete(0))
        #expect(try nodes.query().count() == 2)
        #expect(try nodes.delete(-2))
        #expect(try nodes.query().isEmpty())
        #expect(try fixture.store.verify().isSound)
    }

    @Test func aWriteThatExpectsAnotherVersionIsRefused() throws {
        let talks = try DocumentFixture().talks()
        let id = try talks.insert(Talk(title: "a"))
        let read = try #require(try talks.getVersioned(id))
        try talks.update(id) { $0.title = "b" }
        var stale = read.document
        stale.title = "c"
        #expect(storeError { try talks.update(stale, expecting: read.version) }?.kind == .versionConflict)
        #expect(storeError { try talks.delete(id, expecting: read.version) }?.kind == .versionConflict)
        try talks.update(stale, expecting: 2)
        #expect(try talks.delete(id, expecting: 3))
    }

    @Test func expiredDocumentsAndTheirEntriesAreGone() throws {
        struct Token: Document {
            var id: String
            var user: String
            var until: Timestamp?
            static let schema = Schema<Token>().index(\.user).expires(at: \.until)
        }
        let fixture = try DocumentFixture()
        let tokens: Documents<Token> = try fixture.store.documents()
        let start = now(fixture)
        try tokens.insert(Token(id: "a", user: "u", until: start + .seconds(1)))
        try tokens.insert(Token(id: "b", user: "u"), expiry: .after(.seconds(2)))
        try tokens.insert(Token(id: "c", user: "u"))
        #expect(try tokens.getVersioned("a")?.expiry == UInt64(start.milliseconds + 1000))
        #expect(try tokens.query().filter(\.user == "u").count() == 3)
        try tokens.update("b") { $0.user = "u" }
        fixture.machine.clock.advance(nanoseconds: 1_000_000_000)
        #expect(try tokens.get("a") == nil)
        #expect(try tokens.query().filter(\.user == "u").count() == 2)
        #expect(try tokens.query().filter(\.user == "u").all().map(\.id) == ["b", "c"])
        fixture.machine.clock.advance(nanoseconds: 1_000_000_000)
        #expect(try tokens.query().all().map(\.id) == ["c"])
        try tokens.insert(Token(id: "a", user: "v"))
        #expect(try tokens.query().filter(\.user == "v").count() == 1)
        #expect(try fixture.store.verify().isSound)
    }

    @Test func aReferenceToADocumentThatExpiresEarlierIsRefused() throws {
        let fixture = try DocumentFixture()
        let talks = try fixture.talks()
        let messages = try fixture.messages()
        let brief = try talks.insert(Talk(title: "brief"), expiry: .after(.seconds(10)))
        let message = Message(talk: brief, role: .user, time: now(fixture), text: "x")
        #expect(storeError { try messages.insert(message) }?.message.contains("expires before") == true)
        try messages.insert(message, expiry: .after(.seconds(5)))
        let lasting = try talks.insert(Talk(title: "lasting"))
        try messages.insert(Message(talk: lasting, role: .user, time: now(fixture), text: "y"))
        let talk = try #require(try talks.get(lasting))
        #expect(storeError { try talks.put(talk, expiry: .after(.seconds(1))) }?.kind == .constraintViolated)
    }

    @Test func everythingHasAnAsynchronousForm() async throws {
        let real = try RealStore()
        let store = real.store
        let talks = try await store.documents(Talk.self)
        let id = try await talks.insert(Talk(title: "a"))
        #expect(try await talks.get(id)?.title == "a")
        try await talks.update(id) { $0.title = "b" }
        #expect(try await talks.query().filter(\.title == "b").count() == 1)
        #expect(try await talks.query().filter(\.title == "b").all().map(\.id) == [id])
        #expect(try await talks.query().first()?.title == "b")
        #expect(try await talks.query().explain().matched == 1)
        #expect(try await talks.delete(id))
    }

    @Test func documentsOfManyTasksAreAllThere() async throws {
        let real = try RealStore()
        let talks = try await real.store.documents(Talk.self)
        let messages = try await real.store.documents(Message.self)
        let talk = try await talks.insert(Talk(title: "a"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<64 {
                group.addTask {
                    let time = Timestamp(milliseconds: Int64(number))
                    try await messages.insert(Message(talk: talk, role: .user, time: time, text: "x", tags: ["t"]))
                }
            }
            try await group.waitForAll()
        }
        #expect(try await messages.query().filter(.contains(\.tags, "t")).count() == 64)
        #expect(try await real.store.verify().isSound)
    }
}
