// A tool that a message asked for, and what came of it.

import ApusStore

struct ToolCall: Document {
    enum Status: String, Codable, CaseIterable { case pending, running, succeeded, failed }

    var id = DocumentID.automatic
    var message: DocumentID
    /// Of the calls of one message: from 0.
    var position: Int
    var tool: String
    /// As the model wrote them.
    var arguments: String
    var result: String?
    var status = Status.pending
    var started: Timestamp
    var milliseconds: Int?

    static let schema = Schema<ToolCall>()
        .references(Message.self, by: \.message, onDelete: .cascade)
        .unique(\.message, \.position)
        .index(\.tool, \.status, \.started)
        .check("the status is known", .isOne(\.status, of: Status.allCases))
        .check("the position is not negative", \.position >= 0)
        .check("the duration is not negative", \.milliseconds == nil || \.milliseconds >= 0)
}
