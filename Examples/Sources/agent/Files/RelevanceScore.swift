// How much a file has to do with a topic: computed, and as people say.

import ApusStore

struct RelevanceScore: Document {
    var id = DocumentID.automatic
    var file: DocumentID
    var topic: String
    var score: Double
    var computed: Timestamp

    static let schema = Schema<RelevanceScore>()
        .references(SourceFile.self, by: \.file, onDelete: .cascade)
        .unique(\.file, \.topic)
        .index(.ascending(\.topic), .descending(\.score))
        .check("the score is a fraction", .isBetween(\.score, 0, 1))
}

struct RelevanceFeedback: Document {
    enum Source: String, Codable, CaseIterable { case person, agent }

    var id = DocumentID.automatic
    var file: DocumentID
    var question: String
    var isRelevant: Bool
    var source: Source
    var time: Timestamp

    static let schema = Schema<RelevanceFeedback>()
        .references(SourceFile.self, by: \.file, onDelete: .cascade)
        .unique(\.file, \.question, \.source)
        .index(\.question)
        .check("the source is known", .isOne(\.source, of: Source.allCases))
        .check("there is a question", \.question != "")
}
