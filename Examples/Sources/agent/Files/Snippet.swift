// Some lines of a file: what is embedded and found again.

import ApusStore

struct Snippet: Document {
    enum Kind: String, Codable, CaseIterable { case code, comment, prose }

    var id = DocumentID.automatic
    var file: DocumentID
    /// From 1.
    var firstLine: Int
    var lastLine: Int
    var kind: Kind
    var text: String

    static let schema = Schema<Snippet>()
        .references(SourceFile.self, by: \.file, onDelete: .cascade)
        .unique(\.file, \.firstLine)
        .check("the kind is known", .isOne(\.kind, of: Kind.allCases))
        .check("lines count from 1", \.firstLine >= 1 && \.lastLine >= 1)
        .check("there is text", \.text != "")
}
