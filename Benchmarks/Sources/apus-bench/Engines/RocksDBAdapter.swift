// RocksDB through its C interface (rocksdb/c.h).

#if PEER_ROCKSDB

import CRocksDB
import FoundationEssentials

final class RocksDBAdapter: EngineAdapter {
    static let name = "rocksdb"
    static let compression = "lz4"

    private let database: OpaquePointer
    private let options: OpaquePointer
    private let tableOptions: OpaquePointer
    private let cache: OpaquePointer
    private let settings: EngineSettings
    let version: String

    static func describe(_ settings: EngineSettings) -> String {
        "write_buffer_size \(settings.writeBufferByteCount >> 10) KiB, LRU block cache "
            + "\(settings.cacheByteCount >> 10) KiB, LZ4, Bloom filter 10 bits per key, checksums verified, "
            + "log on, sync \(settings.durability == .durable), all else default"
    }

    init(path: String, settings: EngineSettings) throws {
        self.settings = settings
        options = rocksdb_options_create()
        rocksdb_options_set_create_if_missing(options, 1)
        rocksdb_options_set_write_buffer_size(options, settings.writeBufferByteCount)
        rocksdb_options_set_compression(options, CInt(rocksdb_lz4_compression))
        tableOptions = rocksdb_block_based_options_create()
        cache = rocksdb_cache_create_lru(settings.cacheByteCount)
        rocksdb_block_based_options_set_block_cache(tableOptions, cache)
        // The options take over the filter policy.
        rocksdb_block_based_options_set_filter_policy(tableOptions, rocksdb_filterpolicy_create_bloom_full(10))
        rocksdb_options_set_block_based_table_factory(options, tableOptions)
        let (options, opened) = (options, rocksdb_open)
        guard let database = try checkingRocksDB({ opened(options, path, $0) }) else {
            throw BenchmarkError("rocksdb: could not open \(path)")
        }
        self.database = database
        version = Self.writtenVersion(in: path)
    }

    /// The C interface does not tell the version, the OPTIONS file that every open writes does.
    private static func writtenVersion(in path: String) -> String {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        guard let name = names.filter({ $0.hasPrefix("OPTIONS-") && !$0.hasSuffix(".dbtmp") }).max(),
            let contents = FileManager.default.contents(atPath: "\(path)/\(name)"),
            let line = String(decoding: contents, as: UTF8.self).split(separator: "\n")
                .first(where: { $0.contains("rocksdb_version=") })
        else { return "unknown" }
        let number = line.split(separator: "=").last.map(String.init) ?? "unknown"
        #if PEER_ROCKSDB_OWN_BUILD
        return "\(number) (ROCKSDB_LIBRARY_PATH)"
        #else
        return "\(number) (system package)"
        #endif
    }

    func makeSession() -> RocksDBSession {
        RocksDBSession(database: database, durability: settings.durability)
    }

    func flush() throws {
        let flushOptions = rocksdb_flushoptions_create()
        defer { rocksdb_flushoptions_destroy(flushOptions) }
        try checkingRocksDB { rocksdb_flush(database, flushOptions, $0) }
    }

    func close() {
        rocksdb_close(database)
        rocksdb_block_based_options_destroy(tableOptions)
        rocksdb_cache_destroy(cache)
        rocksdb_options_destroy(options)
    }
}

final class RocksDBSession: EngineSession {
    private let database: OpaquePointer
    private let writeOptions: OpaquePointer
    private let readOptions: OpaquePointer
    private let batch: OpaquePointer
    private var iterator: OpaquePointer?
    private var direction = ScanDirection.forward

    init(database: OpaquePointer, durability: Durability) {
        self.database = database
        writeOptions = rocksdb_writeoptions_create()
        rocksdb_writeoptions_set_sync(writeOptions, durability == .durable ? 1 : 0)
        readOptions = rocksdb_readoptions_create()
        rocksdb_readoptions_set_verify_checksums(readOptions, 1)
        batch = rocksdb_writebatch_create()
    }

    deinit {
        closeCursor()
        rocksdb_writebatch_destroy(batch)
        rocksdb_writeoptions_destroy(writeOptions)
        rocksdb_readoptions_destroy(readOptions)
    }

    func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        try checkingRocksDB {
            rocksdb_put(database, writeOptions, key.characters, key.count, value.characters, value.count, $0)
        }
    }

    func delete(_ key: UnsafeRawBufferPointer) throws {
        try checkingRocksDB { rocksdb_delete(database, writeOptions, key.characters, key.count, $0) }
    }

    func write(_ entries: EntryBatch) throws {
        rocksdb_writebatch_clear(batch)
        for index in 0..<entries.count {
            let (key, value) = entries[index]
            rocksdb_writebatch_put(batch, key.characters, key.count, value.characters, value.count)
        }
        try checkingRocksDB { rocksdb_write(database, writeOptions, batch, $0) }
    }

    func get(_ key: UnsafeRawBufferPointer, _ visit: (UnsafeRawBufferPointer) -> Void) throws -> Bool {
        let found = try checkingRocksDB {
            rocksdb_get_pinned(database, readOptions, key.characters, key.count, $0)
        }
        guard let found else { return false }
        var count = 0
        let value = rocksdb_pinnableslice_value(found, &count)
        visit(UnsafeRawBufferPointer(start: value, count: count))
        rocksdb_pinnableslice_destroy(found)
        return true
    }

    func openCursor(_ direction: ScanDirection) {
        self.direction = direction
        iterator = rocksdb_create_iterator(database, readOptions)
    }

    func seek(_ key: UnsafeRawBufferPointer) throws -> Bool {
        rocksdb_iter_seek(iterator, key.characters, key.count)
        return try isAtEntry()
    }

    func seekToStart() throws -> Bool {
        switch direction {
        case .forward: rocksdb_iter_seek_to_first(iterator)
        case .backward: rocksdb_iter_seek_to_last(iterator)
        }
        return try isAtEntry()
    }

    func advance() throws -> Bool {
        switch direction {
        case .forward: rocksdb_iter_next(iterator)
        case .backward: rocksdb_iter_prev(iterator)
        }
        return try isAtEntry()
    }

    private func isAtEntry() throws -> Bool {
        if rocksdb_iter_valid(iterator) != 0 { return true }
        try checkingRocksDB { rocksdb_iter_get_error(iterator, $0) }
        return false
    }

    func withEntry(_ visit: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void) {
        var (keyCount, valueCount) = (0, 0)
        let key = rocksdb_iter_key(iterator, &keyCount)
        let value = rocksdb_iter_value(iterator, &valueCount)
        visit(
            UnsafeRawBufferPointer(start: key, count: keyCount),
            UnsafeRawBufferPointer(start: value, count: valueCount)
        )
    }

    func closeCursor() {
        guard let iterator else { return }
        rocksdb_iter_destroy(iterator)
        self.iterator = nil
    }
}

@inline(__always)
@discardableResult
private func checkingRocksDB<Result>(
    _ call: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
) throws -> Result {
    var message: UnsafeMutablePointer<CChar>?
    let result = call(&message)
    guard let message else { return result }
    defer { rocksdb_free(message) }
    throw BenchmarkError("rocksdb: \(String(cString: message))")
}

#endif
