// Writing the manifest: one frame and one sync per edit, a fresh manifest when the space reserved for one is used up.
// FORMAT.md §6
//
// A new manifest comes to hold in this order, each step durable before the next: 1. the manifest itself, a snapshot of
// everything  2. its name, with CURRENT.tmp  3. CURRENT.tmp renamed to CURRENT. The old one is removed only then.
//
// Failures: a write or sync that fails is final, and so is everything from the rename on, because nobody knows then
// which manifest holds. Running out of space or of file descriptors before the rename changes nothing: the edit is
// refused and may be tried again.

import ApusIO

/// The live manifest. Any thread; edits are made durable one after the other, and the lock is held across the I/O.
final class ManifestWriter: Sendable {
    struct Configuration: Sendable {
        var directory: String
        var fileSystem: any FileSystem
        /// Reserved for a manifest, or twice its snapshot if that is more.
        var byteCount: UInt64 = 4 << 20
    }

    private struct Live {
        var state: ManifestState
        var writer: LogWriter
        var failure: ApusError?
    }

    private let configuration: Configuration
    private let allocateNumber: @Sendable () -> FileNumber
    private let live: Monitor<Live>

    /// Writes a new manifest that holds `state`, and makes it the current one.
    ///
    /// - Parameter allocateNumber: takes the next file number, for this manifest and those that follow it.
    init(
        _ configuration: Configuration,
        _ state: ManifestState,
        allocateNumber: @escaping @Sendable () -> FileNumber
    ) throws(ApusError) {
        self.configuration = configuration
        self.allocateNumber = allocateNumber
        var state = state
        state.cleanClose = nil
        let writer = try Self.build(configuration, &state, number: allocateNumber())
        do throws(IOError) {
            try CurrentFile.publish(in: configuration.directory, on: configuration.fileSystem)
        } catch {
            writer.close()
            throw ApusError(error)
        }
        live = Monitor(Live(state: state, writer: writer))
    }

    /// What the manifest says now.
    var state: ManifestState { live.withLock { $0.state } }
    var number: FileNumber { live.withLock { $0.writer.number } }

    /// Returns when the edit is durable. The names of files that it adds are made durable first; their contents have
    /// to be already.
    func append(_ edit: VersionEdit) throws(ApusError) {
        try live.withLock { (live) throws(ApusError) in
            if let failure = live.failure { throw failure }
            var state = live.state
            do throws(DecodingFailure) { try state.apply(edit) } catch {
                throw .corruption("an impossible change was refused: \(error.what)", file: live.writer.path)
            }
            if edit.changes.contains(where: \.addsFile) {
                do throws(IOError) {
                    try configuration.fileSystem.synchronizeDirectory(configuration.directory)
                } catch {
                    throw Self.poison(&live, error)
                }
            }
            try write(edit, reaching: state, &live)
        }
    }

    /// Records that the database is closed in order, and closes the manifest. Nothing can be appended after. If the
    /// record names no log (number 0), the same edit takes every log segment off the list.
    func close(_ close: CleanClose) throws(ApusError) {
        let dropped = close.logNumber == 0 ? state.logNumbers : []
        try append(VersionEdit(dropped.map { .logDeleted($0) } + [.cleanClose(close)]))
        try live.withLock { (live) throws(ApusError) in
            let current = CurrentFile(
                manifest: live.writer.number,
                state: .clean,
                manifestByteCount: live.writer.writtenByteCount,
                lastSequence: live.state.lastSequence
            )
            live.writer.close()
            live.failure = ApusError(.closed, "the manifest is closed", file: live.writer.path)
            try io { () throws(IOError) in
                try current.stage(in: configuration.directory, on: configuration.fileSystem)
                try CurrentFile.publish(in: configuration.directory, on: configuration.fileSystem)
            }
        }
    }

    /// Closes the file and leaves everything as it is, as a crash would.
    func abandon() {
        live.withLock { live in
            guard live.failure?.kind != .closed else { return }
            live.writer.close()
            live.failure = ApusError(.closed, "the manifest is closed", file: live.writer.path)
        }
    }

    private func write(
        _ edit: VersionEdit,
        reaching state: ManifestState,
        _ live: inout Live
    ) throws(ApusError) {
        let payload = edit.encoded
        if !live.writer.hasRoom(for: CollectionOfOne(payload.count)) {
            try rollOver(&live, reserving: payload.count)
        }
        let ordinal = live.writer.lastSequence.advanced(by: 1)
        do throws(ApusError) {
            try payload.withUnsafeBufferPointer { (payload) throws(ApusError) in
                try live.writer.append(UnsafeRawBufferPointer(payload), sequence: ordinal, kind: .edit)
            }
            try live.writer.synchronize()
        } catch {
            live.failure = error
            throw error
        }
        let nextFileNumber = max(state.nextFileNumber, live.state.nextFileNumber)
        live.state = state
        live.state.nextFileNumber = nextFileNumber
    }

    /// Goes on in a new manifest with room for a payload of `payloadByteCount`.
    private func rollOver(_ live: inout Live, reserving payloadByteCount: Int) throws(ApusError) {
        var state = live.state
        let writer: LogWriter
        do throws(ApusError) {
            writer = try Self.build(
                configuration,
                &state,
                number: allocateNumber(),
                reserving: payloadByteCount
            )
        } catch {
            if error.kind != .outOfSpace { live.failure = Self.final(error) }
            throw error
        }
        do throws(IOError) {
            try CurrentFile.publish(in: configuration.directory, on: configuration.fileSystem)
        } catch {
            writer.close()
            throw Self.poison(&live, error)
        }
        let old = live.writer
        old.close()
        live.state = state
        live.writer = writer
        // A leftover is harmless: opening removes it.
        try? configuration.fileSystem.remove(old.path)
    }

    /// Writes a manifest and CURRENT.tmp, all durable, and leaves only the rename to be done. Removes what it made if
    /// it fails.
    private static func build(
        _ configuration: Configuration,
        _ state: inout ManifestState,
        number: FileNumber,
        reserving payloadByteCount: Int = 0
    ) throws(ApusError) -> LogWriter {
        state.nextFileNumber = max(state.nextFileNumber, number + 1)
        let path = FileName.manifest(number).path(in: configuration.directory)
        do throws(IOError) {
            let file = try configuration.fileSystem.open(path, .create)
            do throws(IOError) {
                let reserved = FrameHeader.frameByteCount(payloadByteCount: payloadByteCount)
                let writer = try fill(file, path, configuration, state, number, reserving: reserved)
                let current = CurrentFile(
                    manifest: number,
                    state: .open,
                    manifestByteCount: writer.syncedByteCount,
                    lastSequence: state.lastSequence
                )
                try current.stage(in: configuration.directory, on: configuration.fileSystem)
                return writer
            } catch {
                try? file.close()
                throw error
            }
        } catch {
            try? configuration.fileSystem.remove(path)
            throw ApusError(error)
        }
    }

    /// Writes header and snapshot, durably.
    private static func fill(
        _ file: any File,
        _ path: String,
        _ configuration: Configuration,
        _ state: ManifestState,
        _ number: FileNumber,
        reserving reserved: Int
    ) throws(IOError) -> LogWriter {
        let payloads = state.snapshot().map(\.encoded)
        let snapshotByteCount = payloads.reduce(0) { $0 + FrameHeader.frameByteCount(payloadByteCount: $1.count) }
        let capacity =
            max(configuration.byteCount, 2 * UInt64(snapshotByteCount)) + UInt64(reserved + SegmentHeader.byteCount)
        let header = SegmentHeader(
            purpose: .manifest,
            number: number,
            databaseID: state.databaseID,
            capacity: (capacity + 4095) & ~4095
        )
        let place = FramePlace(state.databaseID, number)
        var bytes = header.encoded
        for (index, payload) in payloads.enumerated() {
            let offset = bytes.count
            bytes.append(
                contentsOf: repeatElement(0, count: FrameHeader.frameByteCount(payloadByteCount: payload.count))
            )
            bytes.withUnsafeMutableBytes { bytes in
                payload.withUnsafeBytes { payload in
                    FrameHeader.encode(
                        payload,
                        sequence: SequenceNumber(UInt64(index + 1)),
                        kind: .edit,
                        syncedByteCount: 0,
                        at: UInt64(offset),
                        place,
                        to: bytes.baseAddress! + offset
                    )
                }
            }
        }
        try file.allocate(header.capacity)
        try file.write(bytes, at: 0)
        try file.synchronize()
        return LogWriter(
            file: file,
            path: path,
            header: header,
            byteCount: UInt64(bytes.count),
            lastSequence: SequenceNumber(UInt64(payloads.count))
        )
    }

    private static func poison(_ live: inout Live, _ error: IOError) -> ApusError {
        let failed = final(ApusError(error))
        live.failure = failed
        return failed
    }

    private static func final(_ error: ApusError) -> ApusError {
        ApusError(
            .failed,
            "\(error.message); nothing more is written until the database is reopened",
            file: error.file,
            systemCode: error.systemCode
        )
    }
}
