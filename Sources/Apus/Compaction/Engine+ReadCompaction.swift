// Compaction that reads have paid for. A cursor looks into every sorted run of its keyspace, at each seek and at each
// step; a tree that is left with a few tables in several levels makes all of them slower, for ever, although nothing is
// due. So seeks are counted, each as many times as there are runs beyond the first, and once they have cost about as
// much as merging everything into one run would, that is done (the bargain of the ski rental problem: never more than
// twice the cost of knowing the future). LevelDB's compaction after wasted seeks is the same thought, table by table.

import ApusIO
import Logging
import Synchronization

extension Engine {
    /// Told of a cursor's seek that had to look into `extraRunCount` sorted runs besides the first.
    func noteSeek(extraRunCount: Int, in tree: Tree) {
        // Threads may overwrite each other's sums: it is an estimate, and not worth a locked instruction.
        let seeks = tree.wastedSeeks.load(ordering: .relaxed) &+ extraRunCount
        tree.wastedSeeks.store(seeks, ordering: .relaxed)
        // Whether it is due is a look at every table, under a lock: asked once in so many seeks.
        let interval = tuning.leastWastedSeeks
        if seeks / interval != (seeks &- extraRunCount) / interval { considerCompaction(of: tree, wastedSeeks: seeks) }
    }

    /// One rewritten byte costs about as much as a thousandth of a wasted seek, more if blocks have to be read.
    @inline(never)
    private func considerCompaction(of tree: Tree, wastedSeeks: Int) {
        guard !options.isReadOnly else { return }
        let isDue = structure.withLock { structure in
            guard let state = structure.trees[tree.id], state.optionalCompaction == nil, !structure.isClosing,
                tree.settings.style == .leveled, state.compactionError == nil, wastedSeeks > 0
            else { return false }
            let byteCount = state.version.levels.reduce(UInt64(0)) { sum, tables in
                tables.reduce(sum) { $0.addingSaturated($1.metadata.byteCount) }
            }
            guard byteCount <= UInt64(wastedSeeks).multipliedSaturated(UInt64(tuning.byteCountPerWastedSeek)) else {
                return false
            }
            tree.wastedSeeks.store(0, ordering: .relaxed)
            structure.trees[tree.id]!.optionalCompaction = ManualCompaction(
                reason: .reads, sequence: visibleSequence, nextFileNumber: nextFileNumber.next)
            return true
        }
        if isDue { scheduleCompaction() }
    }

    /// Nobody needs such a compaction: where there is no room for it, or a table cannot be read, it is put off until twice
    /// as many seeks have been wasted or writes have paused again, and everything else goes on.
    func optionalCompactionFailed(_ error: ApusError, of tree: Tree) {
        if error.kind == .closed { return }
        logger.warning("a compaction that nobody waits for is put off", metadata: ["reason": "\(error)"])
        emit(.error(error))
        structure.withLock { structure in
            guard let state = structure.trees[tree.id] else { return }
            let byteCount = state.version.levels.joined().reduce(UInt64(0)) {
                $0.addingSaturated($1.metadata.byteCount)
            }
            let price = byteCount / UInt64(tuning.byteCountPerWastedSeek)
            tree.wastedSeeks.store(-Int(clamping: price), ordering: .relaxed)
            structure.trees[tree.id]!.optionalCompaction = nil
        }
    }
}
