// What `verify` notices: every entry of every collection is removed in turn, through the engine and behind the store's
// back, and each time something has to be missing. Entries that nothing else tells of are named.

import Apus
import Testing

@testable import ApusStore

@Suite struct StoreVerifyTests {
    @Test func everyRelationIsNoticedWhenItIsBroken() throws {
        let store = try StoreFixture(seed: 5).open()
        try fill(store)
        var report = try store.verify()
        #expect(report.isSound, "\(report.problems)")
        var removed = 0
        for name in store.database.keyspaceNames where name.contains(":") {
            let keyspace = try store.database.existingKeyspace(name)
            for entry in try keyspace.entries() where !Self.standsAlone(entry.key, in: name) {
                try keyspace.delete(entry.key)
                report = try store.verify()
                #expect(!report.isSound, "\(name): \(entry.key) is gone, and nobody misses it")
                try keyspace.put(entry.key, entry.value, expiry: .never)
                removed += 1
            }
        }
        report = try store.verify()
        #expect(report.isSound, "\(report.problems)")
        #expect(removed > 80)
        try store.close()
    }

    @Test func whatIsTooMuchIsNoticed() throws {
        let store = try StoreFixture(seed: 6).open()
        try fill(store)
        let id = BlobID(of: "nobody's")
        let chunk = ChunkAddress(high: 1, low: 2)
        let session = SessionID(high: 1, low: 2)
        let additions: [(keyspace: String, key: [UInt8], value: [UInt8])] = [
            ("blob:attachments", id.bytes, [0, 0]),
            ("blob:attachments", chunk.withBytes { [UInt8]($0) }, [0, 1, 7]),
            ("blob:attachments", [1, 2, 3], []),
            ("blob:attachments:index", BlobIndexKey.references(id), [1, 0, 0, 0, 0, 0, 0, 0]),
            ("blob:attachments:index", BlobIndexKey.uses(chunk), [1, 0, 0, 0, 0, 0, 0, 0]),
            ("blob:attachments:index", BlobIndexKey.page(7, offset: 0), [0]),
            ("blob:attachments:index", BlobIndexKey.record(id), [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            ("blob:attachments:index", [9], []),
            ("blob:attachments:index", [0], []),
            ("session:web", SessionKey.user("nobody", session), []),
            ("session:web", [77], []),
        ]
        for (name, key, value) in additions {
            let keyspace = try store.database.existingKeyspace(name)
            try keyspace.put(key, value)
            #expect(try !store.verify().isSound, "\(name): \(key) is too much, and nobody minds")
            try keyspace.delete(key)
        }
        let report = try store.verify()
        #expect(report.isSound, "\(report.problems)")
        try store.close()
    }

    /// Entries that no other entry tells of: values of caches and preferences, and remains that mean nothing.
    private static func standsAlone(_ key: [UInt8], in keyspace: String) -> Bool {
        if keyspace.hasPrefix("session:") { return [SessionTag.cache, SessionTag.preference].contains(key[0]) }
        // What a collection of documents notes of itself has a string where entries have a number.
        if keyspace.hasPrefix("doc:"), case .string? = try? KeyCoder.decode(key).first { return true }
        return false
    }

    private func fill(_ store: Store) throws {
        let all = try StoreCollections(store)
        var random = TestRandom(seed: 5)
        let thread = try all.threads.insert(MailThread(title: "thread"))
        let shared = random.bytes(1500)
        for number in 1...6 {
            try store.transaction { transaction in
                let content = number == 1 ? random.bytes(40) : shared + random.bytes(300)
                let id = try all.blobs.put(content, in: transaction)
                if number != 2 { try all.blobs.retain(id, in: transaction) }
                var letter = Letter(thread: thread, number: number, text: "text", attachment: id.description)
                letter.id = try all.letters.insert(letter, in: transaction)
                try all.vectors.upsert(
                    "\(letter.id)", StoreModel.vector(of: letter), metadata: StoreModel.metadata(of: letter),
                    in: transaction)
                let session = try all.sessions.create(user: "user \(number % 2)", in: transaction)
                _ = try all.sessions.cache([1], as: "k", for: session.id, lifetime: .seconds(60), in: transaction)
                try all.sessions.setPreference("theme", to: [1], of: session.user, in: transaction)
            }
        }
        // A content on its way, which has a mark.
        let writer = all.blobs.makeWriter()
        try writer.write(random.bytes(40_000))
    }
}
