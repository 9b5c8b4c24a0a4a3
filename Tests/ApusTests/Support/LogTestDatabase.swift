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

    /// Creates a database, or opens one anew: what was replayed is logged again, in new files.
    static func open(
        _ disk: LogTestFileSystem, segmentByteCount: UInt64 = 4096, manifestByteCount: UInt64 = 8192
    ) throws(ApusError) -> LogTestDatabase {
        try DatabaseDirectory.create(directory, on: disk)
        var state = ManifestState(databaseID: id)
        var kept: [(SequenceNumber, [UInt8])] = []
        var base = SequenceNumber.zero
        var obsolete: [FileName] = []
        var nextNumber: UInt64 = 1
        switch try RecoveredState.read(directory: directory, fileSystem: disk) {
        case .fresh(let leftovers):
            for name in leftovers { try io { () throws(IOError) in try disk.remove(name.path(in: directory)) } }
        case .database(let recovered):
            kept = try replay(recovered, disk).batches
            state = recovered.manifest
            obsolete = recovered.obsoleteFiles + state.logs.keys.map { .log($0) } + [.manifest(recovered.current.manifest)]
            nextNumber = recovered.nextFileNumber
            state.logs = [:]
        }
        base = max(SequenceNumber((kept.first?.0.rawValue ?? 1) - 1), .zero)
        let counter = TestCounter(nextNumber)
        let holder = Monitor<ManifestWriter?>(nil)
        let logs = LogSet(
            .init(directory: directory, fileSystem: disk, databaseID: id, segmentByteCount: segmentByteCount),
            allocateNumber: { counter.take() },
            register: { (number, byteCount) throws(ApusError) in
                let manifest = holder.withLock { $0! }
                try manifest.append(VersionEdit([.logCreated(number, byteCount: byteCount)]))
            })
        let first = try logs.prepareFirst()
        do throws(DecodingFailure) {
            try state.apply(VersionEdit([.logCreated(first.number, byteCount: first.capacity)]))
        } catch {
            throw .corruption(error.what, file: directory)
        }
        if kept.isEmpty { base = state.lastSequence }
        // What was replayed has to be durable in the new log before it becomes the current one.
        let manifest: ManifestWriter
        if kept.isEmpty {
            manifest = try newManifest(disk, state, counter, manifestByteCount)
            holder.withLock { $0 = manifest }
            try logs.start(after: base)
        } else {
            manifest = try newManifest(disk, state, counter, manifestByteCount)
            holder.withLock { $0 = manifest }
            try logs.start(after: base)
            for (sequence, payload) in kept { try append(payload, sequence, to: logs) }
            try logs.synchronize()
        }
        for name in obsolete { try? disk.remove(name.path(in: directory)) }
        return LogTestDatabase(disk: disk, manifest: manifest, logs: logs)
    }

    private static func newManifest(
        _ disk: LogTestFileSystem, _ state: ManifestState, _ counter: TestCounter, _ byteCount: UInt64
    ) throws(ApusError) -> ManifestWriter {
        try ManifestWriter(
            .init(directory: directory, fileSystem: disk, byteCount: byteCount), state,
            allocateNumber: { counter.take() })
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
        if isDurable { try logs.synchronize() } else { try logs.write() }
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
        var sequences: [UInt64] { batches.map { $0.0.rawValue } }
    }

    static func replay(
        _ recovered: RecoveredState, _ disk: LogTestFileSystem, mode: RecoveryMode = .strict
    ) throws(ApusError) -> Replayed {
        var replayed = Replayed()
        let replay = LogReplay(
            directory: directory, fileSystem: disk, manifest: recovered.manifest, mode: mode)
        replayed.result = try replay.run { (sequence, payload) throws(ApusError) in
            replayed.batches.append((sequence, Array(payload)))
        }
        return replayed
    }

    /// Everything that a reader finds on `disk`.
    static func read(_ disk: LogTestFileSystem, mode: RecoveryMode = .strict) throws(ApusError) -> (RecoveredState, Replayed)? {
        switch try RecoveredState.read(directory: directory, fileSystem: disk, mode: mode) {
        case .fresh: return nil
        case .database(let recovered): return (recovered, try replay(recovered, disk, mode: mode))
        }
    }

    static func path(_ name: FileName) -> String { name.path(in: directory) }
}
