// An agent without a model, that shows where one would stand: it looks the question up and quotes what it finds. The
// whole exchange is kept: question, search, answer, and the files it quotes.

import Apus
import ApusStore

struct Assistant<Model: Embedder> {
    let storage: AgentStorage
    let embedder: Model
    let project: String
    /// Conversations longer than this are compacted.
    var contextTokens = 2000

    static var pattern: String { "answer from indexed sources" }

    /// Answers in the project's conversation of the session's user.
    func reply(to text: String, in session: Session) throws -> (conversation: DocumentID, answer: String) {
        let conversation = try storage.conversation("with \(session.user)", of: project)
        let question = try storage.say(Utterance(role: .user, text: text), in: conversation)
        let search = Question(text: text, project: project)
        let answers = try storage.answers(to: search, count: 3, embedder: embedder)
        try storage.noteAnswers(answers, to: search, for: session.id)
        let places = answers.map { "\($0.file.path):\($0.snippet.firstLine)-\($0.snippet.lastLine)" }
        let quotation = answers.first.map { "\(places[0]) has it:\n\n\($0.snippet.text)\n\nSee also:\n" }
        let answer =
            quotation.map { $0 + places.dropFirst().joined(separator: "\n") }
            ?? "Nothing that is indexed has anything to do with it."
        let utterance = Utterance(
            role: .assistant, text: answer, parent: question, model: embedder.name,
            toolCalls: [("search", text, places.joined(separator: "\n"))],
            files: answers.prefix(1).map { ($0.file.path, "text/plain", Array($0.snippet.text.utf8)) })
        try storage.say(utterance, in: conversation)
        if let tokens = try storage.conversations.get(conversation)?.tokens, tokens > contextTokens {
            try storage.compact(conversation, Self.summary)
        }
        return (conversation, answer)
    }

    /// What a model would write: here, what was asked.
    private static func summary(_ before: String?, _ messages: [Message]) -> String {
        let asked = messages.filter { $0.role == .user }.map { "- \($0.text.prefix(80))" }
        return ([before ?? "Asked so far:"] + asked).joined(separator: "\n")
    }

    /// Keeps what the user thinks of the last answer: of the way it was found, and of the files it quotes.
    func rate(_ rating: Int, by user: String) throws -> Bool {
        let conversation = try storage.conversation("with \(user)", of: project)
        guard let question = try storage.history(of: conversation, limit: 2).first, question.role == .user else {
            return false
        }
        let pattern =
            try storage.patterns.get(by: \.name, Self.pattern)?.id
            ?? storage.patterns.insert(
                SuccessPattern(name: Self.pattern, description: "The nearest snippets, by words and vectors."))
        try storage.rate(pattern, rating)
        let quoted = try storage.scores.query().filter(\.topic == question.text).sorted(by: \.score, .descending)
            .limit(1).all()
        try storage.store.transaction { transaction in
            for score in quoted {
                let known = try storage.relevance.query(in: transaction).filter(
                    \.file == score.file && \.question == question.text && \.source == .person
                ).first()
                if let known {
                    try storage.relevance.update(known.id, in: transaction) { $0.isRelevant = rating >= 3 }
                } else {
                    let feedback = RelevanceFeedback(
                        file: score.file, question: question.text, isRelevant: rating >= 3, source: .person,
                        time: storage.now)
                    try storage.relevance.insert(feedback, in: transaction)
                }
            }
        }
        return true
    }
}
