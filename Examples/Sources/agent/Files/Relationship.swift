// That one file has to do with another.

import ApusStore

struct Relationship: Document {
    enum Kind: String, Codable, CaseIterable { case includes, tests, documents, extends, calls }

    var id = DocumentID.automatic
    var source: DocumentID
    var target: DocumentID
    var kind: Kind
    /// 0 to 1.
    var strength = 1.0

    static let schema = Schema<Relationship>()
        .references(SourceFile.self, by: \.source, onDelete: .cascade)
        .references(SourceFile.self, by: \.target, onDelete: .cascade)
        .unique(\.source, \.target, \.kind)
        .index(\.target, \.kind)
        .check("the kind is known", .isOne(\.kind, of: Kind.allCases))
        .check("strength is a fraction", .isBetween(\.strength, 0, 1))
}
