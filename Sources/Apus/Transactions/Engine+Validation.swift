// What has changed since a sequence number: the questions that transactions ask when they commit.

import ApusIO

extension Engine {
    /// Whether an entry or range deletion newer than `sequence` concerns `key`. Where nothing is newer at all, nothing is
    /// looked up: mostly that is everywhere but in the active memtable.
    func hasChange(
        of key: UnsafeRawBufferPointer, newerThan sequence: SequenceNumber, in tree: Tree
    ) throws(ApusError) -> Bool {
        let hash = KeyHash.of(key)
        return try tree.withView { (view) throws(ApusError) in
            var newest = SequenceNumber.zero
            func consider(_ found: FoundEntry?, _ deletions: RangeDeletions?) -> Bool {
                if let found { newest = Swift.max(newest, found.trailer.sequence) }
                if let deletions {
                    newest = Swift.max(newest, deletions.newestSequence(covering: key, atMost: .max))
                }
                return newest != .zero
            }
            let inMemory = try view.anyMemtable { (memtable) throws(ApusError) in
                guard memtable.lastSequence > sequence else { return false }
                return consider(memtable.find(key, .first), memtable.rangeDeletions)
            }
            if !inMemory {
                _ = try view.levels.anyTable(for: key) { (table) throws(ApusError) in
                    guard table.metadata.largestSequence > sequence else { return false }
                    let deletions = table.metadata.rangeDeletionCount > 0 ? try table.rangeDeletions() : nil
                    return consider(try table.find(key, hash: hash, .first, fill: true), deletions)
                }
            }
            return newest > sequence
        }
    }

    /// Whether `range` has an entry or range deletion newer than `sequence`. Costs a walk over the memtables' and the
    /// recently written tables' part of the range.
    func hasEntry(in range: KeyRange, newerThan sequence: SequenceNumber, tree: Tree) throws(ApusError) -> Bool {
        let view = tree.retainedView()
        for memtable in view.memtables where memtable.lastSequence > sequence {
            if try hasEntry(in: range, newerThan: sequence, memtable.makeCursor(), memtable.rangeDeletions) {
                return true
            }
        }
        for level in view.version.levels.indices {
            for table in view.version.tables(level: level, from: range.lower, through: range.upper)
            where table.metadata.largestSequence > sequence {
                let cursor = table.makeCursor(fillCache: true, readahead: true)
                if try hasEntry(in: range, newerThan: sequence, cursor, try table.rangeDeletions()) { return true }
            }
        }
        return false
    }

    private func hasEntry(
        in range: KeyRange, newerThan sequence: SequenceNumber, _ cursor: EntryCursor, _ deletions: RangeDeletions?
    ) throws(ApusError) -> Bool {
        if let deletions {
            let clipped = deletions.clipped(from: range.lower, to: range.upper)
            if clipped.all().contains(where: { $0.sequence > sequence }) { return true }
        }
        if let lower = range.lower {
            try lower.withBytes { (lower) throws(ApusError) in try cursor.seek(lower, .first) }
        } else {
            try cursor.seekToFirst()
        }
        while cursor.isValid {
            if let upper = range.upper, upper.withUnsafeBytes({ compareBytes(cursor.key, $0) }) >= 0 { return false }
            if cursor.trailer.sequence > sequence { return true }
            try cursor.next()
        }
        return false
    }
}
