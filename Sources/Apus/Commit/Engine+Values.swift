// Large values on their way into the database: to the blob file of their memtable, before the batch is logged, which then
// holds references. Written once, they cost half of what they cost in the log and, later, in a blob file. See ValueFile.
//
// A synced commit of a few values keeps them: one sync of the log is cheaper than two. Where no file can be had, or no
// space, values stay in the log, too; they go to a blob file when the memtable is flushed.

import ApusIO
import Synchronization

extension Engine {
    /// The batch with its large values replaced by references, the values being with the operating system; nil if all of
    /// them stay where they are. Called by the leader, when there is room in the memtables.
    func separateValues(of batch: WriteBatch, isDurable: Bool) throws(ApusError) -> WriteBatch? {
        guard batch.byteCount >= tuning.leastValueByteCount else { return nil }
        let needs = valueByteCounts(of: batch)
        let total = needs.reduce(0) { $0 + $1.byteCount }
        guard total > 0, !isDurable || total >= tuning.leastSyncedValuesByteCount else { return nil }
        var files: [UInt32: ValueFile] = [:]
        for need in needs {
            guard let file = valueFile(of: need.tree, byteCount: need.byteCount) else { return nil }
            files[need.tree.id] = file
        }
        var separated = WriteBatch()
        var failure: ApusError?
        batch.withEntries { next in
            while failure == nil, let entry = next() {
                let tree = batch.trees.first { $0.id == entry.keyspace }!
                do throws(ApusError) {
                    try append(entry, tree, files[tree.id], to: &separated)
                } catch {
                    failure = error
                }
            }
        }
        if let failure { throw failure }
        for need in needs {
            try files[need.tree.id]!.write()
            committer.note(files[need.tree.id]!)
        }
        return separated
    }

    /// The payload of a reference to `value`, which is with the operating system then; nil if the value has to stay where
    /// it is. For the commit of one value that is not synced.
    func separate(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, in tree: Tree
    ) throws(ApusError) -> BlobReference? {
        let byteCount = ValueFile.recordByteCount(key: key.count, value: value.count)
        guard let file = valueFile(of: tree, byteCount: byteCount) else { return nil }
        let reference = try file.append(key, value)
        try file.write()
        committer.note(file)
        return reference
    }

    /// Whether a value of the keyspace is large enough not to be logged.
    @inline(__always)
    func isLarge(_ value: EntryPayload, in tree: Tree) -> Bool {
        guard case .value(let bytes, _) = value else { return false }
        return isLarge(valueByteCount: bytes.count, in: tree)
    }

    @inline(__always)
    func isLarge(valueByteCount: Int, in tree: Tree) -> Bool {
        guard valueByteCount >= tuning.leastValueByteCount, !tree.isEphemeral else { return false }
        let threshold = tree.committedValueThreshold.load(ordering: .relaxed)
        return threshold != 0 && valueByteCount >= threshold
    }

    /// What the batch's large values need in blob files, by keyspace.
    private func valueByteCounts(of batch: WriteBatch) -> [(tree: Tree, byteCount: Int)] {
        var needs = batch.trees.map { (tree: $0, byteCount: 0) }
        batch.withEntries { next in
            while let entry = next() {
                guard let index = needs.firstIndex(where: { $0.tree.id == entry.keyspace }),
                    entry.payload.count >= tuning.leastValueByteCount,
                    let payload = EntryPayload(Trailer(.zero, entry.kind), entry.payload),
                    isLarge(payload, in: needs[index].tree)
                else { continue }
                needs[index].byteCount += ValueFile.recordByteCount(key: entry.key.count, value: entry.payload.count)
            }
        }
        return needs.filter { $0.byteCount > 0 }
    }

    private func append(
        _ entry: BatchEntry, _ tree: Tree, _ file: ValueFile?, to batch: inout WriteBatch
    ) throws(ApusError) {
        guard let file, let payload = EntryPayload(Trailer(.zero, entry.kind), entry.payload),
            isLarge(payload, in: tree), case .value(let value, let expiresAt) = payload
        else { return batch.appendEntry(entry, tree: tree) }
        let moved = ValueSeparation.Moved(try file.append(entry.key, value), expiresAt: expiresAt)
        moved.payload.withUnsafeBytes { bytes in
            batch.appendEntry(
                BatchEntry(kind: moved.kind, keyspace: entry.keyspace, key: entry.key, payload: bytes), tree: tree)
        }
    }

    /// The file of the active memtable, with space for so many bytes of records; nil if that cannot be had.
    private func valueFile(of tree: Tree, byteCount: Int) -> ValueFile? {
        let step = Swift.max(4 << 10, tuning.valueFileByteCount / 16)
        do throws(ApusError) {
            let file: ValueFile
            if let existing = tree.active.valueFile {
                file = existing
            } else {
                file = try ValueFile(
                    allocateFileNumber(), codec: tree.settings.codec, directory: directory,
                    fileSystem: environment.fileSystem, obsoleteFiles: obsoleteFiles)
                tree.active.valueFile = file
            }
            try file.reserve(byteCount, inStepsOf: step)
            return file
        } catch {
            return nil
        }
    }

    /// Gives up the value file of a memtable that is dropped with nothing in it: nothing refers to the file.
    func dropValueFile(of memtable: Memtable) {
        guard let file = memtable.valueFile else { return }
        committer.forget(file)
        file.abandon()
        file.lease.markObsolete()
    }
}
