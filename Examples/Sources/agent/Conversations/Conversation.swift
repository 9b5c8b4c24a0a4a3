// A conversation with a person about a project.

import ApusStore

struct Conversation: Document {
    enum Status: String, Codable, CaseIterable { case active, archived }

    var id = DocumentID.automatic
    var project: String
    var title: String
    var status = Status.active
    var created: Timestamp
    var updated: Timestamp
    /// Of all messages that no compaction stands for.
    var tokens = 0

    static let schema = Schema<Conversation>()
        .unique(\.project, \.title)
        .index(.ascending(\.project), .descending(\.updated))
        .index(\.updated, where: \.status == .active)
        .check("the status is known", .isOne(\.status, of: Status.allCases))
        .check("tokens are not negative", \.tokens >= 0)
}
