// A transaction's own writes in readable form, made only if it reads a keyspace that it wrote to. The entries get
// sequence numbers just above the transaction's snapshot, so that they hide what they replace.

import ApusIO

struct TransactionOverlay {
    private let base: SequenceNumber
    private var memtables: [UInt32: Memtable] = [:]
    /// How far into the batch the memtables go.
    private var indexed = 0

    init(above snapshot: SequenceNumber) {
        base = snapshot
    }

    /// The memtable of `tree`, with every entry of `batch`; nil if none of them concerns it.
    mutating func memtable(for tree: Tree, including batch: WriteBatch) -> Memtable? {
        if indexed < batch.count {
            batch.withEntries { entries in
                // Worst case of one memtable: every entry of the batch.
                let capacity = Memtable.capacity(forEntries: batch.count, byteCount: batch.byteCount)
                if memtables.values.contains(where: { !$0.hasRoom(forEntries: batch.count, byteCount: batch.byteCount) }) {
                    memtables = [:]
                    indexed = 0
                }
                var position = 0
                while let entry = entries() {
                    position += 1
                    if position <= indexed { continue }
                    let memtable = memtables[entry.keyspace] ?? Memtable(capacity: capacity * 2, pool: nil)
                    memtables[entry.keyspace] = memtable
                    memtable.apply(entry, base.advanced(by: position))
                }
                indexed = position
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
