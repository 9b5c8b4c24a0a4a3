// Work that falls due by time alone: in a database that nobody writes to, entries expire and FIFO tables grow too old
// without a flush or compaction that would notice; and when writes pause, there is time to free the space of dead entries.

import ApusIO
import Synchronization

extension Engine {
    /// How often the clock is looked at; about what expiry may lie beyond its patience.
    private static let upkeepInterval: UInt64 = 60_000_000_000

    /// Has a background job look at the clock later on, if there is anything that time will change.
    func scheduleUpkeep() {
        guard !options.isReadOnly, !isUpkeepScheduled.load(ordering: .relaxed) else { return }
        let hasWork = structure.withLock { structure in
            !structure.isClosing && structure.trees.values.contains { $0.hasDeadlines || isUntidy($0) }
        }
        guard hasWork else { return }
        if isUpkeepScheduled.exchange(true, ordering: .relaxed) { return }
        environment.scheduler.run(.maintenance, after: Self.upkeepInterval) { [link] in link.engine?.performUpkeep() }
    }

    private func performUpkeep() {
        isUpkeepScheduled.store(false, ordering: .relaxed)
        // Only the commit leader may seal.
        pipeline.enqueue(
            CommitRequest(
                .exclusive { [link] () throws(ApusError) in link.engine?.sealExpired() }, completion: { _ in }))
        tidyUp()
        scheduleCompaction()
        scheduleUpkeep()
    }

    /// While writes go on, level 0 gathers as much as it can, so that compaction writes little. If no file was begun since
    /// the last look, they have paused: then everything goes down to where it hides nothing.
    private func tidyUp() {
        let files = nextFileNumber.next
        guard fileNumberAtUpkeep.exchange(files, ordering: .relaxed) == files else { return }
        structure.withLock { structure in
            for state in structure.trees.values where isUntidy(state) && state.optionalCompaction == nil {
                structure.trees[state.tree.id]!.optionalCompaction = ManualCompaction(
                    reason: .rest, sequence: visibleSequence, nextFileNumber: nextFileNumber.next)
            }
        }
    }

    private func isUntidy(_ state: TreeState) -> Bool {
        let settings = state.tree.settings
        return settings.style == .leveled && state.compactionError == nil
            && !levelPolicy(settings).isTidy(state.summary.levels)
    }

    /// Has memtables flushed that have kept expired entries for longer than tables may.
    private func sealExpired() {
        let now = clock.now()
        for tree in structure.withLock({ $0.orderedTrees.map(\.tree) }) {
            let expiry = tree.active.earliestExpiry
            guard expiry != 0, expiry.addingSaturated(levelPolicy(tree.settings).expiryPatience) <= now else {
                continue
            }
            sealInPassing(tree)
        }
    }
}

extension TreeState {
    /// Whether something of the tree has to go at some time.
    fileprivate var hasDeadlines: Bool {
        if case .fifo(_, let maximumAge) = tree.settings.style, maximumAge > 0, !version.levels[0].isEmpty {
            return true
        }
        return memtables.contains { $0.earliestExpiry != 0 }
            || version.levels.joined().contains { $0.metadata.earliestExpiry != 0 }
    }
}
