// What happened to a file.

import ApusStore

struct FileChange: Document {
    enum Kind: String, Codable, CaseIterable { case created, modified, renamed }

    var id = DocumentID.automatic
    var file: DocumentID
    var kind: Kind
    var time: Timestamp
    var linesAdded: Int
    var linesRemoved: Int

    static let schema = Schema<FileChange>()
        .references(SourceFile.self, by: \.file, onDelete: .cascade)
        .index(.ascending(\.file), .descending(\.time))
        .index(\.time)
        .check("the kind is known", .isOne(\.kind, of: Kind.allCases))
        .check("counts are not negative", \.linesAdded >= 0 && \.linesRemoved >= 0)
}
