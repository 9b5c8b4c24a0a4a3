// WiredTiger (wiredtiger.h) with one table, kept either as an LSM tree or as a B-tree: an engine of its own each.

#if PEER_WIREDTIGER

import CWiredTiger

/// Which of WiredTiger's two tables.
protocol WiredTigerLayout: SendableMetatype {
    static var name: String { get }
    /// What to create the table with, beside what both have.
    static func tableSettings(_ settings: EngineSettings) -> String
    /// Whether `truncate` removes exactly the range it is given. That of LSM trees removes more.
    static var canTruncate: Bool { get }
}

enum WiredTigerLSM: WiredTigerLayout {
    static let name = "wiredtiger-lsm"
    static let canTruncate = false

    static func tableSettings(_ settings: EngineSettings) -> String {
        // WiredTiger takes chunks from 512 KiB to 500 MiB, and wants room for some of them in its cache.
        let chunk = min(max(settings.writeBufferByteCount, 512 << 10), 500 << 20)
        return "type=lsm,lsm=(chunk_size=\(chunk),bloom=true,bloom_bit_count=10,bloom_hash_count=7)"
    }
}

enum WiredTigerBTree: WiredTigerLayout {
    static let name = "wiredtiger-btree"
    static let canTruncate = true

    static func tableSettings(_: EngineSettings) -> String { "type=file" }
}

final class WiredTigerAdapter<Layout: WiredTigerLayout>: EngineAdapter {
    static var name: String { Layout.name }
    static var compression: String { snappyPath == nil ? "none" : "snappy" }
    static var bulkLoadMethod: String { "bulk cursor, then a checkpoint; not logged" }
    static var build: LibraryBuild? { LibraryBuild(symbol: "wiredtiger_open", usesCRC32C: true) }

    private let connection: UnsafeMutablePointer<WT_CONNECTION>

    var version: String { "\(WIREDTIGER_VERSION_MAJOR).\(WIREDTIGER_VERSION_MINOR).\(WIREDTIGER_VERSION_PATCH)" }

    /// Debian builds the codec as a file beside the library.
    private static var snappyPath: String? { LibraryBuild.neighbour(of: "wiredtiger_open", "libwiredtiger_snappy.so") }

    static func describe(_ settings: EngineSettings) -> String {
        "cache_size \(cacheByteCount(settings) >> 10) KiB, \(Layout.tableSettings(settings)), codec \(compression), "
            + "checksum on, log on, \(synchronization(settings)), \(checkpoints(settings)), all else default"
    }

    /// With less than this a batch of thousand entries of 6 KiB waits for ever for room: WiredTiger keeps what a
    /// transaction changed in its cache.
    private static func cacheByteCount(_ settings: EngineSettings) -> Int {
        max(settings.memoryBudget, WorkloadKind.batchEntryCount * (settings.valueByteCount + 1_024) * 8)
    }

    /// Without `enabled` a commit may stay in the process; `none` hands it to the operating system.
    private static func synchronization(_ settings: EngineSettings) -> String {
        "transaction_sync=(enabled=true,method=\(settings.durability == .durable ? "fsync" : "none"))"
    }

    /// Without checkpoints the log would grow for ever.
    private static func checkpoints(_ settings: EngineSettings) -> String {
        settings.keepsLog ? "checkpoint=(wait=0)" : "checkpoint=(wait=60,log_size=1GB)"
    }

    init(path: String, settings: EngineSettings) throws {
        var opening = [
            "create", "cache_size=\(Self.cacheByteCount(settings))", "log=(enabled=true)",
            "session_max=\(settings.threads + 64)", Self.synchronization(settings), Self.checkpoints(settings),
        ]
        if let snappy = Self.snappyPath { opening.append("extensions=[\"\(snappy)\"]") }
        var connection: UnsafeMutablePointer<WT_CONNECTION>?
        try check(wiredtiger_open(path, nil, opening.joined(separator: ","), &connection))
        guard let connection else { throw BenchmarkError("wiredtiger: no connection") }
        self.connection = connection
        let session = try WiredTigerSession.open(connection)
        var table = "key_format=u,value_format=u,checksum=on,\(Layout.tableSettings(settings))"
        if Self.snappyPath != nil { table += ",block_compressor=snappy" }
        try check(wt_create(session, WiredTigerSession.table, table))
        try check(wt_close_session(session))
    }

    func makeSession() throws -> WiredTigerSession {
        try WiredTigerSession(connection: connection, canTruncate: Layout.canTruncate)
    }

    func flush() throws {
        let session = try WiredTigerSession.open(connection)
        try check(wt_checkpoint(session))
        try check(wt_close_session(session))
    }

    func close() throws {
        try check(wt_close_connection(connection))
    }
}

final class WiredTigerSession: EngineSession {
    static let table = "table:bench"

    private let session: UnsafeMutablePointer<WT_SESSION>
    /// Reset after each use, which is how WiredTiger wants cursors to be used again.
    private var cursor: UnsafeMutablePointer<WT_CURSOR>?
    private var bulkCursor: UnsafeMutablePointer<WT_CURSOR>?
    private var direction = ScanDirection.forward
    private let canTruncate: Bool
    /// Side by side, those that `removeEach` found.
    private var doomed: [UInt8] = []

    static func open(_ connection: UnsafeMutablePointer<WT_CONNECTION>) throws -> UnsafeMutablePointer<WT_SESSION> {
        var session: UnsafeMutablePointer<WT_SESSION>?
        // Cursors are kept here, not in the session's own cache, where they would keep a bulk load from starting.
        try check(wt_open_session(connection, "cache_cursors=false", &session))
        guard let session else { throw BenchmarkError("wiredtiger: no session") }
        return session
    }

    init(connection: UnsafeMutablePointer<WT_CONNECTION>, canTruncate: Bool) throws {
        self.canTruncate = canTruncate
        session = try Self.open(connection)
        cursor = try openCursor()
    }

    deinit { _ = wt_close_session(session) }

    private func openCursor(_ settings: String? = nil) throws -> UnsafeMutablePointer<WT_CURSOR> {
        var cursor: UnsafeMutablePointer<WT_CURSOR>?
        try check(wt_open_cursor(session, Self.table, settings, &cursor))
        guard let cursor else { throw BenchmarkError("wiredtiger: no cursor") }
        return cursor
    }

    func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        wt_set_key(cursor, key.baseAddress, key.count)
        wt_set_value(cursor, value.baseAddress, value.count)
        try check(wt_insert(cursor))
    }

    func delete(_ key: UnsafeRawBufferPointer) throws {
        wt_set_key(cursor, key.baseAddress, key.count)
        let code = wt_remove(cursor)
        if code != wt_not_found() { try check(code) }
        // Unlike an insertion, a removal leaves the cursor where it is, and with it a pinned page.
        try check(wt_reset(cursor))
    }

    func deleteRange(from start: UnsafeRawBufferPointer, to end: UnsafeRawBufferPointer) throws {
        canTruncate ? try truncate(from: start, to: end) : try removeEach(from: start, to: end)
    }

    /// One transaction that looks for the keys and then removes them.
    private func removeEach(from start: UnsafeRawBufferPointer, to end: UnsafeRawBufferPointer) throws {
        doomed.removeAll(keepingCapacity: true)
        try check(wt_begin(session, "isolation=snapshot"))
        var isAtEntry = try seek(start)
        while isAtEntry {
            var item = WT_ITEM()
            try check(wt_get_key(cursor, &item))
            let key = UnsafeRawBufferPointer(start: item.data, count: item.size)
            if compareBytes(key, end) >= 0 { break }
            doomed += key
            isAtEntry = try advance()
        }
        try check(wt_reset(cursor))
        try doomed.withUnsafeBytes { bytes in
            let keys = KeyBatch(bytes: bytes, keyByteCount: start.count)
            for index in 0..<keys.count { try delete(keys[index]) }
        }
        try check(wt_commit(session))
    }

    /// Inclusive at both ends: the stop cursor goes to the entry before `end`.
    private func truncate(from start: UnsafeRawBufferPointer, to end: UnsafeRawBufferPointer) throws {
        let stop = try openCursor()
        defer { _ = wt_close_cursor(stop) }
        wt_set_key(stop, end.baseAddress, end.count)
        var position: CInt = 0
        var code = wt_search_near(stop, &position)
        if code == 0, position >= 0 { code = wt_previous(stop) }
        if code == wt_not_found() { return }
        try check(code)
        wt_set_key(cursor, start.baseAddress, start.count)
        try check(wt_truncate(session, cursor, stop))
        try check(wt_reset(cursor))
    }

    func write(_ batch: EntryBatch) throws {
        while true {
            try check(wt_begin(session, nil))
            do {
                for index in 0..<batch.count {
                    let (key, value) = batch[index]
                    try put(key, value)
                }
            } catch is WiredTigerConflict {
                // Another thread changed one of the keys: the whole batch once more.
                try check(wt_roll_back(session))
                continue
            }
            return try check(wt_commit(session))
        }
    }

    func get(_ key: UnsafeRawBufferPointer, _ visit: (UnsafeRawBufferPointer) -> Void) throws -> Bool {
        wt_set_key(cursor, key.baseAddress, key.count)
        let code = wt_search(cursor)
        if code == wt_not_found() { return false }
        try check(code)
        var item = WT_ITEM()
        try check(wt_get_value(cursor, &item))
        visit(UnsafeRawBufferPointer(start: item.data, count: item.size))
        try check(wt_reset(cursor))
        return true
    }

    /// One transaction, so that all keys are read at one moment.
    func getMany(_ keys: KeyBatch, _ visit: (UnsafeRawBufferPointer) -> Void) throws {
        try check(wt_begin(session, "isolation=snapshot"))
        for index in 0..<keys.count { _ = try get(keys[index], visit) }
        try check(wt_commit(session))
    }

    func openCursor(_ direction: ScanDirection) {
        self.direction = direction
    }

    func seek(_ key: UnsafeRawBufferPointer) throws -> Bool {
        wt_set_key(cursor, key.baseAddress, key.count)
        var position: CInt = 0
        let code = wt_search_near(cursor, &position)
        if code == wt_not_found() { return false }
        try check(code)
        return position < 0 ? try advance() : true
    }

    func seekToStart() throws -> Bool {
        try check(wt_reset(cursor))
        return try advance()
    }

    func advance() throws -> Bool {
        let code = direction == .forward ? wt_next(cursor) : wt_previous(cursor)
        if code == wt_not_found() { return false }
        try check(code)
        return true
    }

    func withEntry(_ visit: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void) throws {
        var (key, value) = (WT_ITEM(), WT_ITEM())
        try check(wt_get_key(cursor, &key))
        try check(wt_get_value(cursor, &value))
        visit(
            UnsafeRawBufferPointer(start: key.data, count: key.size),
            UnsafeRawBufferPointer(start: value.data, count: value.size)
        )
    }

    func closeCursor() throws {
        try check(wt_reset(cursor))
    }

    // MARK: Bulk loading, which wants the table for itself

    func beginBulkLoad() throws {
        if let cursor { try check(wt_close_cursor(cursor)) }
        cursor = nil
        bulkCursor = try openCursor("bulk")
    }

    func appendInBulk(_ batch: EntryBatch) throws {
        for index in 0..<batch.count {
            let (key, value) = batch[index]
            wt_set_key(bulkCursor, key.baseAddress, key.count)
            wt_set_value(bulkCursor, value.baseAddress, value.count)
            try check(wt_insert(bulkCursor))
        }
    }

    func endBulkLoad() throws {
        if let bulkCursor { try check(wt_close_cursor(bulkCursor)) }
        bulkCursor = nil
        try check(wt_checkpoint(session))
        cursor = try openCursor()
    }
}

private struct WiredTigerConflict: Error, CustomStringConvertible {
    var description: String { "wiredtiger: another thread changed the same key" }
}

@inline(__always)
private func check(_ code: CInt) throws {
    if code == 0 { return }
    if code == wt_conflict() { throw WiredTigerConflict() }
    throw BenchmarkError("wiredtiger: \(String(cString: wiredtiger_strerror(code)))")
}

#endif
