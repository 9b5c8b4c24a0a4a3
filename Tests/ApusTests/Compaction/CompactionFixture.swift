// Real tables and blob files in memory for compaction tests, with a disk that can fail at any call.

import ApusIO
import Testing

@testable import Apus

/// Passes everything on, but the call with a given number fails.
final class FailingFileSystem: FileSystem {
    private let base: MemoryFileSystem
    fileprivate let counter = Monitor<(calls: Int, failing: Int?)>((0, nil))

    init(_ base: MemoryFileSystem) { self.base = base }

    /// Calls from now on are counted from 0; the one with this number fails (nil: none).
    func fail(at call: Int?) { counter.withLock { $0 = (0, call) } }
    var callCount: Int { counter.withLock { $0.calls } }

    fileprivate func count(_ operation: IOError.Operation, _ path: String) throws(IOError) {
        let fails = counter.withLock { state in
            state.calls += 1
            return state.failing == state.calls - 1
        }
        if fails { throw IOError(operation, path: path, code: 5) }
    }

    func open(_ path: String, _ mode: FileMode) throws(IOError) -> any File {
        try count(.open, path)
        return FailingFile(try base.open(path, mode), path, self)
    }
    func createDirectory(_ path: String) throws(IOError) { try base.createDirectory(path) }
    func list(_ directory: String) throws(IOError) -> [String] { try base.list(directory) }
    func status(of path: String) throws(IOError) -> FileStatus? { try base.status(of: path) }
    func rename(_ path: String, to target: String) throws(IOError) { try base.rename(path, to: target) }
    func remove(_ path: String) throws(IOError) { try base.remove(path) }
    func synchronizeDirectory(_ path: String) throws(IOError) { try base.synchronizeDirectory(path) }
    func lock(_ path: String, exclusive: Bool, holder: String) throws(IOError) -> any FileLock {
        try base.lock(path, exclusive: exclusive, holder: holder)
    }
}

private final class FailingFile: File {
    private let base: any File
    private let path: String
    private let system: FailingFileSystem

    init(_ base: any File, _ path: String, _ system: FailingFileSystem) {
        self.base = base
        self.path = path
        self.system = system
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(IOError) -> Int {
        try system.count(.read, path)
        return try base.read(into: buffer, at: offset)
    }
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(IOError) {
        try system.count(.write, path)
        try base.write(bytes, at: offset)
    }
    func synchronize() throws(IOError) {
        try system.count(.synchronize, path)
        try base.synchronize()
    }
    func allocate(_ byteCount: UInt64) throws(IOError) { try base.allocate(byteCount) }
    func truncate(to byteCount: UInt64) throws(IOError) { try base.truncate(to: byteCount) }
    func byteCount() throws(IOError) -> UInt64 { try base.byteCount() }
    func close() throws(IOError) {
        try base.close()
        try system.count(.close, path)
    }
}

/// A directory with the tables and blob files of one keyspace.
final class CompactionFixture: Sendable {
    let disk = MemoryFileSystem()
    let failing: FailingFileSystem
    let context: TableContext
    let store: BlobStore
    private let nextNumber = Monitor<FileNumber>(1)

    init() {
        failing = FailingFileSystem(disk)
        let epochs = EpochDomain()
        let pool = FilePool(fileSystem: failing, limit: 8)
        context = TableContext(
            cache: BlockCache(capacity: 16 << 20, epochs: epochs),
            epochs: epochs,
            filePool: pool,
            onObsolete: { _ in }
        )
        store = BlobStore(pool: pool) { FileName.blob($0).path(in: "db") }
    }

    var environment: CompactionEnvironment {
        CompactionEnvironment(
            fileSystem: failing,
            nextFileNumber: { [self] in
                nextNumber.withLock { number in
                    defer { number += 1 }
                    return number
                }
            },
            path: { $0.path(in: "db") }
        )
    }

    var upcomingNumber: FileNumber { nextNumber.withLock { $0 } }
    var files: [String] { get throws { try disk.list("db").sorted() } }

    func table(_ metadata: TableMetadata) -> Table {
        Table(metadata: metadata, path: FileName.table(metadata.number).path(in: "db"), context: context)
    }

    /// Everything in a table.
    func contents(_ metadata: TableMetadata) throws -> PlainSource {
        let table = table(metadata)
        let cursor = table.makeCursor(fillCache: false, readahead: false)
        var source = PlainSource()
        try cursor.seekToFirst()
        while cursor.isValid {
            source.entries.append(
                PlainEntry(key: [UInt8](cursor.key), trailer: cursor.trailer, payload: [UInt8](cursor.payload))
            )
            try cursor.next()
        }
        source.deletions = try table.rangeDeletions()?.all() ?? []
        return source
    }

    /// An input with the settings that most tests share.
    func input(
        _ sources: [PlainSource],
        target: Int = 1,
        snapshots: [SequenceNumber] = [.max],
        older: TombstoneElision = TombstoneElision(levels: []),
        policy: LevelPolicy = .tiny
    ) -> CompactionInput {
        CompactionInput(
            sources: sources.map { PlainCursor($0) },
            rangeDeletions: sources.map { RangeDeletions($0.deletions) },
            targetLevel: target,
            snapshots: snapshots,
            expiryHorizon: 0,
            elision: older,
            policy: policy,
            mayHoldOperands: false,
            tableOptions: .tiny,
            createdAt: 1,
            blobs: store
        )
    }
}

extension LevelPolicy {
    /// Thresholds that a few hundred entries reach.
    static var tiny: LevelPolicy {
        var policy = LevelPolicy()
        policy.ratio = 3
        policy.levelZeroTrigger = 2
        policy.levelZeroPatience = 2
        policy.levelZeroPressure = 4
        policy.baseByteCount = 1500
        policy.tableByteCount = 600
        policy.expiryPatience = 10
        return policy
    }
}

extension TableWriterOptions {
    static var tiny: TableWriterOptions {
        var options = TableWriterOptions()
        options.blockByteCount = 100
        return options
    }
}

extension [UInt8] {
    init(_ text: String) { self = Array(text.utf8) }
}
