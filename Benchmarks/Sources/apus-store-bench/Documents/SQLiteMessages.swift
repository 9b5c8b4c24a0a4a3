// Conversations and messages in SQLite through its C interface: prepared statements, values bound and read where they
// lie.

#if PEER_SQLITE

import CSQLite

enum SQLiteSchema {
    static let statements = [
        "CREATE TABLE conversations (id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL, created INTEGER NOT NULL)",
        """
        CREATE TABLE messages (
            id TEXT PRIMARY KEY NOT NULL,
            conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
            role TEXT NOT NULL CHECK (role IN ('system', 'user', 'assistant', 'tool')),
            time INTEGER NOT NULL,
            hash TEXT NOT NULL UNIQUE,
            tokens INTEGER NOT NULL CHECK (tokens >= 0),
            text TEXT NOT NULL CHECK (text != ''))
        """,
        "CREATE INDEX messages_by_conversation ON messages (conversation, time)",
        "CREATE INDEX messages_by_role ON messages (role)",
    ]
    static let pragmas = [
        "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "cache_size = -262144", "temp_store = MEMORY",
    ]
}

final class SQLiteMessages: MessageEngine {
    let name = "SQLite"
    private let path: String
    private let handle: OpaquePointer
    private var statements: [String: OpaquePointer] = [:]
    private let insertion: OpaquePointer
    private let updating: OpaquePointer
    private let deletion: OpaquePointer
    private let byKey: OpaquePointer
    private let byHash: OpaquePointer
    private let last: OpaquePointer

    convenience init(path: String) throws { try self.init(path: path, creating: true) }

    private init(path: String, creating: Bool) throws {
        self.path = path
        var handle: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX
        guard sqlite3_open_v2("\(path)/data.sqlite", &handle, flags, nil) == SQLITE_OK, let handle else {
            throw BenchFailure("sqlite: cannot open \(path)")
        }
        self.handle = handle
        sqlite3_busy_timeout(handle, 60_000)
        for pragma in SQLiteSchema.pragmas { try Self.execute("PRAGMA \(pragma)", handle) }
        if creating { for statement in SQLiteSchema.statements { try Self.execute(statement, handle) } }
        insertion = try Self.prepare("INSERT INTO messages VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", handle)
        updating = try Self.prepare("UPDATE messages SET tokens = ?2 WHERE id = ?1", handle)
        deletion = try Self.prepare("DELETE FROM conversations WHERE id = ?1", handle)
        byKey = try Self.prepare("SELECT * FROM messages WHERE id = ?1", handle)
        byHash = try Self.prepare("SELECT * FROM messages WHERE hash = ?1", handle)
        last = try Self.prepare(
            "SELECT * FROM messages WHERE conversation = ?1 ORDER BY time DESC LIMIT 50", handle)
        for text in ["BEGIN", "BEGIN IMMEDIATE", "COMMIT", "INSERT INTO conversations VALUES (?1, ?2, ?3)"] {
            statements[text] = try Self.prepare(text, handle)
        }
    }

    private static func execute(_ text: String, _ handle: OpaquePointer) throws {
        guard sqlite3_exec(handle, text, nil, nil, nil) == SQLITE_OK else { throw failure(handle) }
    }

    private static func prepare(_ text: String, _ handle: OpaquePointer) throws -> OpaquePointer {
        var statement: OpaquePointer?
        let code = sqlite3_prepare_v3(handle, text, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
        guard code == SQLITE_OK, let statement else { throw failure(handle) }
        return statement
    }

    private static func failure(_ handle: OpaquePointer) -> BenchFailure {
        BenchFailure("sqlite: \(String(cString: sqlite3_errmsg(handle)))")
    }

    // MARK: Statements

    /// Binds the texts, from the first parameter on, without copies, and calls `body`, which has to run the statement.
    private func bind(_ statement: OpaquePointer, _ text: String, _ position: CInt) {
        var text = text
        // Copied by SQLite: the bytes of a Swift string have no address that lasts.
        _ = text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { bytes in
                sqlite3_bind_text(
                    statement, position, bytes.baseAddress, CInt(bytes.count),
                    unsafeBitCast(-1, to: sqlite3_destructor_type.self))
            }
        }
    }

    private func run(_ statement: OpaquePointer) throws {
        let code = sqlite3_step(statement)
        let reset = sqlite3_reset(statement)
        guard code == SQLITE_DONE, reset == SQLITE_OK else { throw Self.failure(handle) }
    }

    private func inTransaction(_ body: () throws -> Void) throws {
        try run(statements["BEGIN IMMEDIATE"]!)
        try body()
        try run(statements["COMMIT"]!)
    }

    // MARK: Writing

    func load(conversations: Int, messages: Int) throws {
        for start in stride(from: 0, to: conversations, by: 1000) {
            try inTransaction {
                for number in start..<min(start + 1000, conversations) {
                    try addConversation(Messages.conversation(number))
                }
            }
        }
        for start in stride(from: 0, to: messages, by: 1000) {
            try inTransaction {
                for number in start..<min(start + 1000, messages) {
                    try insertRow(Messages.message(number, conversations: conversations))
                }
            }
        }
        try Self.execute("PRAGMA wal_checkpoint(TRUNCATE)", handle)
        try Self.execute("ANALYZE", handle)
    }

    func addConversation(_ data: ConversationData) throws {
        let statement = statements["INSERT INTO conversations VALUES (?1, ?2, ?3)"]!
        bind(statement, data.id, 1)
        bind(statement, data.title, 2)
        sqlite3_bind_int64(statement, 3, data.created)
        try run(statement)
    }

    private func insertRow(_ data: MessageData) throws {
        bind(insertion, data.id, 1)
        bind(insertion, data.conversation, 2)
        bind(insertion, data.role, 3)
        sqlite3_bind_int64(insertion, 4, data.time)
        bind(insertion, data.hash, 5)
        sqlite3_bind_int64(insertion, 6, Int64(data.tokens))
        bind(insertion, data.text, 7)
        try run(insertion)
    }

    func insert(_ messages: ArraySlice<MessageData>) throws {
        try inTransaction { for message in messages { try insertRow(message) } }
    }

    func insert(_ message: MessageData, durable: Bool) throws {
        try setDurable(durable)
        try insertRow(message)
        try setDurable(true)
    }

    private var isDurable = true

    private func setDurable(_ durable: Bool) throws {
        guard durable != isDurable else { return }
        try Self.execute("PRAGMA synchronous = \(durable ? "FULL" : "NORMAL")", handle)
        isDurable = durable
    }

    func update(_ key: String, tokens: Int) throws {
        bind(updating, key, 1)
        sqlite3_bind_int64(updating, 2, Int64(tokens))
        try run(updating)
    }

    func deleteConversation(_ key: String) throws {
        bind(deletion, key, 1)
        try run(deletion)
    }

    // MARK: Reading

    /// Every column, and how long the text is.
    private func readRow(_ statement: OpaquePointer) -> Int {
        for column in [0, 1, 2, 4] as [CInt] {
            keep(sqlite3_column_text(statement, column))
            keep(sqlite3_column_bytes(statement, column))
        }
        keep(sqlite3_column_int64(statement, 3))
        keep(sqlite3_column_int64(statement, 5))
        keep(sqlite3_column_text(statement, 6))
        return Int(sqlite3_column_bytes(statement, 6))
    }

    private func readOne(_ statement: OpaquePointer, _ text: String) throws -> Int {
        bind(statement, text, 1)
        defer { sqlite3_reset(statement) }
        guard sqlite3_step(statement) == SQLITE_ROW else { throw Self.failure(handle) }
        return readRow(statement)
    }

    func readRaw(_ key: String) throws -> Int { try readOne(byKey, key) }
    func readRaw(hash: String) throws -> Int { try readOne(byHash, hash) }
    func readTyped(_ key: String) throws -> Int { try readOne(byKey, key) }
    func readTyped(hash: String) throws -> Int { try readOne(byHash, hash) }

    func readLastRaw(_ conversation: String) throws -> Int {
        bind(last, conversation, 1)
        defer { sqlite3_reset(last) }
        var total = 0
        while sqlite3_step(last) == SQLITE_ROW { total += readRow(last) }
        return total
    }

    func readLastTyped(_ conversation: String) throws -> Int { try readLastRaw(conversation) }

    func inReadTransaction(_ body: () throws -> Void) throws {
        try run(statements["BEGIN"]!)
        try body()
        try run(statements["COMMIT"]!)
    }

    func makeReader() throws -> any MessageEngine { try SQLiteMessages(path: path, creating: false) }

    func close() throws {
        for statement in [insertion, updating, deletion, byKey, byHash, last] + statements.values {
            sqlite3_finalize(statement)
        }
        sqlite3_close_v2(handle)
    }
}

#endif
