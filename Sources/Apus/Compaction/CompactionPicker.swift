// Which tables to compact next: a pure function of the tables, their sizes and what is running. Nothing is opened,
// nothing is remembered between two choices.
//
//   1. Every level gets a score: level 0 by its tables, deeper ones by bytes against their target (LevelPolicy).
//   2. The level with the highest score of 1 or more goes first; within it the table that drags along the fewest bytes
//      of the next level for its own. A level whose way down is blocked by a running compaction is passed over.
//   3. With level 0 far too full and its way down blocked, its tables are merged among themselves: reads get cheaper
//      while the base level is busy.
//   4. With no level due, tables are looked for that hold garbage: deletions, expired entries, references into blob
//      files that are mostly garbage (CompactionPicker+Garbage.swift).
//
// A table with nothing in its way is moved, not copied.

struct CompactionPicker: Sendable {
    var policy: LevelPolicy

    /// The next thing to do. Cost: a few passes over the tables of the levels that are due.
    func choose(_ tree: TreeSummary, running: [CompactionFootprint], at moment: CompactionMoment) -> CompactionChoice {
        let targets = policy.targets(tree.levels.map(\.totalByteCount))
        var due = scores(tree, excluding: running, targets).enumerated().filter { $0.element >= 1 }
        due.sort { ($0.element, $1.offset) > ($1.element, $0.offset) }
        for (level, _) in due {
            let plan =
                level == 0
                ? levelZeroPlan(tree, running, targets)
                : levelPlan(level, tree, running)
            if let plan { return choice(for: plan, tree, moment) }
            if level == 0, let plan = pressurePlan(tree, running) { return choice(for: plan, tree, moment) }
        }
        return garbageChoice(tree, running, at: moment) ?? .nothing
    }

    /// How urgently each level needs compaction: due from 1. For statistics and for write backpressure.
    func scores(_ tree: TreeSummary) -> [Double] {
        scores(tree, excluding: [], policy.targets(tree.levels.map(\.totalByteCount)))
    }

    /// Roughly how many bytes must be written until every level is within its target.
    func debt(_ tree: TreeSummary) -> UInt64 {
        let sizes = tree.levels.map(\.totalByteCount)
        let targets = policy.targets(sizes)
        var debt = 0.0
        /// Bytes that come down from the level above.
        var incoming = 0.0
        if policy.levelZeroScore(tree.levels[0], beneath: tree.levels[1...]) >= 1 {
            incoming = Double(sizes[0])
            debt += incoming + Double(sizes[targets.baseLevel])
        }
        for level in targets.baseLevel..<policy.lastLevel {
            let size = Double(sizes[level]) + incoming
            let excess = size - Double(targets.byteCounts[level])
            guard excess > 0 else {
                incoming = 0
                continue
            }
            incoming = excess
            debt += excess * (1 + Double(sizes[level + 1]) / max(size, 1))
        }
        return UInt64(min(debt, 0x1p62))
    }

    private func scores(
        _ tree: TreeSummary,
        excluding running: [CompactionFootprint],
        _ targets: LevelTargets
    ) -> [Double] {
        tree.levels.enumerated().map { level, tables in
            let idle = running.isEmpty ? tables : tables.filter { !running.occupies($0) }
            if level == 0 { return policy.levelZeroScore(idle, beneath: tree.levels[1...]) }
            // The last level has nowhere to go.
            guard level < policy.lastLevel else { return 0 }
            let size = idle.reduce(0.0) { $0 + Double(policy.compensatedByteCount($1)) }
            return size / Double(max(targets.byteCounts[level], 1))
        }
    }

    // MARK: - Level 0

    /// Level 0 into the base level: the oldest table and all that hangs together with it.
    private func levelZeroPlan(
        _ tree: TreeSummary,
        _ running: [CompactionFootprint],
        _ targets: LevelTargets
    ) -> CompactionPlan? {
        guard let oldest = tree.levels[0].last else { return nil }
        return levelZeroPlan(from: [oldest.number], reason: .levelZero, tree, running, targets)
    }

    /// Level 0 into the base level, beginning with `seeds`. Every table of level 0 whose span touches that of the
    /// chosen ones comes along, so that no key is left with older entries above newer ones. nil if that is blocked.
    func levelZeroPlan(
        from seeds: Set<FileNumber>,
        reason: CompactionReason,
        _ tree: TreeSummary,
        _ running: [CompactionFootprint],
        _ targets: LevelTargets
    ) -> CompactionPlan? {
        var chosen = seeds
        guard var bounds = KeyBounds.of(tree.levels[0].filter({ chosen.contains($0.number) })) else { return nil }
        var grew = true
        while grew {
            grew = false
            for table in tree.levels[0] where !chosen.contains(table.number) && table.bounds.overlaps(bounds) {
                chosen.insert(table.number)
                bounds = bounds.union(table.bounds)
                grew = true
            }
        }
        let upper = tree.levels[0].filter { chosen.contains($0.number) }
        return plan(reason, upper, from: 0, to: targets.baseLevel, tree, running)
    }

    /// The newest tables of level 0 into one, as long as each adds less than what is there already.
    private func pressurePlan(_ tree: TreeSummary, _ running: [CompactionFootprint]) -> CompactionPlan? {
        guard tree.levels[0].count >= policy.levelZeroPressure else { return nil }
        // Newest first, and without gaps: what is skipped would lie both above and below the result.
        var run: [TableMetadata] = []
        var byteCount: UInt64 = 0
        for table in tree.levels[0] {
            if running.occupies(table) {
                if run.isEmpty { continue }
                break
            }
            let limit = max(byteCount.added(byteCount), policy.tableByteCount)
            let total = byteCount.added(table.byteCount)
            if !run.isEmpty, table.byteCount > limit || total > policy.compactionByteLimit { break }
            run.append(table)
            byteCount = total
        }
        guard run.count >= max(policy.levelZeroTrigger, 2) else { return nil }
        return CompactionPlan(
            reason: .levelZeroPressure,
            inputs: [CompactionLevel(level: 0, tables: run)],
            targetLevel: 0
        )
    }

    // MARK: - Deeper levels

    /// The best table of `level` that is free to go down, with what it overlaps.
    private func levelPlan(_ level: Int, _ tree: TreeSummary, _ running: [CompactionFootprint]) -> CompactionPlan? {
        let next = tree.levels[level + 1]
        let candidates = tree.levels[level].filter { !running.occupies($0) }.map { table in
            let overlap = next[next.overlapping(table.bounds)].reduce(UInt64(0)) { $0.added($1.byteCount) }
            return (table: table, cost: Double(overlap) / Double(max(weight(table, overlap), 1)))
        }
        for candidate in candidates.sorted(by: { ($0.cost, $0.table.number) < ($1.cost, $1.table.number) }) {
            if let plan = plan(.levelSize, [candidate.table], from: level, to: level + 1, tree, running) {
                return widened(plan, tree, running)
            }
        }
        return nil
    }

    /// What moving a table down is worth: its own bytes, and what its deletions are likely to free beneath.
    private func weight(_ table: TableMetadata, _ overlap: UInt64) -> UInt64 {
        let own = policy.compensatedByteCount(table)
        return own.added(UInt64(min(policy.rangeDeletionShare(table) * Double(overlap), 0x1p62)))
    }

    /// `upper` of one level and everything it overlaps in the target level; nil if a running compaction is in the way.
    func plan(
        _ reason: CompactionReason,
        _ upper: [TableMetadata],
        from level: Int,
        to target: Int,
        _ tree: TreeSummary,
        _ running: [CompactionFootprint]
    ) -> CompactionPlan? {
        guard let bounds = KeyBounds.of(upper) else { return nil }
        var inputs = [CompactionLevel(level: level, tables: upper)]
        if target != level {
            let lower = tree.levels[target]
            let overlapped = Array(lower[lower.overlapping(bounds)])
            if !overlapped.isEmpty { inputs.append(CompactionLevel(level: target, tables: overlapped)) }
        }
        let plan = CompactionPlan(reason: reason, inputs: inputs, targetLevel: target)
        return running.contains { $0.conflicts(with: plan) } ? nil : plan
    }

    /// The plan with further tables of its upper level, if they come without further tables of the lower one. Not from
    /// level 0: there each further table can drag along others that overlap it (see `levelZeroPlan`).
    func widened(
        _ plan: CompactionPlan,
        _ tree: TreeSummary,
        _ running: [CompactionFootprint]
    ) -> CompactionPlan {
        let level = plan.inputs[0].level
        guard level > 0, plan.inputs.count == 2, let bounds = KeyBounds.of(plan.tables) else { return plan }
        let upper = tree.levels[level]
        let more = Array(upper[upper.overlapping(bounds)])
        guard more.count > plan.inputs[0].tables.count,
            more.totalByteCount.added(plan.inputs[1].tables.totalByteCount) <= policy.compactionByteLimit,
            let wider = self.plan(plan.reason, more, from: level, to: plan.targetLevel, tree, running),
            wider.inputs.last == plan.inputs.last
        else { return plan }
        return wider
    }

    // MARK: - Moving

    /// Moves the plan's table instead of copying it where nothing is gained by a copy. A copy also empties blob files.
    func choice(for plan: CompactionPlan, _ tree: TreeSummary, _ moment: CompactionMoment) -> CompactionChoice {
        if isMove(plan, tree, moment) { return .move(plan) }
        var plan = plan
        plan.collectedBlobFiles = BlobCollector.collected(tree)
        return .merge(plan)
    }

    private func isMove(_ plan: CompactionPlan, _ tree: TreeSummary, _ moment: CompactionMoment) -> Bool {
        guard plan.inputs.count == 1, plan.inputs[0].tables.count == 1, plan.targetLevel > plan.inputs[0].level,
            plan.grandparents(in: tree).totalByteCount <= policy.grandparentOverlapLimit
        else { return false }
        if plan.targetLevel == policy.lastLevel, policy.rewritesIntoLastLevel { return false }
        let table = plan.inputs[0].tables[0]
        return !(plan.elision(in: tree).isAtBottom && holdsDroppableDeletions(table, moment))
    }
}

extension [CompactionFootprint] {
    /// True if a running compaction reads `table`.
    func occupies(_ table: TableMetadata) -> Bool { contains { $0.numbers.contains(table.number) } }
}
