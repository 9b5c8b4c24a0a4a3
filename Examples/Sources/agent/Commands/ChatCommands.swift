// agent chat, rate, history: talking about an indexed project, and what is left of it.

import ApusStore
import ArgumentParser

struct Chat: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Says something to the agent, which answers from what is indexed and keeps all of it.")

    @Argument(help: "What to say.")
    var text: String
    @OptionGroup var options: StoreOption

    func run() throws {
        try options.withStorage { storage in
            let assistant = try Assistant(
                storage: storage, embedder: HashingEmbedder(), project: storage.currentProject(of: options.user))
            print(try assistant.reply(to: text, in: storage.session(of: options.user)).answer)
        }
    }
}

struct Rate: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Says how good the last answer was: 1 to 5.")

    @Argument(help: "1 to 5.")
    var rating: Int
    @OptionGroup var options: StoreOption

    func run() throws {
        try options.withStorage { storage in
            let assistant = try Assistant(
                storage: storage, embedder: HashingEmbedder(), project: storage.currentProject(of: options.user))
            guard try assistant.rate(rating, by: options.user) else {
                throw ValidationError("Nothing has been answered yet.")
            }
        }
    }
}

struct History: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Prints the last messages, and what was compacted.")

    @OptionGroup var options: StoreOption
    @Option(help: "At most this many messages.")
    var limit = 50

    func run() throws {
        try options.withStorage { storage in
            let project = try storage.currentProject(of: options.user)
            let conversation = try storage.conversation("with \(options.user)", of: project)
            if let summary = try storage.context(of: conversation).summary { print("(\(summary))\n") }
            for message in try storage.history(of: conversation, limit: limit) {
                print("\(message.time)  \(message.role.rawValue): \(message.text)\n")
            }
        }
    }
}

extension AgentStorage {
    /// The project that was indexed last.
    func currentProject(of user: String) throws -> String {
        guard let project = try preference("project", of: user) else {
            throw ValidationError("Nothing is indexed yet: agent index FOLDER.")
        }
        return project
    }
}
