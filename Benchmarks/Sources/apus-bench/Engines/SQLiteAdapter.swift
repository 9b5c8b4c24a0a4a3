// SQLite (sqlite3.h) as a key-value store: one table without row ids, whose primary key is the key.

#if PEER_SQLITE

import CSQLite

final class SQLiteAdapter: EngineAdapter {
    static let name = "sqlite"
    static let compression = "none"
    static let bulkLoadMethod = "sorted insertions in one transaction"
    static var build: LibraryBuild? { LibraryBuild(symbol: "sqlite3_open_v2", usesCRC32C: false) }

    private let path: String
    private let settings: EngineSettings
    /// Open as long as the database is: SQLite empties its log when the last connection goes.
    private var connection: SQLiteConnection?

    var version: String { "\(String(cString: sqlite3_libversion())) (system package)" }

    static func describe(_ settings: EngineSettings) -> String {
        "WAL, synchronous \(synchronous(settings)), cache_size \(cacheKiB(settings)) KiB for each of "
            + "\(settings.threads) connections, prepared statements, WITHOUT ROWID; no codec, filter or checksum"
    }

    private static func synchronous(_ settings: EngineSettings) -> String {
        settings.durability == .durable ? "FULL" : "NORMAL"
    }

    private static func cacheKiB(_ settings: EngineSettings) -> Int {
        (settings.memoryBudget / settings.threads) >> 10
    }

    init(path: String, settings: EngineSettings) throws {
        self.path = "\(path)/data.sqlite"
        self.settings = settings
        let connection = try SQLiteConnection(path: self.path, pragmas: ["journal_mode = WAL"])
        self.connection = connection
        try connection.execute("CREATE TABLE IF NOT EXISTS kv (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID")
    }

    func makeSession() throws -> SQLiteSession {
        var pragmas = ["synchronous = \(Self.synchronous(settings))", "cache_size = -\(Self.cacheKiB(settings))"]
        if settings.keepsLog { pragmas.append("wal_autocheckpoint = 0") }
        let connection = try SQLiteConnection(path: path, pragmas: pragmas)
        return try SQLiteSession(connection: connection)
    }

    /// Moves the log into the database file.
    func flush() throws {
        try SQLiteConnection(path: path, pragmas: []).execute("PRAGMA wal_checkpoint(PASSIVE)")
    }

    func close() {
        connection = nil
    }
}

final class SQLiteConnection {
    let handle: OpaquePointer

    init(path: String, pragmas: [String]) throws {
        var handle: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX
        guard sqlite3_open_v2(path, &handle, flags, nil) == SQLITE_OK, let handle else {
            throw BenchmarkError("sqlite: could not open \(path)")
        }
        self.handle = handle
        sqlite3_busy_timeout(handle, 60_000)
        for pragma in pragmas { try execute("PRAGMA \(pragma)") }
    }

    deinit { sqlite3_close_v2(handle) }

    func execute(_ sql: String) throws {
        try check(sqlite3_exec(handle, sql, nil, nil, nil))
    }

    func prepare(_ sql: String) throws -> OpaquePointer {
        var statement: OpaquePointer?
        try check(sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil))
        guard let statement else { throw BenchmarkError("sqlite: empty statement") }
        return statement
    }

    @inline(__always)
    func check(_ code: CInt) throws {
        if code != SQLITE_OK { throw BenchmarkError("sqlite: \(String(cString: sqlite3_errmsg(handle)))") }
    }
}

final class SQLiteSession: EngineSession {
    private let connection: SQLiteConnection
    private let putStatement: OpaquePointer
    private let deleteStatement: OpaquePointer
    private let deleteRangeStatement: OpaquePointer
    private let getStatement: OpaquePointer
    private let seekStatement: OpaquePointer
    private let forwardStatement: OpaquePointer
    private let backwardStatement: OpaquePointer
    private let begin: OpaquePointer
    private let beginReading: OpaquePointer
    private let commit: OpaquePointer
    private var cursor: OpaquePointer
    private var direction = ScanDirection.forward

    init(connection: SQLiteConnection) throws {
        self.connection = connection
        putStatement = try connection.prepare("INSERT OR REPLACE INTO kv (k, v) VALUES (?1, ?2)")
        deleteStatement = try connection.prepare("DELETE FROM kv WHERE k = ?1")
        deleteRangeStatement = try connection.prepare("DELETE FROM kv WHERE k >= ?1 AND k < ?2")
        getStatement = try connection.prepare("SELECT v FROM kv WHERE k = ?1")
        seekStatement = try connection.prepare("SELECT k, v FROM kv WHERE k >= ?1 ORDER BY k")
        forwardStatement = try connection.prepare("SELECT k, v FROM kv ORDER BY k")
        backwardStatement = try connection.prepare("SELECT k, v FROM kv ORDER BY k DESC")
        begin = try connection.prepare("BEGIN IMMEDIATE")
        beginReading = try connection.prepare("BEGIN")
        commit = try connection.prepare("COMMIT")
        cursor = forwardStatement
    }

    deinit {
        for statement in [
            putStatement, deleteStatement, deleteRangeStatement, getStatement, seekStatement, forwardStatement,
            backwardStatement, begin, beginReading, commit,
        ] {
            sqlite3_finalize(statement)
        }
    }

    private func bind(_ statement: OpaquePointer, _ position: CInt, _ bytes: UnsafeRawBufferPointer) {
        // The statement is reset before the bytes go away, so it need not copy them.
        sqlite3_bind_blob(statement, position, bytes.baseAddress, CInt(bytes.count), nil)
    }

    /// Runs a statement that returns no row.
    private func run(_ statement: OpaquePointer) throws {
        let code = sqlite3_step(statement)
        let resetCode = sqlite3_reset(statement)
        if code != SQLITE_DONE { try connection.check(resetCode == SQLITE_OK ? code : resetCode) }
    }

    private func step(_ statement: OpaquePointer) throws -> Bool {
        let code = sqlite3_step(statement)
        if code == SQLITE_ROW { return true }
        if code != SQLITE_DONE { try connection.check(code) }
        return false
    }

    func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        bind(putStatement, 1, key)
        bind(putStatement, 2, value)
        try run(putStatement)
    }

    func delete(_ key: UnsafeRawBufferPointer) throws {
        bind(deleteStatement, 1, key)
        try run(deleteStatement)
    }

    func deleteRange(from start: UnsafeRawBufferPointer, to end: UnsafeRawBufferPointer) throws {
        bind(deleteRangeStatement, 1, start)
        bind(deleteRangeStatement, 2, end)
        try run(deleteRangeStatement)
    }

    func write(_ batch: EntryBatch) throws {
        try run(begin)
        for index in 0..<batch.count {
            let (key, value) = batch[index]
            try put(key, value)
        }
        try run(commit)
    }

    func get(_ key: UnsafeRawBufferPointer, _ visit: (UnsafeRawBufferPointer) -> Void) throws -> Bool {
        bind(getStatement, 1, key)
        defer { sqlite3_reset(getStatement) }
        guard try step(getStatement) else { return false }
        visit(blob(getStatement, 0))
        return true
    }

    /// SQLite has no call for it: one transaction, and one query after the other.
    func getMany(_ keys: KeyBatch, _ visit: (UnsafeRawBufferPointer) -> Void) throws {
        try run(beginReading)
        for index in 0..<keys.count { _ = try get(keys[index], visit) }
        try run(commit)
    }

    func beginBulkLoad() throws {
        try run(begin)
    }

    func appendInBulk(_ batch: EntryBatch) throws {
        for index in 0..<batch.count {
            let (key, value) = batch[index]
            try put(key, value)
        }
    }

    func endBulkLoad() throws {
        try run(commit)
    }

    private func blob(_ statement: OpaquePointer, _ column: CInt) -> UnsafeRawBufferPointer {
        let start = sqlite3_column_blob(statement, column)
        return UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, column)))
    }

    func openCursor(_ direction: ScanDirection) {
        self.direction = direction
    }

    func seek(_ key: UnsafeRawBufferPointer) throws -> Bool {
        cursor = seekStatement
        sqlite3_reset(cursor)
        bind(cursor, 1, key)
        return try step(cursor)
    }

    func seekToStart() throws -> Bool {
        cursor = direction == .forward ? forwardStatement : backwardStatement
        sqlite3_reset(cursor)
        return try step(cursor)
    }

    func advance() throws -> Bool {
        try step(cursor)
    }

    func withEntry(_ visit: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void) {
        visit(blob(cursor, 0), blob(cursor, 1))
    }

    func closeCursor() {
        sqlite3_reset(cursor)
    }
}

#endif
