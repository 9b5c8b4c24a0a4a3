// A file that explains a component.

import ApusStore

struct DocumentationFile: Document {
    enum Kind: String, Codable, CaseIterable { case readme, guide, reference, changelog, other }

    var id = DocumentID.automatic
    var path: String
    var component: DocumentID?
    var title: String
    var kind: Kind
    var updated: Timestamp

    static let schema = Schema<DocumentationFile>()
        .unique(\.path)
        .references(Component.self, by: \.component, onDelete: .setNull)
        .index(\.kind, \.updated)
        .check("the kind is known", .isOne(\.kind, of: Kind.allCases))
}
