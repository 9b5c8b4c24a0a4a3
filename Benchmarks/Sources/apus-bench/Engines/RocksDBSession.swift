// One thread's access to RocksDB.

#if PEER_ROCKSDB

import CRocksDB

final class RocksDBSession: EngineSession {
    private let database: OpaquePointer
    private let family: OpaquePointer
    private let options: OpaquePointer
    private let path: String
    private let writeOptions: OpaquePointer
    private let readOptions: OpaquePointer
    private let batch: OpaquePointer
    private var found = [OpaquePointer?](repeating: nil, count: WorkloadKind.keysPerMultiGet)
    private var bulkLoad: RocksDBBulkLoad?
    private var iterator: OpaquePointer?
    private var direction = ScanDirection.forward

    init(
        database: OpaquePointer,
        family: OpaquePointer,
        options: OpaquePointer,
        path: String,
        durability: Durability
    ) {
        self.database = database
        self.family = family
        self.options = options
        self.path = path
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

    func deleteRange(from start: UnsafeRawBufferPointer, to end: UnsafeRawBufferPointer) throws {
        rocksdb_writebatch_clear(batch)
        rocksdb_writebatch_delete_range(batch, start.characters, start.count, end.characters, end.count)
        try checkingRocksDB { rocksdb_write(database, writeOptions, batch, $0) }
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

    func getMany(_ keys: KeyBatch, _ visit: (UnsafeRawBufferPointer) -> Void) throws {
        let count = keys.count
        guard count <= found.count else { throw BenchmarkError("rocksdb: too many keys at once") }
        try withUnsafeTemporaryAllocation(of: UnsafePointer<CChar>?.self, capacity: count) { pointers in
            try withUnsafeTemporaryAllocation(of: Int.self, capacity: count) { counts in
                try withUnsafeTemporaryAllocation(of: UnsafeMutablePointer<CChar>?.self, capacity: count) { errors in
                    for index in 0..<count {
                        pointers.initializeElement(at: index, to: keys[index].characters)
                        counts.initializeElement(at: index, to: keys[index].count)
                        errors.initializeElement(at: index, to: nil)
                    }
                    rocksdb_batched_multi_get_cf(
                        database,
                        readOptions,
                        family,
                        count,
                        pointers.baseAddress,
                        counts.baseAddress,
                        &found,
                        errors.baseAddress,
                        false
                    )
                    try show(count, errors, visit)
                }
            }
        }
    }

    private func show(
        _ count: Int,
        _ errors: UnsafeMutableBufferPointer<UnsafeMutablePointer<CChar>?>,
        _ visit: (UnsafeRawBufferPointer) -> Void
    ) throws {
        for index in 0..<count {
            if let message = errors[index] {
                throw BenchmarkError("rocksdb: \(String(cString: message))")
            }
            guard let slice = found[index] else { continue }
            var byteCount = 0
            let value = rocksdb_pinnableslice_value(slice, &byteCount)
            visit(UnsafeRawBufferPointer(start: value, count: byteCount))
            rocksdb_pinnableslice_destroy(slice)
            found[index] = nil
        }
    }

    func beginBulkLoad() throws {
        bulkLoad = RocksDBBulkLoad(database: database, options: options, folder: path)
    }

    func appendInBulk(_ entries: EntryBatch) throws {
        try bulkLoad?.append(entries)
    }

    func endBulkLoad() throws {
        try bulkLoad?.finish()
        bulkLoad = nil
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

#endif
