// A transaction's own writes in readable form, made only if it reads a keyspace that it wrote to. The entries get
// sequence numbers just above the transaction's snapshot, so that they hide what they replace.

import ApusIO

struct TransactionOverlay {
    private let base: SequenceNumber
    /// Of the keyspaces that were read: what is written and never read, such as large values, is not copied.
    private var parts: [UInt32: Part] = [:]

    /// What the transaction wrote to one keyspace.
    private struct Part {
        var memtable: Memtable?
        /// How far into the batch the memtable goes.
        var indexed = 0
        var indexedByteCount = 0
    }

    init(above snapshot: SequenceNumber) {
        base = snapshot
    }

    /// The memtable of `tree`, with every entry of `batch` that concerns it; nil if there is none.
    mutating func memtable(for tree: Tree, including batch: WriteBatch) -> Memtable? {
        var part = parts[tree.id] ?? Part()
        guard part.indexed < batch.count else { return part.memtable }
        // Only what is new is walked: a transaction may read after each of many writes.
        var added = need(of: tree, in: batch, after: part)
        if let memtable = part.memtable, !memtable.hasRoom(forEntries: added.entries, byteCount: added.byteCount) {
            part = Part()
            added = need(of: tree, in: batch, after: part)
        }
        if added.entries > 0 {
            // Twice what is there now, so that a growing transaction starts again a logarithmic number of times.
            let memtable =
                part.memtable
                ?? Memtable(
                    capacity: 2 * Memtable.capacity(forEntries: added.entries, byteCount: added.byteCount), pool: nil)
            part.memtable = memtable
            batch.withEntries(from: part.indexed, at: part.indexedByteCount) { next in
                var position = part.indexed
                while let entry = next() {
                    position += 1
                    if entry.keyspace == tree.id { memtable.apply(entry, base.advanced(by: position)) }
                }
            }
        }
        part.indexed = batch.count
        part.indexedByteCount = batch.byteCount
        parts[tree.id] = part
        return part.memtable
    }

    /// What the entries of `tree` that `part` does not have yet take.
    private func need(of tree: Tree, in batch: WriteBatch, after part: Part) -> (entries: Int, byteCount: Int) {
        var need = (entries: 0, byteCount: 0)
        batch.withEntries(from: part.indexed, at: part.indexedByteCount) { next in
            while let entry = next() {
                guard entry.keyspace == tree.id else { continue }
                need.entries += 1
                need.byteCount += entry.key.count + entry.payload.count
            }
        }
        return need
    }
}

extension Memtable {
    /// Inserts one batch entry.
    @inline(__always)
    func apply(_ entry: BatchEntry, _ sequence: SequenceNumber) {
        if entry.kind == .rangeDeletion {
            insertRangeDeletion(start: entry.key, end: entry.payload, sequence)
        } else {
            insert(entry.key, Trailer(sequence, entry.kind), entry.payload)
        }
    }
}
