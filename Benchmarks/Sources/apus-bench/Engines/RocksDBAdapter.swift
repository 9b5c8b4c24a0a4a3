// RocksDB through its C interface (rocksdb/c.h).

#if PEER_ROCKSDB

import CRocksDB
import FoundationEssentials

final class RocksDBAdapter: EngineAdapter {
    static let name = "rocksdb"
    static let compression = "lz4"
    static let bulkLoadMethod = "SstFileWriter, files of 64 MiB, then IngestExternalFile by moving them"
    static var build: LibraryBuild? { LibraryBuild(symbol: "rocksdb_open", usesCRC32C: true) }

    private let database: OpaquePointer
    /// The C interface of MultiGet asks for it.
    private let family: OpaquePointer
    private let path: String
    private let options: OpaquePointer
    private let tableOptions: OpaquePointer
    private let cache: OpaquePointer
    private let settings: EngineSettings
    let version: String

    static func describe(_ settings: EngineSettings) -> String {
        "write_buffer_size \(settings.writeBufferByteCount >> 10) KiB, LRU block cache "
            + "\(settings.cacheByteCount >> 10) KiB, LZ4, Bloom filter 10 bits per key, checksums verified, "
            + "log on, sync \(settings.durability == .durable), \(blobs(settings)), all else default"
    }

    private static func blobs(_ settings: EngineSettings) -> String {
        settings.separationThreshold.map { "blob files on, min_blob_size \($0), LZ4" } ?? "blob files off"
    }

    init(path: String, settings: EngineSettings) throws {
        self.settings = settings
        self.path = path
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
        if let threshold = settings.separationThreshold {
            rocksdb_options_set_enable_blob_files(options, 1)
            rocksdb_options_set_min_blob_size(options, UInt64(threshold))
            rocksdb_options_set_blob_compression_type(options, CInt(rocksdb_lz4_compression))
        }
        (database, family) = try Self.open(path, options)
        version = Self.writtenVersion(in: path)
    }

    private static func open(_ path: String, _ options: OpaquePointer) throws -> (OpaquePointer, OpaquePointer) {
        var family: OpaquePointer?
        var familyOptions: OpaquePointer? = options
        let database = try "default".withCString { name in
            var name: UnsafePointer<CChar>? = name
            return try checkingRocksDB {
                rocksdb_open_column_families(options, path, 1, &name, &familyOptions, &family, $0)
            }
        }
        guard let database, let family else { throw BenchmarkError("rocksdb: could not open \(path)") }
        return (database, family)
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
        RocksDBSession(
            database: database,
            family: family,
            options: options,
            path: path,
            durability: settings.durability
        )
    }

    func flush() throws {
        let flushOptions = rocksdb_flushoptions_create()
        defer { rocksdb_flushoptions_destroy(flushOptions) }
        try checkingRocksDB { rocksdb_flush(database, flushOptions, $0) }
    }

    func pendingByteCount() -> Int? {
        var total = 0
        for property in ["rocksdb.estimate-pending-compaction-bytes", "rocksdb.cur-size-all-mem-tables"] {
            var bytes: UInt64 = 0
            guard rocksdb_property_int(database, property, &bytes) == 0 else { return nil }
            total += Int(bytes)
        }
        return total
    }

    func close() {
        rocksdb_column_family_handle_destroy(family)
        rocksdb_close(database)
        rocksdb_block_based_options_destroy(tableOptions)
        rocksdb_cache_destroy(cache)
        rocksdb_options_destroy(options)
    }
}

@inline(__always)
@discardableResult
func checkingRocksDB<Result>(
    _ call: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
) throws -> Result {
    var message: UnsafeMutablePointer<CChar>?
    let result = call(&message)
    guard let message else { return result }
    defer { rocksdb_free(message) }
    throw BenchmarkError("rocksdb: \(String(cString: message))")
}

#endif
