// LMDB (lmdb.h): a memory-mapped copy-on-write B+tree. It has no cache, codec, filter or checksum to set.

#if PEER_LMDB

import CLMDB

final class LMDBAdapter: EngineAdapter {
    static let name = "lmdb"
    static let compression = "none"
    static let bulkLoadMethod = "MDB_APPEND, a transaction for every \(LMDBSession.bulkCommitBatches) batches"
    static var build: LibraryBuild? { LibraryBuild(symbol: "mdb_env_open", usesCRC32C: false) }

    private let environment: OpaquePointer
    private let table: MDB_dbi

    var version: String { "\(MDB_VERSION_MAJOR).\(MDB_VERSION_MINOR).\(MDB_VERSION_PATCH) (system package)" }

    static func describe(_ settings: EngineSettings) -> String {
        switch settings.durability {
        case .relaxed:
            "MDB_NOSYNC, which is weaker than a log: a loss of power can destroy the whole database; "
                + "no codec, filter or checksum; page cache"
        case .durable: "every commit synced; no codec, filter or checksum; page cache"
        }
    }

    init(path: String, settings: EngineSettings) throws {
        var environment: OpaquePointer?
        try check(mdb_env_create(&environment))
        guard let environment else { throw BenchmarkError("lmdb: no environment") }
        self.environment = environment
        // Only address space: half-empty pages, their copies and the page list stay far below it.
        let mapByteCount = (1 << 30) + settings.entries * (settings.valueByteCount + 64) * 8
        try check(mdb_env_set_mapsize(environment, mapByteCount))
        try check(mdb_env_set_maxreaders(environment, UInt32(settings.threads + 8)))
        let flags = UInt32(MDB_NOTLS) | (settings.durability == .relaxed ? UInt32(MDB_NOSYNC) : 0)
        try check(mdb_env_open(environment, path, flags, 0o644))
        var transaction: OpaquePointer?
        try check(mdb_txn_begin(environment, nil, 0, &transaction))
        var table = MDB_dbi()
        try check(mdb_dbi_open(transaction, nil, 0, &table))
        try check(mdb_txn_commit(transaction))
        self.table = table
    }

    func makeSession() throws -> LMDBSession {
        try LMDBSession(environment: environment, table: table)
    }

    /// Nothing is buffered in the process.
    func flush() {}

    func close() {
        mdb_env_close(environment)
    }
}

final class LMDBSession: EngineSession {
    private let environment: OpaquePointer
    private let table: MDB_dbi
    /// Reset between reads and renewed for each, which is how LMDB wants many short reads to be done.
    private let reading: OpaquePointer
    private let cursor: OpaquePointer
    private var direction = ScanDirection.forward
    private var bulk: OpaquePointer?
    private var batchesInBulk = 0
    private var key = MDB_val()
    private var value = MDB_val()

    init(environment: OpaquePointer, table: MDB_dbi) throws {
        self.environment = environment
        self.table = table
        var (reading, cursor): (OpaquePointer?, OpaquePointer?)
        try check(mdb_txn_begin(environment, nil, UInt32(MDB_RDONLY), &reading))
        try check(mdb_cursor_open(reading, table, &cursor))
        guard let reading, let cursor else { throw BenchmarkError("lmdb: no read transaction") }
        mdb_txn_reset(reading)
        self.reading = reading
        self.cursor = cursor
    }

    deinit {
        mdb_cursor_close(cursor)
        mdb_txn_abort(reading)
    }

    private func commit(_ body: (OpaquePointer?) throws -> Void) throws {
        var transaction: OpaquePointer?
        try check(mdb_txn_begin(environment, nil, 0, &transaction))
        do {
            try body(transaction)
        } catch {
            mdb_txn_abort(transaction)
            throw error
        }
        try check(mdb_txn_commit(transaction))
    }

    private func put(
        _ key: UnsafeRawBufferPointer,
        _ value: UnsafeRawBufferPointer,
        in transaction: OpaquePointer?,
        _ flags: CInt = 0
    ) throws {
        var key = MDB_val(key)
        var value = MDB_val(value)
        try check(mdb_put(transaction, table, &key, &value, UInt32(flags)))
    }

    func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        try commit { try put(key, value, in: $0) }
    }

    func delete(_ key: UnsafeRawBufferPointer) throws {
        try commit {
            var key = MDB_val(key)
            let code = mdb_del($0, table, &key, nil)
            if code != MDB_NOTFOUND { try check(code) }
        }
    }

    /// LMDB has no range deletion: a cursor deletes one entry after the other, in one transaction.
    func deleteRange(from start: UnsafeRawBufferPointer, to end: UnsafeRawBufferPointer) throws {
        try commit { transaction in
            var cursor: OpaquePointer?
            try check(mdb_cursor_open(transaction, table, &cursor))
            defer { mdb_cursor_close(cursor) }
            var key = MDB_val(start)
            var value = MDB_val()
            var code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE)
            while code == 0, compareBytes(key.bytes, end) < 0 {
                try check(mdb_cursor_del(cursor, 0))
                code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
            }
            if code != MDB_NOTFOUND { try check(code) }
        }
    }

    func write(_ batch: EntryBatch) throws {
        try commit {
            for index in 0..<batch.count {
                let (key, value) = batch[index]
                try put(key, value, in: $0)
            }
        }
    }

    func get(_ key: UnsafeRawBufferPointer, _ visit: (UnsafeRawBufferPointer) -> Void) throws -> Bool {
        try check(mdb_txn_renew(reading))
        defer { mdb_txn_reset(reading) }
        return try find(key, visit)
    }

    @inline(__always)
    private func find(_ key: UnsafeRawBufferPointer, _ visit: (UnsafeRawBufferPointer) -> Void) throws -> Bool {
        var key = MDB_val(key)
        var value = MDB_val()
        let code = mdb_get(reading, table, &key, &value)
        if code == MDB_NOTFOUND { return false }
        try check(code)
        visit(value.bytes)
        return true
    }

    /// LMDB has no call for it: one read transaction, and one get after the other.
    func getMany(_ keys: KeyBatch, _ visit: (UnsafeRawBufferPointer) -> Void) throws {
        try check(mdb_txn_renew(reading))
        defer { mdb_txn_reset(reading) }
        for index in 0..<keys.count { _ = try find(keys[index], visit) }
    }

    // MARK: Bulk loading

    /// A transaction of everything would keep too many dirty pages.
    static let bulkCommitBatches = 100

    func beginBulkLoad() throws {
        batchesInBulk = 0
        try check(mdb_txn_begin(environment, nil, 0, &bulk))
    }

    func appendInBulk(_ batch: EntryBatch) throws {
        for index in 0..<batch.count {
            let (key, value) = batch[index]
            try put(key, value, in: bulk, MDB_APPEND)
        }
        batchesInBulk += 1
        if batchesInBulk.isMultiple(of: Self.bulkCommitBatches) {
            try endBulkLoad()
            try check(mdb_txn_begin(environment, nil, 0, &bulk))
        }
    }

    func endBulkLoad() throws {
        let transaction = bulk
        bulk = nil
        try check(mdb_txn_commit(transaction))
    }

    // MARK: Scans

    func openCursor(_ direction: ScanDirection) throws {
        self.direction = direction
        try check(mdb_txn_renew(reading))
        try check(mdb_cursor_renew(reading, cursor))
    }

    func seek(_ key: UnsafeRawBufferPointer) throws -> Bool {
        self.key = MDB_val(key)
        return try move(MDB_SET_RANGE)
    }

    func seekToStart() throws -> Bool {
        try move(direction == .forward ? MDB_FIRST : MDB_LAST)
    }

    func advance() throws -> Bool {
        try move(direction == .forward ? MDB_NEXT : MDB_PREV)
    }

    private func move(_ operation: MDB_cursor_op) throws -> Bool {
        let code = mdb_cursor_get(cursor, &key, &value, operation)
        if code == MDB_NOTFOUND { return false }
        try check(code)
        return true
    }

    func withEntry(_ visit: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void) {
        visit(key.bytes, value.bytes)
    }

    func closeCursor() {
        mdb_txn_reset(reading)
    }
}

extension MDB_val {
    fileprivate init(_ bytes: UnsafeRawBufferPointer) {
        self.init(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
    }

    fileprivate var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: mv_data, count: mv_size)
    }
}

@inline(__always)
private func check(_ code: CInt) throws {
    if code != 0 { throw BenchmarkError("lmdb: \(String(cString: mdb_strerror(code)))") }
}

#endif
