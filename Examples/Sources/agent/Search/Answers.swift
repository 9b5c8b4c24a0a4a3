// Answering questions over what was indexed: the nearest snippets by their vectors, ordered anew by the words that they
// share with the question and by what people thought of their files.

import Apus
import ApusStore

struct Answer {
    var file: SourceFile
    var snippet: Snippet
    /// 0 to about 2: greater is better.
    var score: Double
}

/// What a question is about.
struct Question {
    var text: String
    var project: String?
    var language: String?
    var kind: Snippet.Kind?

    /// Asked of the vectors while they are searched.
    var filter: VectorFilter? {
        let filters: [VectorFilter?] = [
            project.map { .equal("project", .string($0)) }, language.map { .equal("language", .string($0)) },
            kind.map { .equal("kind", .string($0.rawValue)) },
        ]
        let given = filters.compactMap { $0 }
        return given.isEmpty ? nil : .all(given)
    }
}

extension AgentStorage {
    /// The best answers, best first, as of one moment.
    func answers(to question: Question, count: Int = 5, embedder: some Embedder) throws -> [Answer] {
        guard let query = try embedder.embed([question.text]).first else { return [] }
        let vectors = try vectors(for: embedder)
        let words = Set(Words.of(question.text)).subtracting(Words.common)
        let snapshot = try store.snapshot()
        defer { snapshot.release() }
        let near = try vectors.search(query, count: max(100, 8 * count), filter: question.filter, in: snapshot)
        var answers: [Answer] = []
        for match in near {
            guard let id = DocumentID(match.name), let snippet = try snippets.get(id, in: snapshot),
                let file = try files.get(snippet.file, in: snapshot)
            else { continue }
            let found = words.intersection(Words.of(snippet.text + " " + file.path))
            let shared = words.isEmpty ? 0 : Double(found.count) / Double(words.count)
            let opinion = try opinion(of: file.id, question.text, in: snapshot)
            answers.append(
                Answer(file: file, snippet: snippet, score: Double(1 - match.distance) + shared + opinion))
        }
        return Array(answers.sorted { $0.score > $1.score }.prefix(count))
    }

    /// What was said of the file when the same was asked before.
    private func opinion(of file: DocumentID, _ question: String, in snapshot: StoreSnapshot) throws -> Double {
        try relevance.query(in: snapshot).filter(\.file == file && \.question == question).all()
            .reduce(0) { $0 + ($1.isRelevant ? 0.5 : -0.5) }
    }

    /// Keeps what a session was told, and that it has looked at the files.
    func noteAnswers(_ answers: [Answer], to question: Question, for session: SessionID) throws {
        try store.transaction { transaction in
            for file in Set(answers.map(\.file.id)) { try noteRead(of: file, by: session, in: transaction) }
            for answer in answers {
                let score = RelevanceScore(
                    file: answer.file.id, topic: question.text, score: min(1, max(0, answer.score / 2)), computed: now)
                let known = try scores.query(in: transaction)
                    .filter(\.file == answer.file.id && \.topic == question.text).first()
                if known == nil { try scores.insert(score, in: transaction) }
            }
            let text = answers.map { "\($0.file.path):\($0.snippet.firstLine)" }.joined(separator: "\n")
            try sessions.cache(
                Array(text.utf8), as: "answers/\(question.text.prefix(1000))", for: session,
                lifetime: AgentSession.cacheLifetime, in: transaction)
        }
    }
}
