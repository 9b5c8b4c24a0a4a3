// A summary that stands for the beginning of a conversation, so that the rest fits into a model's context.

import ApusStore

struct Compaction: Document {
    var id = DocumentID.automatic
    var conversation: DocumentID
    /// The last message that the summary stands for.
    var lastSequence: Int
    var summary: String
    var tokensBefore: Int
    var tokensAfter: Int
    var time: Timestamp

    static let schema = Schema<Compaction>()
        .references(Conversation.self, by: \.conversation, onDelete: .cascade)
        .unique(\.conversation, \.lastSequence)
        .index(.ascending(\.conversation), .descending(\.time))
        .check("the sequence is not negative", \.lastSequence >= 0)
        .check("tokens are not negative", \.tokensBefore >= 0 && \.tokensAfter >= 0)
}
