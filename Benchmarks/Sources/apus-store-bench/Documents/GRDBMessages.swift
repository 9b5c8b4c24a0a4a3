// Conversations and messages in GRDB, with records that are Codable, as its documentation shows them.

#if PEER_SQLITE

import GRDB

private struct ConversationRecord: Codable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "conversations"

    var id: String
    var title: String
    var created: Int64
}

private struct MessageRecord: Codable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "messages"

    enum Columns {
        static let conversation = Column("conversation")
        static let time = Column("time")
        static let hash = Column("hash")
    }

    enum Role: String, Codable { case system, user, assistant, tool }

    var id: String
    var conversation: String
    var role: Role
    var time: Int64
    var hash: String
    var tokens: Int
    var text: String

    init(_ data: MessageData) {
        id = data.id
        conversation = data.conversation
        role = Role(rawValue: data.role)!
        time = data.time
        hash = data.hash
        tokens = data.tokens
        text = data.text
    }
}

final class GRDBMessages: MessageEngine {
    let name = "GRDB"
    private let pool: DatabasePool
    /// Inside a read transaction.
    private var database: Database?

    convenience init(path: String) throws {
        var configuration = Configuration()
        configuration.prepareDatabase { database in
            for pragma in SQLiteSchema.pragmas where !pragma.hasPrefix("journal_mode") {
                try database.execute(sql: "PRAGMA \(pragma)")
            }
        }
        let pool = try DatabasePool(path: "\(path)/data.sqlite", configuration: configuration)
        try pool.write { database in
            for statement in SQLiteSchema.statements { try database.execute(sql: statement) }
        }
        self.init(pool: pool)
    }

    private init(pool: DatabasePool) { self.pool = pool }

    func load(conversations: Int, messages: Int) throws {
        for start in stride(from: 0, to: conversations, by: 1000) {
            try pool.write { database in
                for number in start..<min(start + 1000, conversations) {
                    try Self.record(Messages.conversation(number)).insert(database)
                }
            }
        }
        for start in stride(from: 0, to: messages, by: 1000) {
            try pool.write { database in
                for number in start..<min(start + 1000, messages) {
                    try MessageRecord(Messages.message(number, conversations: conversations)).insert(database)
                }
            }
        }
        try pool.writeWithoutTransaction { database in
            _ = try database.checkpoint(.truncate)
            try database.execute(sql: "ANALYZE")
        }
    }

    private static func record(_ data: ConversationData) -> ConversationRecord {
        ConversationRecord(id: data.id, title: data.title, created: data.created)
    }

    func addConversation(_ conversation: ConversationData) throws {
        try pool.write { try Self.record(conversation).insert($0) }
    }

    func insert(_ messages: ArraySlice<MessageData>) throws {
        try pool.write { database in
            for message in messages { try MessageRecord(message).insert(database) }
        }
    }

    func insert(_ message: MessageData, durable: Bool) throws {
        guard durable else { throw BenchFailure("GRDB is only asked for durable writes") }
        try pool.write { try MessageRecord(message).insert($0) }
    }

    func update(_ key: String, tokens: Int) throws {
        try pool.write { database in
            guard var message = try MessageRecord.fetchOne(database, key: key) else { return }
            message.tokens = tokens
            try message.update(database)
        }
    }

    func deleteConversation(_ key: String) throws {
        _ = try pool.write { try ConversationRecord.deleteOne($0, key: key) }
    }

    private func read<Result>(_ body: (Database) throws -> Result) throws -> Result {
        if let database { return try body(database) }
        return try pool.read(body)
    }

    func readRaw(_ key: String) throws -> Int { try readTyped(key) }
    func readRaw(hash: String) throws -> Int { try readTyped(hash: hash) }

    func readTyped(_ key: String) throws -> Int {
        try read { try MessageRecord.fetchOne($0, key: key)!.text.utf8.count }
    }

    func readTyped(hash: String) throws -> Int {
        try read { database in
            try MessageRecord.filter(MessageRecord.Columns.hash == hash).fetchOne(database)!.text.utf8.count
        }
    }

    func readLastRaw(_ conversation: String) throws -> Int { try readLastTyped(conversation) }

    func readLastTyped(_ conversation: String) throws -> Int {
        try read { database in
            let last =
                try MessageRecord
                .filter(MessageRecord.Columns.conversation == conversation)
                .order(MessageRecord.Columns.time.desc)
                .limit(50)
                .fetchAll(database)
            return last.reduce(0) { $0 + $1.text.utf8.count }
        }
    }

    func inReadTransaction(_ body: () throws -> Void) throws {
        try pool.read { database in
            self.database = database
            defer { self.database = nil }
            try body()
        }
    }

    func makeReader() throws -> any MessageEngine { GRDBMessages(pool: pool) }

    func close() throws { try pool.close() }
}

#endif
