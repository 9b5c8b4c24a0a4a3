// RocksDB's way to load sorted entries: tables written outside the database, then taken over by it.

#if PEER_ROCKSDB

import CRocksDB
import Glibc

final class RocksDBBulkLoad {
    /// Also the target size of the tables that RocksDB's compaction writes.
    private static let fileByteCount = 64 << 20

    private let database: OpaquePointer
    private let folder: String
    private let environmentOptions: OpaquePointer
    private let writer: OpaquePointer
    private var files: [String] = []
    private var fileIsOpen = false
    private var bytesInFile = 0

    init(database: OpaquePointer, options: OpaquePointer, folder: String) {
        self.database = database
        self.folder = folder
        environmentOptions = rocksdb_envoptions_create()
        writer = rocksdb_sstfilewriter_create(environmentOptions, options)
    }

    deinit {
        rocksdb_sstfilewriter_destroy(writer)
        rocksdb_envoptions_destroy(environmentOptions)
    }

    func append(_ entries: EntryBatch) throws {
        if !fileIsOpen {
            // Beside the database, so that moving a file in costs nothing.
            let file = "\(folder)-load-\(files.count).sst"
            try checkingRocksDB { rocksdb_sstfilewriter_open(writer, file, $0) }
            files.append(file)
            fileIsOpen = true
            bytesInFile = 0
        }
        for index in 0..<entries.count {
            let (key, value) = entries[index]
            try checkingRocksDB {
                rocksdb_sstfilewriter_put(writer, key.characters, key.count, value.characters, value.count, $0)
            }
            bytesInFile += key.count + value.count
        }
        if bytesInFile >= Self.fileByteCount { try closeFile() }
    }

    private func closeFile() throws {
        try checkingRocksDB { rocksdb_sstfilewriter_finish(writer, $0) }
        fileIsOpen = false
    }

    func finish() throws {
        if fileIsOpen { try closeFile() }
        guard !files.isEmpty else { return }
        let options = rocksdb_ingestexternalfileoptions_create()
        defer { rocksdb_ingestexternalfileoptions_destroy(options) }
        rocksdb_ingestexternalfileoptions_set_move_files(options, 1)
        var names: [UnsafePointer<CChar>?] = files.map { UnsafePointer(strdup($0)) }
        defer { for name in names { free(UnsafeMutablePointer(mutating: name)) } }
        try checkingRocksDB { rocksdb_ingest_external_file(database, &names, names.count, options, $0) }
    }
}

#endif
