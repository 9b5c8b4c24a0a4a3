// A part of the project: what it is called, where it lies, what it belongs to.

import ApusStore

struct Component: Document {
    enum Kind: String, Codable, CaseIterable { case package, target, folder, service, test }

    var id = DocumentID.automatic
    var path: String
    var name: String
    var kind: Kind
    /// The component that this one is part of.
    var parent: DocumentID?
    var purpose: String?
    /// How much of the project depends on it: 0 to 1.
    var importance = 0.5

    static let schema = Schema<Component>()
        .unique(\.path)
        .references(Component.self, by: \.parent, onDelete: .setNull)
        .index(.ascending(\.kind), .descending(\.importance))
        .check("the kind is known", .isOne(\.kind, of: Kind.allCases))
        .check("importance is a fraction", .isBetween(\.importance, 0, 1))
        .check("there is a name", \.name != "")
}
