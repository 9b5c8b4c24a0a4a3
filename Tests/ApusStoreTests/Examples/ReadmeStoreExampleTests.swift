// The README's example of the four collections, run as it is printed there. TidyTests holds the two together.

import Apus
import ApusStore
import Foundation
import Testing

@Suite struct ReadmeStoreExampleTests {
    private final class Output {
        var lines: [String] = []
    }
    private let output = Output()

    /// Shadows the standard library's, to see what the example prints.
    private func print(_ items: Any...) { output.lines.append(items.map { "\($0)" }.joined(separator: " ")) }

    @Test func exampleDoesWhatTheReadmeSays() throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).apus").path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let picture = [UInt8](repeating: 7, count: 200_000)
        // README begins
        struct Message: Document {
            enum Role: String, Codable { case user, assistant }
            var id = DocumentID.automatic  // assigned when it is inserted
            var session: String
            var role: Role
            var time: Timestamp
            var text: String
            var picture: BlobID?

            static let schema = Schema<Message>()
                .index(\.session, \.time)
                .check("a message has text", \.text != "")
        }

        let store = try Store.open(at: directory)
        let messages = try store.documents(Message.self)
        let embeddings = try store.vectors("embeddings", dimension: 3)
        let sessions = try store.sessions("chat", expiry: SessionExpiry(idle: .seconds(3600)))
        let blobs = try store.blobs()

        let session = try sessions.create(user: "ada")
        try store.transaction { transaction in  // all of it, or nothing
            let blob = try blobs.put(picture, in: transaction)
            try blobs.retain(blob, in: transaction)
            let message = Message(
                session: "\(session.id)", role: .user, time: Timestamp(milliseconds: Int64(transaction.time)),
                text: "What is this?", picture: blob)
            let id = try messages.insert(message, in: transaction)
            try embeddings.upsert("\(id)", [0.9, 0.1, 0.2], metadata: ["role": "user"], in: transaction)
            try sessions.touch(session.id, in: transaction)
        }

        let snapshot = try store.snapshot()  // all of it at one moment
        for match in try embeddings.search([1, 0, 0], count: 3, filter: .equal("role", "user"), in: snapshot) {
            guard let id = DocumentID(match.name), let message = try messages.get(id, in: snapshot) else { continue }
            print(message.text, try blobs.stat(message.picture!, in: snapshot)!.byteCount)  // What is this? 200000
        }
        let last = messages.query().filter(\.session == "\(session.id)").sorted(by: \.time, .descending).limit(50)
        print(try last.count(), try last.explain().index!)  // 1 session, time
        // README ends
        #expect(output.lines == ["What is this? 200000", "1 session, time"])
        snapshot.release()
        #expect(try store.verify().isSound)
        try store.close()
    }
}
