// A decision about a component, why it was made, and what took its place.

import ApusStore

struct Decision: Document {
    enum Status: String, Codable, CaseIterable { case proposed, accepted, superseded, rejected }

    var id = DocumentID.automatic
    var component: DocumentID
    var title: String
    var reason: String
    var status = Status.proposed
    /// A decision that another one replaces stays as long as that one refers to it.
    var replaces: DocumentID?
    var time: Timestamp
    var tags: [String] = []

    static let schema = Schema<Decision>()
        .references(Component.self, by: \.component, onDelete: .cascade)
        .references(Decision.self, by: \.replaces, onDelete: .restrict)
        .index(.ascending(\.status), .descending(\.time))
        .index(each: \.tags)
        .check("the status is known", .isOne(\.status, of: Status.allCases))
        .check("there is a reason", \.reason != "")
}
