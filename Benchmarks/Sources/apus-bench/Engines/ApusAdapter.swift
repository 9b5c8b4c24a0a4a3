// Apus through its public interface, as any program would use it.

#if ENGINE_APUS

import Apus

final class ApusAdapter: EngineAdapter {
    static let name = "apus"
    static let compression = "lz4"

    private let database: Database
    private let keyspace: Keyspace
    private let settings: EngineSettings
    var version: String { SourceRevision.current() }

    static func describe(_ settings: EngineSettings) -> String {
        let threshold = KeyspaceOptions().valueSeparationThreshold.map { "\($0) B" } ?? "never"
        return "memoryBudget \(settings.memoryBudget >> 10) KiB, durability \(settings.durability.rawValue), LZ4, "
            + "filter 10 bits per key, checksums verified, values in blob files from \(threshold), all else default"
    }

    init(path: String, settings: EngineSettings) throws {
        self.settings = settings
        database = try Database.open(
            at: path,
            options: Options(
                memoryBudget: settings.memoryBudget,
                durability: settings.durability == .durable ? .durable : .relaxed
            )
        )
        keyspace = try database.keyspace("bench")
    }

    func makeSession() -> ApusSession {
        ApusSession(database: database, keyspace: keyspace)
    }

    func flush() throws {
        try database.flush()
    }

    func pendingByteCount() -> Int? {
        let statistics = database.statistics
        let debt = statistics.keyspaces.reduce(UInt64(0)) { $0 + $1.compactionDebt }
        return Int(debt) + statistics.memtableByteCount
    }

    func close() throws {
        try database.close()
    }
}

final class ApusSession: EngineSession {
    private let database: Database
    private let keyspace: Keyspace
    /// Used again for every call, like the key arrays of other interfaces.
    private var wanted: [UnsafeRawBufferPointer] = []
    private var cursor: Cursor?
    /// The same; nil together.
    private var borrowed: Unmanaged<Cursor>?
    private var direction = ScanDirection.forward

    init(database: Database, keyspace: Keyspace) {
        self.database = database
        self.keyspace = keyspace
    }

    func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        try keyspace.put(key, value)
    }

    func delete(_ key: UnsafeRawBufferPointer) throws {
        try keyspace.delete(key)
    }

    func deleteRange(from start: UnsafeRawBufferPointer, to end: UnsafeRawBufferPointer) throws {
        try keyspace.deleteRange(from: start, to: end)
    }

    func write(_ batch: EntryBatch) throws {
        try database.write { changes in
            for index in 0..<batch.count {
                let (key, value) = batch[index]
                changes.put(key, value, in: keyspace)
            }
        }
    }

    func get(_ key: UnsafeRawBufferPointer, _ visit: (UnsafeRawBufferPointer) -> Void) throws -> Bool {
        let found: Void? = try keyspace.withValue(for: key) { value in
            value.withUnsafeBytes { visit($0) }
        }
        return found != nil
    }

    func getMany(_ keys: KeyBatch, _ visit: (UnsafeRawBufferPointer) -> Void) throws {
        wanted.removeAll(keepingCapacity: true)
        for index in 0..<keys.count { wanted.append(keys[index]) }
        try keyspace.withValues(for: wanted) { _, value in value?.withUnsafeBytes { visit($0) } }
    }

    func openCursor(_ direction: ScanDirection) throws {
        self.direction = direction
        let cursor = try keyspace.makeCursor()
        self.cursor = cursor
        borrowed = Unmanaged.passUnretained(cursor)
    }

    func seek(_ key: UnsafeRawBufferPointer) throws -> Bool {
        try withCursor { cursor in
            try cursor.seek(key)
            return cursor.isValid
        }
    }

    func seekToStart() throws -> Bool {
        try withCursor { cursor in
            switch direction {
            case .forward: try cursor.seekToFirst()
            case .backward: try cursor.seekToLast()
            }
            return cursor.isValid
        }
    }

    func advance() throws -> Bool {
        try withCursor { cursor in
            switch direction {
            case .forward: try cursor.next()
            case .backward: try cursor.previous()
            }
            return cursor.isValid
        }
    }

    func withEntry(_ visit: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void) throws {
        try withCursor { cursor in
            try cursor.withEntry { key, value in
                key.withUnsafeBytes { key in value.withUnsafeBytes { value in visit(key, value) } }
            }
        }
    }

    func closeCursor() {
        borrowed = nil
        cursor = nil
    }

    /// As with a cursor in a local variable, no call counts a reference.
    @inline(__always)
    private func withCursor<Result>(_ body: (Cursor) throws -> Result) throws -> Result {
        guard let borrowed else { throw BenchmarkError("no cursor is open") }
        return try borrowed._withUnsafeGuaranteedRef(body)
    }
}

#endif
