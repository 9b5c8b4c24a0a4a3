// A transaction's own writes in readable form, made only if it reads a keyspace that it wrote to. The entries get
// sequence numbers just above the transaction's snapshot, so that they hide what they replace.

import ApusIO

struct TransactionOverlay {
    private let base: SequenceNumber
    private var memtables: [UInt32: Memtable] = [:]
    /// How far into the batch the memtables go.
    private var indexed = 0
    private var indexedByteCount = 0

    init(above snapshot: SequenceNumber) {
        base = snapshot
    }

    /// The memtable of `tree`, with every entry of `batch`; nil if none of them concerns it.
    mutating func memtable(for tree: Tree, including batch: WriteBatch) -> Memtable? {
        if indexed < batch.count {
            let added = (entries: batch.count - indexed, byteCount: batch.byteCount - indexedByteCount)
            if memtables.values.contains(where: { !$0.hasRoom(forEntries: added.entries, byteCount: added.byteCount) })
            {
                memtables = [:]
                indexed = 0
                indexedByteCount = 0
            }
            // Twice what is there now, so that a growing transaction starts again a logarithmic number of times.
            let capacity = 2 * Memtable.capacity(forEntries: batch.count, byteCount: batch.byteCount)
            // Only what is new is walked: a transaction may read after each of many writes.
            batch.withEntries(from: indexed, at: indexedByteCount) { next in
                var position = indexed
                while let entry = next() {
                    position += 1
                    let memtable = memtables[entry.keyspace] ?? Memtable(capacity: capacity, pool: nil)
                    memtables[entry.keyspace] = memtable
                    memtable.apply(entry, base.advanced(by: position))
                }
                indexed = position
                indexedByteCount = batch.byteCount
            }
        }
        return memtables[tree.id]
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
