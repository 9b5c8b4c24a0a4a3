// The least that makes a database out of a manifest and a log, in the order in which opening does it.

import ApusIO

@testable import Apus

final class TestCounter: Sendable {
    private let value: Monitor<UInt64>
    init(_ first: UInt64) { value = Monitor(first) }
    func take() -> UInt64 {
        value.withLock { value in
            value += 1
            return value - 1
        }
    }
}

struct LogTestDatabase {
    static let directory = "db"
    static let id = DatabaseID(first: 0x0123_4567_89AB_CDEF, second: 0xFEDC_BA98_7654_3210)

    let disk: LogTestFileSystem
    let manifest: ManifestWriter
    let logs: LogSet
    /// While true, the manifest has no room for an edit that removes segments.
    let refusesUnregistration: Monitor<Bool>

    /// Creates a database, or opens one anew. What was replayed goes to a file that plays the part of a table.
    static func open(
        _ disk: LogTestFileSystem,
        segmentByteCount: UInt64 = 4096,
        manifestByteCount: UInt64 = 8192
    ) throws(ApusError) -> LogTestDatabase {
        var state = ManifestState(databaseID: id)
        var obsolete: [FileName] = []
        let counter: TestCounter
        switch try RecoveredState.read(directory: directory, fileSystem: disk) {
        case .fresh(let leftovers):
            try DatabaseDirectory.create(directory, on: disk)
            for name in leftovers { try io { () throws(IOError) in try disk.remove(name.path(in: directory)) } }
            counter = TestCounter(1)
        case .database(let recovered):
            counter = TestCounter(recovered.nextFileNumber)
            state = recovered.manifest
            obsolete =
                recovered.obsoleteFiles + state.logs.keys.map { .log($0) } + [.manifest(recovered.current.manifest)]
            state.logs = [:]
            let replayed = try replay(recovered, disk)
            try flush(replayed.batches, counter.take(), disk, &state)
            state.lastSequence = max(state.lastSequence, replayed.result.lastSequence)
        }
        let holder = Monitor<ManifestWriter?>(nil)
        let refusesUnregistration = Monitor(false)
        let logs = LogSet(
            .init(directory: directory, fileSystem: disk, databaseID: id, segmentByteCount: segmentByteCount),
            allocateNumber: { counter.take() },
            register: { (number, byteCount) throws(ApusError) in
                let manifest = holder.withLock { $0! }
                try manifest.append(VersionEdit([.logCreated(number, byteCount: byteCount)]))
            },
            unregister: { (numbers) throws(ApusError) in
                if refusesUnregistration.withLock({ $0 }) { throw ApusError(.outOfSpace, "no room for the edit") }
                try holder.withLock { $0! }.append(VersionEdit(numbers.map { .logDeleted($0) }))
            }
        )
        let first = try logs.prepareFirst()
        try apply([.logCreated(first.number, byteCount: first.capacity)], to: &state)
        let manifest = try ManifestWriter(
            .init(directory: directory, fileSystem: disk, byteCount: manifestByteCount),
            state,
            allocateNumber: { counter.take() }
        )
        holder.withLock { $0 = manifest }
        try logs.start(after: state.lastSequence)
        for name in obsolete { try io { () throws(IOError) in try disk.remove(name.path(in: directory)) } }
        return LogTestDatabase(
            disk: disk, manifest: manifest, logs: logs, refusesUnregistration: refusesUnregistration)
    }

    static func apply(_ changes: [VersionEdit.Change], to state: inout ManifestState) throws(ApusError) {
        do throws(DecodingFailure) { try state.apply(VersionEdit(changes)) } catch {
            throw .corruption(error.what, file: directory)
        }
    }

    /// Writes sequence numbers to a file and lists it as a table of keyspace 1.
    private static func flush(
        _ batches: [(SequenceNumber, [UInt8])],
        _ number: FileNumber,
        _ disk: LogTestFileSystem,
        _ state: inout ManifestState
    ) throws(ApusError) {
        guard let last = batches.last?.0, let first = batches.first?.0 else { return }
        let bytes = batches.flatMap { batch in (0..<8).map { UInt8(truncatingIfNeeded: batch.0.rawValue >> (8 * $0)) } }
        try io { () throws(IOError) in
            let file = try disk.open(path(.table(number)), .create)
            try file.write(bytes, at: 0)
            try file.synchronize()
        }
        var changes: [VersionEdit.Change] = []
        if state.keyspaces.isEmpty { changes.append(.keyspaceCreated(1, name: "numbers", KeyspaceSettings())) }
        var table = TableMetadata.sample(number, "a", "a")
        table.byteCount = UInt64(bytes.count)
        table.smallestSequence = first
        table.largestSequence = last
        changes += [.tableAdded(1, level: 0, table), .flushedSequence(1, last)]
        try apply(changes, to: &state)
    }

    static func append(_ payload: [UInt8], _ sequence: SequenceNumber, to logs: LogSet) throws(ApusError) {
        try logs.makeRoom(for: CollectionOfOne(payload.count))
        try payload.withUnsafeBufferPointer { (payload) throws(ApusError) in
            try logs.append(UnsafeRawBufferPointer(payload), sequence: sequence)
        }
    }

    /// Logs a batch with one entry.
    func commit(_ sequence: UInt64, _ byteCount: Int = 20, isDurable: Bool = true) throws(ApusError) {
        try Self.append(Self.batch(sequence, byteCount), SequenceNumber(sequence), to: logs)
        if isDurable { try logs.synchronize() } else { try logs.write(beforeSync: false) }
    }

    /// A batch with one entry whose value depends on `sequence`.
    static func batch(_ sequence: UInt64, _ byteCount: Int = 20) -> [UInt8] {
        var payload: [UInt8] = []
        payload.appendLittleEndian(UInt32(1))
        payload += [EntryKind.value.rawValue, 1, 1, 0x61]
        payload.appendVarint(UInt64(byteCount))
        payload += (0..<byteCount).map { UInt8(truncatingIfNeeded: Int(sequence) &* 31 &+ $0) }
        return payload
    }

    struct Replayed {
        var batches: [(SequenceNumber, [UInt8])] = []
        var result = LogReplay.Result()
        /// From the files that play tables.
        var flushed: [UInt64] = []
        var sequences: [UInt64] { flushed + batches.map { $0.0.rawValue } }
    }

    static func replay(
        _ recovered: RecoveredState,
        _ disk: LogTestFileSystem,
        mode: RecoveryMode = .strict
    ) throws(ApusError) -> Replayed {
        var replayed = Replayed()
        let replay = LogReplay(
            directory: directory,
            fileSystem: disk,
            manifest: recovered.manifest,
            mode: mode
        )
        replayed.result = try replay.run { (sequence, payload) throws(ApusError) in
            replayed.batches.append((sequence, Array(payload)))
        }
        for keyspace in recovered.manifest.keyspaces.values {
            for table in keyspace.tables[0].values {
                let bytes = disk.content(path(.table(table.number)))
                bytes.withUnsafeBytes { bytes in
                    for offset in stride(from: 0, to: bytes.count, by: 8) {
                        replayed.flushed.append(bytes.littleEndian(at: offset))
                    }
                }
            }
        }
        replayed.flushed.sort()
        return replayed
    }

    /// Everything that a reader finds on `disk`.
    static func read(
        _ disk: LogTestFileSystem,
        mode: RecoveryMode = .strict
    ) throws(ApusError) -> (RecoveredState, Replayed)? {
        switch try RecoveredState.read(directory: directory, fileSystem: disk, mode: mode) {
        case .fresh: return nil
        case .database(let recovered): return (recovered, try replay(recovered, disk, mode: mode))
        }
    }

    /// What `database.close` does.
    func close() throws(ApusError) {
        let end = try logs.close()
        try manifest.close(
            CleanClose(lastSequence: end.lastSequence, logNumber: end.number, logByteCount: end.byteCount)
        )
    }

    static func path(_ name: FileName) -> String { name.path(in: directory) }
}

extension TableMetadata {
    static func sample(_ number: FileNumber, _ smallest: String, _ largest: String) -> TableMetadata {
        TableMetadata(
            number: number,
            byteCount: 4096,
            checksum: 0xDEAD_BEEF,
            smallest: Array(smallest.utf8),
            largest: Array(largest.utf8),
            largestIsExclusive: false,
            smallestSequence: SequenceNumber(1),
            largestSequence: SequenceNumber(10),
            entryCount: 10,
            deletionCount: 1,
            rangeDeletionCount: 0,
            rawByteCount: 1000,
            createdAt: 1_700_000_000_000,
            earliestExpiry: 0,
            blobReferences: []
        )
    }
}
