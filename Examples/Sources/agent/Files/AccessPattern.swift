// How often a session has looked at a file.

import ApusStore

struct AccessPattern: Document {
    var id = DocumentID.automatic
    var file: DocumentID
    /// Sessions come and go; what they looked at stays.
    var session: String
    var reads = 0
    var writes = 0
    var last: Timestamp

    static let schema = Schema<AccessPattern>()
        .references(SourceFile.self, by: \.file, onDelete: .cascade)
        .unique(\.file, \.session)
        .index(.ascending(\.session), .descending(\.last))
        .check("counts are not negative", \.reads >= 0 && \.writes >= 0)
}

extension AgentStorage {
    /// Counts that a session has read a file.
    func noteRead(of file: DocumentID, by session: SessionID, in transaction: StoreTransaction) throws {
        let existing = try accesses.query(in: transaction)
            .filter(\.file == file && \.session == "\(session)").first()
        guard let existing else {
            let access = AccessPattern(file: file, session: "\(session)", reads: 1, last: now)
            try accesses.insert(access, in: transaction)
            return
        }
        try accesses.update(existing.id, in: transaction) {
            $0.reads += 1
            $0.last = now
        }
    }
}
