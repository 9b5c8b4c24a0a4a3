// Compaction that somebody asked for: everything in a range of keys goes down to the last level, and what lies there
// already is rewritten if that can free anything. The caller runs one step after the other (or several at once) until
// there is nothing left; data written after the request is not chased.
//
// Requests of reads (Engine+ReadCompaction.swift) and of a pause (Engine+Upkeep.swift) go the same way, except that the
// last level stays as it is.

/// A request to compact a range of keys.
struct ManualCompaction: Sendable, Hashable {
    /// `manual`, `reads` or `rest`.
    var reason = CompactionReason.manual
    /// Inclusive; nil is the first key.
    var from: [UInt8]?
    /// Exclusive; nil is after the last key.
    var to: [UInt8]?
    /// The newest visible sequence number at the time of the request.
    var sequence: SequenceNumber
    /// The next file number at the time of the request: tables from here on were written since.
    var nextFileNumber: FileNumber
    /// What had expired by the time of the request, ms since 1970. Fixed, as the rest is: were it to grow, the request
    /// could find something more to do at a moment when nobody is left to do it.
    var expiryHorizon: UInt64 = 0
}

extension CompactionPicker {
    /// The next step towards `request`.
    func nextStep(
        of request: ManualCompaction,
        _ tree: TreeSummary,
        running: [CompactionFootprint],
        at moment: CompactionMoment
    ) -> ManualCompactionStep {
        let targets = policy.targets(tree.levels.map(\.totalByteCount))
        let collected = BlobCollector.collected(tree)
        var isBlocked = false
        for level in 0...policy.lastLevel {
            for table in tree.levels[level].reversed() where concerns(request, table, at: level, collected) {
                let plan =
                    if level == 0 {
                        levelZeroPlan(from: [table.number], reason: request.reason, tree, running, targets)
                    } else {
                        self.plan(
                            request.reason, [table], from: level, to: min(level + 1, policy.lastLevel), tree, running)
                    }
                if let plan { return .run(choice(for: widened(plan, tree, running), tree, moment)) }
                isBlocked = true
            }
            // What is still above must come down first, or it would be compacted twice.
            if isBlocked { return .blocked }
        }
        return .done
    }

    private func concerns(
        _ request: ManualCompaction,
        _ table: TableMetadata,
        at level: Int,
        _ collected: Set<FileNumber>
    ) -> Bool {
        guard table.bounds.overlaps(from: request.from, to: request.to) else { return false }
        if level < policy.lastLevel { return table.smallestSequence <= request.sequence }
        guard request.reason == .manual else { return false }
        // Only what a rewrite can improve: sequence numbers above zero may stand for versions that nobody reads.
        return table.number < request.nextFileNumber
            && (table.largestSequence > .zero || table.deletionCount > 0 || table.rangeDeletionCount > 0
                || (table.earliestExpiry != 0 && table.earliestExpiry <= request.expiryHorizon)
                || table.blobReferences.contains { collected.contains($0.file) })
    }
}
