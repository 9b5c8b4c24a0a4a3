// A file that belongs to a message. Its content is a blob: two messages with the same picture share it.

import ApusStore

struct Attachment: Document {
    var id = DocumentID.automatic
    var message: DocumentID
    var name: String
    var mediaType: String
    var content: BlobID
    var byteCount: Int

    static let schema = Schema<Attachment>()
        .references(Message.self, by: \.message, onDelete: .cascade)
        .unique(\.message, \.name)
        .index(\.mediaType)
        .check("the size is not negative", \.byteCount >= 0)
        .check("there is a name", \.name != "")
}
