// A transaction's own writes, found by key: for those that write and read the same keyspace in turn, as whoever keeps
// indexes does. Nothing of the batch is copied; `TransactionOverlay` does that for whoever walks over what is written.

import ApusIO

struct WriteIndex {
    /// What a transaction has done to a key.
    enum Finding {
        /// Nothing.
        case untouched
        case value([UInt8], expiresAt: UInt64)
        case deletion
        /// It depends on what was there before, or on a range.
        case unclear
    }

    private struct Slot {
        var hash: UInt64
        /// Where the entry begins in the batch; 0, where none does, if the slot is free.
        var entry: Int
    }

    /// Open addressing, at most half of it in use: the newest entry of each key.
    private var slots: [Slot] = []
    private var count = 0
    /// How far into the batch the index goes.
    private var indexed = 0
    private var indexedByteCount = 0
    /// Keyspaces with range deletions.
    private var cutTrees: [UInt32] = []

    /// The newest entry of `key` in `batch`, which has only grown since it was asked for before.
    mutating func find(_ key: UnsafeRawBufferPointer, in tree: Tree, _ batch: WriteBatch) -> Finding {
        if indexed < batch.count { catchUp(with: batch) }
        if cutTrees.contains(tree.id) { return .unclear }
        let slot = slot(of: key, tree.id, Self.hash(key, tree.id), batch)
        guard slots[slot].entry != 0 else { return .untouched }
        return batch.withEntry(at: slots[slot].entry) { entry in
            switch EntryPayload(Trailer(.zero, entry.kind), entry.payload) {
            case .value(let value, let expiresAt): .value([UInt8](value), expiresAt: expiresAt)
            case .deletion: .deletion
            default: .unclear
            }
        }
    }

    private mutating func catchUp(with batch: WriteBatch) {
        reserve(count + batch.count - indexed)
        batch.forEachEntry(from: indexed, at: indexedByteCount) { entry, start in
            if entry.kind == .rangeDeletion {
                if !cutTrees.contains(entry.keyspace) { cutTrees.append(entry.keyspace) }
                return
            }
            let hash = Self.hash(entry.key, entry.keyspace)
            let slot = slot(of: entry.key, entry.keyspace, hash, batch)
            if slots[slot].entry == 0 { count += 1 }
            slots[slot] = Slot(hash: hash, entry: start)
        }
        indexed = batch.count
        indexedByteCount = batch.byteCount
    }

    private static func hash(_ key: UnsafeRawBufferPointer, _ tree: UInt32) -> UInt64 {
        KeyHash.of(key) &+ UInt64(tree) &* 0x9E37_79B9_7F4A_7C15
    }

    /// The slot of a key, or the free one that it would take.
    private func slot(of key: UnsafeRawBufferPointer, _ tree: UInt32, _ hash: UInt64, _ batch: WriteBatch) -> Int {
        var slot = Int(truncatingIfNeeded: hash) & (slots.count &- 1)
        while slots[slot].entry != 0 {
            if slots[slot].hash == hash {
                let isKey = batch.withEntry(at: slots[slot].entry) { $0.keyspace == tree && equalBytes($0.key, key) }
                if isKey { return slot }
            }
            slot = (slot &+ 1) & (slots.count &- 1)
        }
        return slot
    }

    /// Makes room for so many keys.
    private mutating func reserve(_ keys: Int) {
        guard 2 * keys > slots.count else { return }
        var larger = max(32, slots.count)
        while larger < 2 * keys { larger *= 2 }
        let old = slots
        slots = [Slot](repeating: Slot(hash: 0, entry: 0), count: larger)
        for entry in old where entry.entry != 0 {
            var slot = Int(truncatingIfNeeded: entry.hash) & (larger &- 1)
            while slots[slot].entry != 0 { slot = (slot &+ 1) & (larger &- 1) }
            slots[slot] = entry
        }
    }
}
