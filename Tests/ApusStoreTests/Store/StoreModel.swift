// What a store of letters ought to hold: each with its vector, perhaps an attachment, and a session that it was sent in.

import Apus

@testable import ApusStore

struct MailThread: Document, Equatable {
    var id = DocumentID.automatic
    var title: String

    static let schema = Schema<MailThread>().unique(\.title)
}

struct Letter: Document, Equatable {
    var id = DocumentID.automatic
    var thread: DocumentID
    var number: Int
    var text: String
    /// The address of the blob that is attached.
    var attachment: String?

    static let schema = Schema<Letter>()
        .index(\.thread, \.number)
        .index(\.attachment)
        .unique(\.number)
        .references(MailThread.self, by: \.thread, onDelete: .cascade)
}

/// All collections at one moment.
struct StoreModel: Equatable {
    struct SessionState: Equatable {
        var user: String
        var data: [UInt8]
        var lastActive: UInt64
    }

    var threads: [DocumentID: MailThread] = [:]
    var letters: [DocumentID: Letter] = [:]
    var sessions: [SessionID: SessionState] = [:]

    /// How many letters each blob is attached to.
    var references: [String: Int] {
        letters.values.reduce(into: [:]) { counts, letter in
            if let attachment = letter.attachment { counts[attachment, default: 0] += 1 }
        }
    }

    /// The vector of a letter follows from its number, so that a vector of another letter, or of its past, is noticed.
    static func vector(of letter: Letter) -> [Float] {
        var random = HistoryRandom(UInt64(letter.number) &* 31 &+ UInt64(letter.text.utf8.count))
        return (0..<8).map { _ in Float(random.below(2001) - 1000) / 1000 }
    }

    static func metadata(of letter: Letter) -> VectorMetadata {
        ["thread": .string("\(letter.thread)"), "number": .integer(Int64(letter.number)), "text": .string(letter.text)]
    }
}

/// Every collection of a store.
struct StoreCollections {
    let threads: Documents<MailThread>
    let letters: Documents<Letter>
    let vectors: VectorCollection
    let blobs: BlobCollection
    let sessions: SessionCollection

    static let grace: UInt64 = 20_000

    init(_ store: Store) throws {
        threads = try store.documents(MailThread.self)
        letters = try store.documents(Letter.self)
        vectors = try store.vectors("letters", dimension: 8, metric: .l2)
        blobs = try store.blobs(
            "attachments", gracePeriod: .milliseconds(Int64(Self.grace)),
            chunker: ContentChunker(minimum: 64, normalBits: 8, maximum: 1024))
        sessions = try store.sessions("web", expiry: SessionExpiry(idle: .seconds(1 << 30)), resolution: .zero)
    }

    /// What the collections hold.
    func contents(in snapshot: StoreSnapshot) throws -> StoreModel {
        var model = StoreModel()
        for thread in try threads.query(in: snapshot).all() { model.threads[thread.id] = thread }
        for letter in try letters.query(in: snapshot).all() { model.letters[letter.id] = letter }
        for session in try sessions.recent(limit: .max, in: snapshot) {
            model.sessions[session.id] = StoreModel.SessionState(
                user: session.user, data: session.data, lastActive: session.lastActive)
        }
        return model
    }

    /// Throws unless every relation between the collections holds.
    func check(_ model: StoreModel, in snapshot: StoreSnapshot) throws {
        var keys: Set<[UInt8]> = []
        for letter in model.letters.values {
            let key = "\(letter.id)"
            keys.insert(Array(key.utf8))
            guard let stored = try vectors.get(key, in: snapshot) else {
                throw HistoryFailure("\(letter) has no vector")
            }
            guard stored.vector == StoreModel.vector(of: letter), stored.metadata == StoreModel.metadata(of: letter)
            else { throw HistoryFailure("\(letter) has another vector: \(stored)") }
        }
        try vectors.scanKeys(in: snapshot) { key in
            guard keys.contains(key) else { throw HistoryFailure("a vector has no letter: \(key)") }
            return .next
        }
        let references = model.references
        for (attachment, count) in references {
            let id = BlobID(hexadecimal: attachment)!
            guard let content = try blobs.get(id, in: snapshot), BlobID(of: content) == id else {
                throw HistoryFailure("attachment \(attachment) is missing or damaged")
            }
            let status = try blobs.stat(id, in: snapshot)
            guard status?.references == Int64(count) else {
                throw HistoryFailure("\(attachment) has \(String(describing: status)), not \(count) references")
            }
        }
        let referenced = try blobs.statistics(in: snapshot).referencedBytes
        let expected = try references.reduce(0) { sum, reference in
            try sum + Int(blobs.stat(BlobID(hexadecimal: reference.key)!, in: snapshot)!.byteCount) * reference.value
        }
        guard referenced == expected else {
            throw HistoryFailure("\(referenced) bytes are referenced, not \(expected)")
        }
        for thread in model.threads.values {
            let own = model.letters.values.filter { $0.thread == thread.id }.sorted { $0.number < $1.number }
            let found = try letters.query(in: snapshot).filter(\.thread == thread.id).sorted(by: \.number).all()
            guard found == own else { throw HistoryFailure("the index says \(found), not \(own)") }
            let near = try vectors.search(
                [Float](repeating: 0.5, count: 8), count: 1000, filter: .equal("thread", .string("\(thread.id)")),
                effort: .exact, in: snapshot)
            guard Set(near.map(\.key)) == Set(own.map { Array("\($0.id)".utf8) }) else {
                throw HistoryFailure("a search finds \(near.map(\.name)), not \(own)")
            }
        }
    }
}
