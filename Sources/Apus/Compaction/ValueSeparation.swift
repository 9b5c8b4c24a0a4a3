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

    /// Where a moved value is now.
    enum Moved {
        case separated(BlobReference)
        case inline([UInt8])
    }

    init(threshold: Int?, collected: Set<FileNumber>, store: BlobStore, output: BlobOutput) {
        self.threshold = threshold
        self.collected = collected
        self.store = store
        self.output = output
    }

    /// nil if the value of `entry` stays where it is.
    func move(_ entry: EntryPayload, key: UnsafeRawBufferPointer) throws(ApusError) -> Moved? {
        switch entry {
        case .value(let bytes, _):
            guard let threshold, bytes.count >= threshold else { return nil }
            return .separated(try output.writer().append(key, bytes))
        case .separated(let reference, _):
            guard collected.contains(reference.file) else { return nil }
            guard let threshold, reference.valueByteCount >= threshold else {
                return .inline(try store.value(of: reference))
            }
            return .separated(
                try store.withRecord(reference) { record throws(ApusError) in
                    try output.writer().append(copyOf: record)
                }
            )
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
