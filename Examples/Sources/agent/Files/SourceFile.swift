// A file of a project, as it was when it was indexed last. Its content is a blob.

import ApusStore

struct SourceFile: Document {
    var id = DocumentID.automatic
    /// Relative to the root of its project.
    var path: String
    var project: String
    var language: String
    var content: BlobID
    var byteCount: Int
    var lineCount: Int
    /// As the file system says.
    var modified: Timestamp
    var indexed: Timestamp

    static let schema = Schema<SourceFile>()
        .unique(\.project, \.path)
        .index(\.project, \.language)
        .index(.descending(\.modified))
        .check("there is a path", \.path != "")
        .check("sizes are not negative", \.byteCount >= 0 && \.lineCount >= 0)
}
