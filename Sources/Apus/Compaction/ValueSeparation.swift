// The blob side of one compaction: which values leave the tree, which come back, which move from one blob file to
// another, and the files that are written on the way.

import ApusIO

/// Moves values between tables and blob files. One thread; used by one compaction.
final class ValueSeparation {
    /// Values of at least this many bytes are separated; nil: none.
    private let threshold: Int?
    /// Blob files that are being emptied.
    private let collected: Set<FileNumber>
    private let store: BlobStore
    private let output: BlobOutput

    /// A value's new kind and payload.
    struct Moved {
        var kind: EntryKind
        var payload: [UInt8] = []
        var isSeparated: Bool { kind == .separatedValue || kind == .expiringSeparatedValue }

        init(_ reference: BlobReference, expiresAt: UInt64) {
            kind = expiresAt == 0 ? .separatedValue : .expiringSeparatedValue
            if expiresAt != 0 { payload.appendLittleEndian(expiresAt) }
            reference.encode(into: &payload)
        }

        init(_ value: [UInt8], expiresAt: UInt64) {
            kind = expiresAt == 0 ? .value : .expiringValue
            if expiresAt != 0 { payload.appendLittleEndian(expiresAt) }
            payload += value
        }
    }

    init(threshold: Int?, collected: Set<FileNumber>, store: BlobStore, output: BlobOutput) {
        self.threshold = threshold
        self.collected = collected
        self.store = store
        self.output = output
    }

    /// Writes a large value to the blob file, moves one out of a file that is being emptied, or puts one back that is
    /// not large any more; nil if the value stays where it is.
    func move(_ entry: EntryPayload, key: UnsafeRawBufferPointer) throws(ApusError) -> Moved? {
        switch entry {
        case .value(let bytes, let expiresAt):
            guard let threshold, bytes.count >= threshold else { return nil }
            return Moved(try output.writer().append(key, bytes), expiresAt: expiresAt)
        case .separated(let reference, let expiresAt):
            guard collected.contains(reference.file) else { return nil }
            guard let threshold, reference.valueByteCount >= threshold else {
                return Moved(try store.value(of: reference), expiresAt: expiresAt)
            }
            let moved = try store.withRecord(reference) { record throws(ApusError) in
                try output.writer().append(copyOf: record)
            }
            return Moved(moved, expiresAt: expiresAt)
        case .deletion, .merge, .rangeDeletion:
            return nil
        }
    }
}

/// The blob files that one compaction writes: opened when the first value comes, and a new one begun when one is full.
final class BlobOutput {
    private let environment: CompactionEnvironment
    private let codec: Codec
    private let targetByteCount: UInt64
    private var current: BlobWriter?
    private var finished: [BlobFileMetadata] = []

    init(_ environment: CompactionEnvironment, codec: Codec, targetByteCount: UInt64) {
        self.environment = environment
        self.codec = codec
        self.targetByteCount = targetByteCount
    }

    /// The file that takes the next value.
    func writer() throws(ApusError) -> BlobWriter {
        if let current, current.byteCount < targetByteCount { return current }
        try finishCurrent()
        let number = environment.nextFileNumber()
        let writer = try BlobWriter(
            fileSystem: environment.fileSystem,
            path: environment.path(.blob(number)),
            number: number,
            codec: codec
        )
        current = writer
        return writer
    }

    /// Makes every value durable.
    func finish() throws(ApusError) -> [BlobFileMetadata] {
        try finishCurrent()
        return finished
    }

    /// Closes and removes what was written.
    func abandon() {
        current?.abandon()
        let numbers = finished.map(\.number) + (current.map { [$0.number] } ?? [])
        for number in numbers { try? environment.fileSystem.remove(environment.path(.blob(number))) }
        current = nil
        finished = []
    }

    private func finishCurrent() throws(ApusError) {
        guard let writer = current else { return }
        finished.append(try writer.finish())
        current = nil
    }
}
