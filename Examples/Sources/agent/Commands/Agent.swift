// The command: indexes source trees, answers questions over them, and keeps conversations about them.

import Apus
import ApusStore
import ArgumentParser
import Foundation

@main
struct Agent: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent",
        abstract: "The storage of an AI coding agent in one store.",
        discussion: """
            Example: agent index Sources --store my.apus
                     agent ask "how is a torn log recognised" --store my.apus
            """,
        subcommands: [
            Index.self, Ask.self, Chat.self, Rate.self, History.self, Decide.self, Stats.self,
        ]
    )
}

struct StoreOption: ParsableArguments {
    @Option(help: "The directory of the store.", completion: .directory)
    var store = "agent.apus"
    @Option(help: "Who is asking.")
    var user = "me"

    /// Runs `body` with the store, and closes it.
    ///
    /// - Parameter creating: whether a store begins here if there is none.
    func withStorage(creating: Bool = false, _ body: (AgentStorage) throws -> Void) throws {
        do {
            let storage = try AgentStorage(at: store, creating: creating)
            try body(storage)
            try storage.store.close()
        } catch let error as ApusError {
            throw ValidationError(error.description)
        } catch let error as StoreError {
            throw ValidationError(error.description)
        } catch let error as CocoaError {
            throw ValidationError("\(error.filePath ?? "A file") cannot be read.")
        }
    }
}

struct Index: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Brings the store up to date with a source tree. Files that have not changed are not read.")

    @Argument(help: "A folder with source files.", completion: .directory)
    var folder: String
    @OptionGroup var options: StoreOption
    @Option(help: "What the project is called; the folder's name by default.")
    var project: String?

    func run() throws {
        let root = URL(fileURLWithPath: folder).standardizedFileURL
        try options.withStorage(creating: true) { storage in
            let indexer = try Indexer(
                storage, project: project ?? root.lastPathComponent, embedder: HashingEmbedder())
            let start = ContinuousClock.now
            let report = try indexer.index(SourceTree(root: root))
            let relationships = try indexer.relate()
            try storage.describe(indexer.project)
            try storage.setPreference("project", to: indexer.project, of: options.user)
            print(
                "\(report.added) files added, \(report.changed) changed, \(report.unchanged) unchanged, "
                    + "\(report.removed) removed; \(report.snippets) snippets, \(relationships) relationships; "
                    + "\(ContinuousClock.now - start)")
        }
    }
}

struct Ask: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Finds the places that answer a question.")

    @Argument(help: "The question.")
    var question: String
    @OptionGroup var options: StoreOption
    @Option(help: "Only in this project.")
    var project: String?
    @Option(help: "Only in files of this language.")
    var language: String?
    @Option(help: "Only code, comments or prose.")
    var kind: Snippet.Kind?
    @Option(name: .shortAndLong, help: "How many places.")
    var count = 3

    func validate() throws {
        if count < 1 { throw ValidationError("--count must be at least 1.") }
    }

    func run() throws {
        try options.withStorage { storage in
            let question = Question(text: question, project: project, language: language, kind: kind)
            let answers = try storage.answers(to: question, count: count, embedder: HashingEmbedder())
            try storage.noteAnswers(answers, to: question, for: storage.session(of: options.user).id)
            for answer in answers {
                let snippet = answer.snippet
                let place = "\(answer.file.path):\(snippet.firstLine)-\(snippet.lastLine)"
                print("\(place)  \(String(format: "%.2f", answer.score))\n\(snippet.text)\n")
            }
        }
    }
}

extension Snippet.Kind: ExpressibleByArgument {}
