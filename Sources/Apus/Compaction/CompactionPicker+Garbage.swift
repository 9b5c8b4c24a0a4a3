// Tables worth rewriting though no level is too large: what they hold is partly garbage that the normal flow would
// leave lying, since the last level never moves.

extension CompactionPicker {
    /// True if the table holds many deletions, and no snapshot stands between them and what they delete.
    func holdsDroppableDeletions(_ table: TableMetadata, _ moment: CompactionMoment) -> Bool {
        guard table.largestSequence <= moment.oldestSnapshot else { return false }
        if table.rangeDeletionCount > 0 { return true }
        guard table.deletionCount > 0 else { return false }
        return Double(table.deletionCount) * 100 >= Double(policy.deletionPercentage) * Double(table.entryCount)
    }

    /// True if entries of the table have been expired for long, and it has not been rewritten lately. (How many have
    /// expired is not known; waiting bounds how often a table is rewritten in vain.)
    func holdsExpiredEntries(_ table: TableMetadata, _ moment: CompactionMoment) -> Bool {
        table.earliestExpiry != 0
            && moment.expiryHorizon.subtracted(table.earliestExpiry) >= policy.expiryPatience
            && moment.now.subtracted(table.createdAt) >= policy.expiryPatience
            && table.earliestExpiry <= moment.expiryHorizon
    }

    /// The first table, from the last level up, that is worth a rewrite: deletions, then expiry, then blob garbage.
    /// A table of level 0 goes down to the base for those two last reasons.
    func garbageChoice(
        _ tree: TreeSummary,
        _ running: [CompactionFootprint],
        at moment: CompactionMoment
    ) -> CompactionChoice? {
        let collected = BlobCollector.collected(tree)
        let checks: [(reason: CompactionReason, isDue: (TableMetadata, Bool) -> Bool)] = [
            (.deletions, { table, isBottommost in isBottommost && holdsDroppableDeletions(table, moment) }),
            (.expiry, { table, _ in holdsExpiredEntries(table, moment) }),
            (.blobGarbage, { table, _ in table.blobReferences.contains { collected.contains($0.file) } }),
        ]
        for check in checks where check.reason != .blobGarbage || !collected.isEmpty {
            for level in (0...policy.lastLevel).reversed() {
                for table in tree.levels[level] where !running.occupies(table) {
                    let isBottommost = level > 0 && isBottommost(table, level, tree)
                    guard check.isDue(table, isBottommost) else { continue }
                    let plan: CompactionPlan?
                    if level == 0 {
                        let targets = policy.targets(tree.levels.map(\.totalByteCount))
                        plan = levelZeroPlan(from: [table.number], reason: check.reason, tree, running, targets)
                    } else {
                        // Expired entries above others only turn into deletions, which go down to do their work.
                        let target = check.reason == .expiry && !isBottommost ? level + 1 : level
                        plan = self.plan(check.reason, [table], from: level, to: target, tree, running)
                    }
                    if let plan { return choice(for: plan, tree, moment) }
                }
            }
        }
        return nil
    }

    /// True if no deeper level holds a key in the table's span.
    func isBottommost(_ table: TableMetadata, _ level: Int, _ tree: TreeSummary) -> Bool {
        tree.levels[(level + 1)...].allSatisfy { $0.overlapping(table.bounds).isEmpty }
    }
}

extension UInt64 {
    /// The sum, or the largest number where it would overflow (figures from a manifest may be anything).
    func added(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }

    /// The difference, or 0 where it would be negative (clocks jump).
    func subtracted(_ other: UInt64) -> UInt64 { self > other ? self - other : 0 }
}
