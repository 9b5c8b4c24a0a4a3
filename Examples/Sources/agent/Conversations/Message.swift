// What somebody said in a conversation.

import ApusStore

struct Message: Document {
    enum Role: String, Codable, CaseIterable { case system, user, assistant, tool }

    var id = DocumentID.automatic
    var conversation: DocumentID
    /// From 0, without gaps as long as nothing is deleted.
    var sequence: Int
    /// The message that this one answers.
    var parent: DocumentID?
    var role: Role
    var time: Timestamp
    var text: String
    var tokens: Int
    /// Who said it, if it was a model.
    var model: String?

    static let schema = Schema<Message>()
        .references(Conversation.self, by: \.conversation, onDelete: .cascade)
        .references(Message.self, by: \.parent, onDelete: .setNull)
        .unique(\.conversation, \.sequence)
        .index(\.conversation, \.time, \.sequence)
        .index(\.model, \.time, where: \.role == .assistant)
        .check("the role is known", .isOne(\.role, of: Role.allCases))
        .check("the sequence is not negative", \.sequence >= 0)
        .check("tokens are not negative", \.tokens >= 0)
}
