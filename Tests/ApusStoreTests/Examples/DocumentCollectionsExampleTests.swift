// The example of the page on documents, so that it compiles and does what it says.

import Apus
import ApusSimulation
import ApusStore
import Testing

@Suite struct DocumentCollectionsExampleTests {
    private let output = Output()

    private final class Output {
        var lines: [String] = []
    }

    /// Shadows the standard library's, to see what the example prints.
    private func print(_ text: Any) { output.lines.append("\(text)") }

    @Test func theExampleOfThePageRuns() throws {
        let store = try Store.open(at: "/db", environment: .simulated(seed: 1))
        // Example begins
        struct Conversation: Document {
            var id = DocumentID.automatic  // assigned when it is inserted
            var title: String
        }

        struct Note: Document {
            enum Role: String, Codable { case user, assistant, tool }

            var id = DocumentID.automatic
            var conversation: DocumentID
            var role: Role
            var time: Timestamp
            var text: String
            var tags: [String] = []

            static let schema = Schema<Note>()
                .index(\.conversation, \.time)
                .index(each: \.tags)
                .check("text is not empty", \.text != "")
                .references(Conversation.self, by: \.conversation, onDelete: .cascade)
        }

        let conversations = try store.documents(Conversation.self)
        let notes = try store.documents(Note.self)

        let id = try store.transaction { transaction in  // all of it or nothing, with other collections too
            let id = try conversations.insert(Conversation(title: "Storage"), in: transaction)
            for (second, word) in ["What", "is", "an", "LSM", "tree?"].enumerated() {
                let time = Timestamp(milliseconds: Int64(second * 1000))
                try notes.insert(
                    Note(conversation: id, role: .user, time: time, text: word, tags: ["draft"]), in: transaction)
            }
            return id
        }

        let last = notes.query()
            .filter(\.conversation == id && \.role == .user)
            .sorted(by: \.time, .descending)
            .limit(3)
        for note in try last.all() {
            print(note.text)  // tree?, LSM, an
        }
        print(try last.explain())  // index conversation, time …

        let first = try notes.query("text starts with 'W' limit 1").first()!
        try notes.update(first.id) { $0.tags = [] }
        print(try notes.query().filter(.contains(\.tags, "draft")).count())  // 4

        try conversations.delete(id)  // and with it its notes
        // Example ends
        #expect(try notes.query().isEmpty())
        #expect(output.lines.prefix(3) == ["tree?", "LSM", "an"])
        #expect(output.lines[3].hasPrefix("index conversation, time\n"))
        #expect(output.lines.last == "4")
    }
}
