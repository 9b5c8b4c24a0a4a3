// What the agent does with its storage: indexing a tree and indexing it again, questions, conversations.

import Apus
import ApusSimulation
import ApusStore
import Foundation
import Testing

@testable import agent

@Suite struct AgentTests {
    /// A small project in a folder that goes with it.
    private final class Project {
        let root = FileManager.default.temporaryDirectory.appendingPathComponent("agent-\(UUID())")

        init() throws {
            try write("README.md", "# Lamps\n\nLamps are lit at dusk. The keeper climbs the tower.\n")
            try write("Sources/Lamp.swift", "/// A lamp that burns oil.\nstruct Lamp { var oilLevel = 3 }\n")
            try write("Tests/LampTests.swift", "// Whether lamps burn.\nfunc lampBurns() {}\n")
            try write("include/sea.h", "#include \"wave.h\"\nint sea_depth(void);\n")
            try write("include/wave.h", "/* The height of waves above the sea. */\nint wave_height(void);\n")
            try write("include/data.bin", "not source")
        }

        deinit { try? FileManager.default.removeItem(at: root) }

        func write(_ path: String, _ text: String) throws {
            let url = root.appendingPathComponent(path)
            let folder = url.deletingLastPathComponent()
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try Data(text.utf8).write(to: url)
        }

        func remove(_ path: String) throws { try FileManager.default.removeItem(at: root.appendingPathComponent(path)) }
    }

    private let embedder = HashingEmbedder(dimension: 128)

    private func storage() throws -> AgentStorage {
        try AgentStorage(
            Store.open(at: "/a", options: Options(memoryBudget: 4 << 20), environment: Simulation(seed: 5).environment))
    }

    @Test func onlyWhatHasChangedIsIndexedAgain() throws {
        let (storage, project) = (try storage(), try Project())
        let indexer = try Indexer(storage, project: "sea", embedder: embedder)
        let tree = SourceTree(root: project.root)
        let first = try indexer.index(tree)
        #expect(first.added == 5 && first.snippets == 5, "\(first)")
        var read: [String] = []
        #expect(try indexer.index(tree) { read.append($0) } == IndexReport(unchanged: 5))
        #expect(read.isEmpty)

        let before = try #require(try storage.files.query().filter(\.path == "Sources/Lamp.swift").first())
        // A folder that is not there has not lost its files.
        let absent = SourceTree(root: project.root.appendingPathComponent("absent"))
        #expect(throws: CocoaError.self) { try indexer.index(absent) }
        #expect(try storage.files.query().count() == 5)
        try project.write("Sources/Lamp.swift", "/// A lamp that burns gas, and a very bright one.\nstruct Lamp {}\n")
        try project.remove("include/wave.h")
        let second = try indexer.index(tree) { read.append($0) }
        #expect(second == IndexReport(changed: 1, unchanged: 3, removed: 1, snippets: 1), "\(second)")
        #expect(read == ["Sources/Lamp.swift"])
        let after = try #require(try storage.files.query().filter(\.path == "Sources/Lamp.swift").first())
        #expect(after.id == before.id && after.content != before.content)
        #expect(try storage.changes.query().filter(\.file == after.id).sorted(by: \.time).all().map(\.kind).count == 2)
        // Of what is gone nothing is left: no snippet, no vector, no reference to its content.
        #expect(try storage.snippets.query().count() == 4 && indexer.vectors.count(in: storage.store) == 4)
        #expect(try storage.embeddings.query().count() == 4)
        #expect(try storage.blobs.stat(before.content)?.references == 0)
        #expect(try storage.store.verify().isSound)
    }

    @Test func questionsFindTheirPlaces() throws {
        let (storage, project) = (try storage(), try Project())
        let indexer = try Indexer(storage, project: "sea", embedder: embedder)
        _ = try indexer.index(SourceTree(root: project.root))
        func paths(_ question: Question) throws -> [String] {
            try storage.answers(to: question, count: 2, embedder: embedder).map(\.file.path)
        }
        #expect(try paths(Question(text: "how high are the waves")).first == "include/wave.h")
        #expect(try paths(Question(text: "who climbs the tower")).first == "README.md")
        let swift = try paths(Question(text: "does the lamp burn", language: "swift"))
        #expect(swift.count == 2 && swift.allSatisfy { $0.hasSuffix(".swift") })
        #expect(try paths(Question(text: "lamp", project: "land")).isEmpty)
        #expect(try indexer.relate() == 2)
        let relations = try storage.relationships.query().sorted(by: \.kind).all().map(\.kind)
        #expect(relations == [.includes, .tests])
        try storage.describe("sea")
        try storage.describe("sea")
        let components = try storage.components.query().sorted(by: \.path).all().map(\.path)
        #expect(components == ["sea", "sea/Sources", "sea/Tests", "sea/include"])
        #expect(try storage.documentation.query().first()?.kind == .readme)
    }

    @Test func conversationsKeepWhatWasSaidAndAreCompacted() throws {
        let (storage, project) = (try storage(), try Project())
        _ = try Indexer(storage, project: "sea", embedder: embedder).index(SourceTree(root: project.root))
        let assistant = Assistant(storage: storage, embedder: embedder, project: "sea", contextTokens: 200)
        let session = try storage.session(of: "ada")
        #expect(try storage.session(of: "ada").id == session.id)
        var conversation = DocumentID.automatic
        for index in 0..<8 {
            conversation = try assistant.reply(to: "how deep is the sea, \(index)?", in: session).conversation
        }
        let messages = try storage.history(of: conversation)
        #expect(messages.map(\.sequence) == Array(0..<16) && messages.last?.role == .assistant)
        let context = try storage.context(of: conversation)
        #expect(context.summary?.contains("how deep is the sea, 0?") == true && context.messages.count < 16)
        let last = storage.messages.query().filter(\.conversation == conversation).sorted(by: \.time, .descending)
            .sorted(by: \.sequence, .descending).limit(5)
        let explanation = try last.explain()
        #expect(explanation.index == "conversation, time, sequence" && explanation.scanned == 5 && !explanation.sorts)

        #expect(try assistant.rate(5, by: "ada"))
        #expect(try storage.patterns.get(by: \.name, "answer from indexed sources")?.successes == 1)
        #expect(try storage.relevance.query().first()?.isRelevant == true)
        // Eight messages quote the whole of a small file: one content, which the file has too.
        let attachment = try #require(try storage.attachments.query().first())
        #expect(try storage.blobs.stat(attachment.content)?.references == 9)
        #expect(try storage.deleteConversation(conversation))
        #expect(try storage.messages.query().isEmpty() && storage.toolCalls.query().isEmpty())
        #expect(try storage.attachments.query().isEmpty() && storage.compactions.query().isEmpty())
        #expect(try storage.blobs.stat(attachment.content)?.references == 1)
        #expect(try storage.store.verify().isSound)
    }

    @Test func chunksCoverTheirFile() {
        let text = (1...100).map { $0 % 15 == 0 ? "" : "line \($0)" }.joined(separator: "\n")
        let chunks = Chunker().chunks(of: text, language: "swift")
        #expect(chunks.first?.firstLine == 1 && chunks.last?.lastLine == 100 && chunks.count > 3)
        for (before, after) in zip(chunks, chunks.dropFirst()) { #expect(after.firstLine == before.lastLine + 1) }
        #expect(chunks.map(\.text).joined(separator: "\n") == text)
        #expect(Chunker().chunks(of: "\n\n \n", language: "c").isEmpty)
    }

    @Test func vectorsOfTextsAreTheSameEverywhere() {
        let vectors = embedder.embed(["maxOpenFiles", "max_open_files", "the deep sea", ""])
        #expect(vectors[0] == vectors[1] && vectors[0] != vectors[2])
        #expect(vectors.allSatisfy { abs($0.reduce(0) { $0 + $1 * $1 } - 1) < 1e-4 })
        // Pinned: stored vectors have to stay comparable.
        #expect(vectors[2].indices.filter { vectors[2][$0] != 0 } == [19, 39, 82])
    }
}
