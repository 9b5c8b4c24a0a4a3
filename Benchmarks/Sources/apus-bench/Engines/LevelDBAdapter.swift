// LevelDB through its C interface (leveldb/c.h).

#if PEER_LEVELDB

import CLevelDB

final class LevelDBAdapter: EngineAdapter {
    static let name = "leveldb"
    static let compression = "snappy"
    static var build: LibraryBuild? { LibraryBuild(symbol: "leveldb_open", usesCRC32C: true) }

    private let database: OpaquePointer
    private let options: OpaquePointer
    private let cache: OpaquePointer
    private let filter: OpaquePointer
    private let settings: EngineSettings

    var version: String {
        #if PEER_LEVELDB_OWN_BUILD
        let origin = "LEVELDB_LIBRARY_PATH"
        #else
        let origin = "system package"
        #endif
        return "\(leveldb_major_version()).\(leveldb_minor_version()) (\(origin))"
    }

    static func describe(_ settings: EngineSettings) -> String {
        "write_buffer_size \(settings.writeBufferByteCount >> 10) KiB, LRU block cache "
            + "\(settings.cacheByteCount >> 10) KiB, Snappy, Bloom filter 10 bits per key, checksums verified, "
            + "log on, sync \(settings.durability == .durable), all else default"
    }

    init(path: String, settings: EngineSettings) throws {
        self.settings = settings
        options = leveldb_options_create()
        cache = leveldb_cache_create_lru(settings.cacheByteCount)
        filter = leveldb_filterpolicy_create_bloom(10)
        leveldb_options_set_create_if_missing(options, 1)
        leveldb_options_set_write_buffer_size(options, settings.writeBufferByteCount)
        leveldb_options_set_cache(options, cache)
        leveldb_options_set_filter_policy(options, filter)
        leveldb_options_set_compression(options, CInt(leveldb_snappy_compression))
        let options = options
        guard let database = try checkingLevelDB({ leveldb_open(options, path, $0) }) else {
            throw BenchmarkError("leveldb: could not open \(path)")
        }
        self.database = database
    }

    func makeSession() -> LevelDBSession {
        LevelDBSession(database: database, durability: settings.durability)
    }

    /// LevelDB has no call for it: the log becomes a table when the database is opened next.
    func flush() {}

    func close() {
        leveldb_close(database)
        leveldb_filterpolicy_destroy(filter)
        leveldb_cache_destroy(cache)
        leveldb_options_destroy(options)
    }
}

final class LevelDBSession: EngineSession {
    private let database: OpaquePointer
    private let writeOptions: OpaquePointer
    private let readOptions: OpaquePointer
    private let batch: OpaquePointer
    private var iterator: OpaquePointer?
    private var direction = ScanDirection.forward

    init(database: OpaquePointer, durability: Durability) {
        self.database = database
        writeOptions = leveldb_writeoptions_create()
        leveldb_writeoptions_set_sync(writeOptions, durability == .durable ? 1 : 0)
        readOptions = leveldb_readoptions_create()
        leveldb_readoptions_set_verify_checksums(readOptions, 1)
        batch = leveldb_writebatch_create()
    }

    deinit {
        closeCursor()
        leveldb_writebatch_destroy(batch)
        leveldb_writeoptions_destroy(writeOptions)
        leveldb_readoptions_destroy(readOptions)
    }

    func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        try checkingLevelDB {
            leveldb_put(database, writeOptions, key.characters, key.count, value.characters, value.count, $0)
        }
    }

    func delete(_ key: UnsafeRawBufferPointer) throws {
        try checkingLevelDB { leveldb_delete(database, writeOptions, key.characters, key.count, $0) }
    }

    /// LevelDB has no range deletion: the keys are looked up and deleted one by one, in one batch.
    func deleteRange(from start: UnsafeRawBufferPointer, to end: UnsafeRawBufferPointer) throws {
        leveldb_writebatch_clear(batch)
        let found = leveldb_create_iterator(database, readOptions)
        defer { leveldb_iter_destroy(found) }
        leveldb_iter_seek(found, start.characters, start.count)
        while leveldb_iter_valid(found) != 0 {
            var count = 0
            let key = leveldb_iter_key(found, &count)
            if compareBytes(UnsafeRawBufferPointer(start: key, count: count), end) >= 0 { break }
            leveldb_writebatch_delete(batch, key, count)
            leveldb_iter_next(found)
        }
        try checkingLevelDB { leveldb_iter_get_error(found, $0) }
        try checkingLevelDB { leveldb_write(database, writeOptions, batch, $0) }
    }

    func write(_ entries: EntryBatch) throws {
        leveldb_writebatch_clear(batch)
        for index in 0..<entries.count {
            let (key, value) = entries[index]
            leveldb_writebatch_put(batch, key.characters, key.count, value.characters, value.count)
        }
        try checkingLevelDB { leveldb_write(database, writeOptions, batch, $0) }
    }

    /// The C interface always copies the value into memory that it allocates.
    func get(_ key: UnsafeRawBufferPointer, _ visit: (UnsafeRawBufferPointer) -> Void) throws -> Bool {
        var count = 0
        let value = try checkingLevelDB {
            leveldb_get(database, readOptions, key.characters, key.count, &count, $0)
        }
        guard let value else { return false }
        visit(UnsafeRawBufferPointer(start: value, count: count))
        leveldb_free(value)
        return true
    }

    /// LevelDB has no call for it: a snapshot, and one get after the other.
    func getMany(_ keys: KeyBatch, _ visit: (UnsafeRawBufferPointer) -> Void) throws {
        let snapshot = leveldb_create_snapshot(database)
        leveldb_readoptions_set_snapshot(readOptions, snapshot)
        defer {
            leveldb_readoptions_set_snapshot(readOptions, nil)
            leveldb_release_snapshot(database, snapshot)
        }
        for index in 0..<keys.count { _ = try get(keys[index], visit) }
    }

    func openCursor(_ direction: ScanDirection) {
        self.direction = direction
        iterator = leveldb_create_iterator(database, readOptions)
    }

    func seek(_ key: UnsafeRawBufferPointer) throws -> Bool {
        leveldb_iter_seek(iterator, key.characters, key.count)
        return try isAtEntry()
    }

    func seekToStart() throws -> Bool {
        switch direction {
        case .forward: leveldb_iter_seek_to_first(iterator)
        case .backward: leveldb_iter_seek_to_last(iterator)
        }
        return try isAtEntry()
    }

    func advance() throws -> Bool {
        switch direction {
        case .forward: leveldb_iter_next(iterator)
        case .backward: leveldb_iter_prev(iterator)
        }
        return try isAtEntry()
    }

    private func isAtEntry() throws -> Bool {
        if leveldb_iter_valid(iterator) != 0 { return true }
        try checkingLevelDB { leveldb_iter_get_error(iterator, $0) }
        return false
    }

    func withEntry(_ visit: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void) {
        var (keyCount, valueCount) = (0, 0)
        let key = leveldb_iter_key(iterator, &keyCount)
        let value = leveldb_iter_value(iterator, &valueCount)
        visit(
            UnsafeRawBufferPointer(start: key, count: keyCount),
            UnsafeRawBufferPointer(start: value, count: valueCount)
        )
    }

    func closeCursor() {
        guard let iterator else { return }
        leveldb_iter_destroy(iterator)
        self.iterator = nil
    }
}

@inline(__always)
@discardableResult
private func checkingLevelDB<Result>(
    _ call: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
) throws -> Result {
    var message: UnsafeMutablePointer<CChar>?
    let result = call(&message)
    guard let message else { return result }
    defer { leveldb_free(message) }
    throw BenchmarkError("leveldb: \(String(cString: message))")
}

#endif
