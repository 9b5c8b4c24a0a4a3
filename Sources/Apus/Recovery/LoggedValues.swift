// The values of batches that were separated when they were committed: read from the blob files that the log refers to,
// and put back into their batches.  FORMAT.md §3.4
//
// What tables hold already is left as it is: its file may be in the manifest, or long gone. Everything else must be there,
// whole; where it is not, the batch was torn by a crash, or the file is damaged, as with the bytes of the log itself.

import ApusIO

/// One reading of the values that one log refers to. One thread at a time; not `Sendable`.
///
/// Invariant of the unsafe part: the bytes of the last whole batch belong to `batch`, which keeps them until the next call.
final class LoggedValues {
    enum Batch {
        /// The batch with its values. The bytes are valid until the next call.
        case whole(UnsafeRawBufferPointer)
        /// A value is not whole: which, and why.
        case torn(ApusError)
    }

    private let directory: String
    private let fileSystem: any FileSystem
    private let manifest: ManifestState
    private let mode: RecoveryMode
    private var files: [FileNumber: any File] = [:]
    private var batch = WholeBatch()

    init(directory: String, fileSystem: any FileSystem, manifest: ManifestState, mode: RecoveryMode) {
        self.directory = directory
        self.fileSystem = fileSystem
        self.manifest = manifest
        self.mode = mode
    }

    deinit {
        // Opened for reading only: closing cannot lose anything.
        for file in files.values { try? file.close() }
    }

    /// The batch in `payload`, whose first entry has the number `first`. In salvage mode references stay where values
    /// cannot be read.
    func resolve(_ payload: UnsafeRawBufferPointer, _ first: SequenceNumber) throws(ApusError) -> Batch {
        batch.removeAll()
        var sequence = first
        do throws(DecodingFailure) {
            var cursor = try BatchCursor(payload)
            while let entry = try cursor.next() {
                defer { sequence = SequenceNumber(sequence.rawValue &+ 1) }
                guard isNeeded(entry, sequence),
                    case .separated(let reference, let expiresAt)? = EntryPayload(
                        Trailer(.zero, entry.kind), entry.payload)
                else {
                    batch.append(entry.kind, entry.keyspace, entry.key, entry.payload)
                    continue
                }
                guard batch.byteCount + Int(reference.valueByteCount) <= Limits.batchByteCount else {
                    return .torn(
                        .corruption(
                            "the values of a batch are more than \(Limits.batchByteCount) bytes",
                            file: FileName.blob(reference.file).path(in: directory), offset: reference.offset))
                }
                do throws(ApusError) {
                    let moved = ValueSeparation.Moved(try value(reference, of: entry.key), expiresAt: expiresAt)
                    moved.payload.withUnsafeBytes { batch.append(moved.kind, entry.keyspace, entry.key, $0) }
                } catch {
                    guard error.kind == .corruption else { throw DecodingFailure(what: "", underlying: error) }
                    guard mode == .salvage else { return .torn(error) }
                    batch.append(entry.kind, entry.keyspace, entry.key, entry.payload)
                }
            }
        } catch {
            if let underlying = error.underlying { throw underlying }
            // Whoever decodes the batch as it stands says what is wrong with it.
            return .whole(payload)
        }
        return .whole(batch.bytes)
    }

    /// False for what replaying leaves out.
    private func isNeeded(_ entry: BatchEntry, _ sequence: SequenceNumber) -> Bool {
        guard let keyspace = manifest.keyspaces[entry.keyspace] else { return mode == .salvage }
        return !keyspace.settings.isEphemeral && sequence > keyspace.flushedSequence
    }

    private func value(
        _ reference: BlobReference, of key: UnsafeRawBufferPointer
    ) throws(ApusError) -> [UInt8] {
        let path = FileName.blob(reference.file).path(in: directory)
        let file = try open(reference.file, path)
        let byteCount = Int(reference.storedByteCount)
        let length = try io { () throws(IOError) in try file.byteCount() }
        guard (BlobFormat.recordHeaderByteCount...BlobFormat.maximumRecordByteCount).contains(byteCount),
            reference.offset <= length, UInt64(byteCount) <= length - reference.offset
        else {
            throw .corruption("a value goes beyond the end of the file", file: path, offset: reference.offset)
        }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 16)
        defer { buffer.deallocate() }
        let read = try io { () throws(IOError) in try file.read(into: buffer, at: reference.offset) }
        guard read == byteCount else {
            throw .corruption("the file ends while it is read", file: path, offset: reference.offset)
        }
        let record = try BlobRecord(
            UnsafeRawBufferPointer(buffer), file: reference.file, offset: reference.offset, path: path)
        guard record.header.valueByteCount == reference.valueByteCount, equalBytes(record.key, key) else {
            throw .corruption("a reference leads to another value", file: path, offset: reference.offset)
        }
        return try record.value(file: path, offset: reference.offset)
    }

    private func open(_ number: FileNumber, _ path: String) throws(ApusError) -> any File {
        if let file = files[number] { return file }
        do {
            let file = try fileSystem.open(path, .read)
            files[number] = file
            return file
        } catch {
            guard error.kind == .notFound else { throw ApusError(error) }
            throw .corruption("the blob file is missing", file: path)
        }
    }
}

/// An encoded batch under construction.
private struct WholeBatch {
    private var encoded = BatchBytes()

    var byteCount: Int { encoded.count }
    /// Valid until the next change.
    var bytes: UnsafeRawBufferPointer { encoded.withBytes { $0 } }

    mutating func removeAll() { encoded = BatchBytes() }

    mutating func append(
        _ kind: EntryKind, _ keyspace: UInt32, _ key: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer
    ) {
        let head = EntryHead(kind: kind, keyspace: keyspace, key: key, payloadByteCount: payload.count)
        head.encode(to: encoded.addEntry(byteCount: head.byteCount + payload.count)).copyBytes(from: payload)
    }
}
