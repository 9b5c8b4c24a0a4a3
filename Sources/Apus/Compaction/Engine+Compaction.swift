// Running compactions: which keyspace is served next, how many run at once, and what becomes of their results. What to
// compact is decided by CompactionPicker, how by CompactionJob.

import ApusIO
import Logging
import Synchronization

extension Engine {
    /// Has background jobs do whatever compaction is due.
    func scheduleCompaction() {
        let jobs = structure.withLock { structure in
            guard !structure.isClosing, structure.pauseError == nil else { return 0 }
            let count = tuning.maximumCompactions - structure.compactionJobs
            structure.compactionJobs += Swift.max(0, count)
            return Swift.max(0, count)
        }
        for _ in 0..<jobs {
            environment.scheduler.run(.compaction) { [link] in link.engine?.runCompactions() }
        }
    }

    private func runCompactions() {
        while let work = nextCompaction() {
            do throws(ApusError) {
                try perform(work)
                finish(work)
            } catch {
                finish(work)
                if work.plan?.reason.isOptional == true, error.kind != .failed {
                    optionalCompactionFailed(error, of: work.state.tree)
                } else {
                    backgroundFailed(error, compacting: work.id)
                }
            }
        }
        structure.broadcast()
    }

    /// A choice on its way.
    private struct CompactionWork {
        let id: UInt32
        var state: TreeState
        let choice: CompactionChoice
        let plan: CompactionPlan?
    }

    /// Picks the most urgent work of all keyspaces and marks its tables as taken. If there is none, the job counts as
    /// ended at that very moment: whoever asks for more work afterwards starts a new one.
    private func nextCompaction() -> CompactionWork? {
        let retention = retention()
        let moment = CompactionMoment(
            now: retention.now, expiryHorizon: retention.expiryHorizon, oldestSnapshot: retention.snapshots[0])
        return structure.withLock { structure in
            guard !isClosing.load(ordering: .relaxed), structure.pauseError == nil, health.error == nil else {
                structure.compactionJobs -= 1
                return nil
            }
            // The keyspace under the highest pressure first.
            let states = structure.trees.values.filter { $0.compactionError == nil }
                .sorted { ($0.urgency, $0.tree.id) > ($1.urgency, $1.tree.id) }
            for state in states {
                if let choice = choose(state, at: moment), let work = take(choice, of: state, &structure) {
                    return work
                }
            }
            // What reads have paid for, or tidies up, waits until nothing is due anywhere.
            for state in states {
                guard let request = state.optionalCompaction else { continue }
                let picker = CompactionPicker(policy: levelPolicy(state.tree.settings))
                switch picker.nextStep(of: request, state.summary, running: state.running, at: moment) {
                case .done: structure.trees[state.tree.id]!.optionalCompaction = nil
                case .blocked: break
                case .run(let choice):
                    if let work = take(choice, of: state, &structure) { return work }
                }
            }
            structure.compactionJobs -= 1
            return nil
        }
    }

    /// Marks the choice's tables as taken. nil if it must not be carried out.
    private func take(
        _ choice: CompactionChoice, of state: TreeState, _ structure: inout Structure
    ) -> CompactionWork? {
        let id = state.tree.id
        let plan: CompactionPlan? =
            switch choice {
            case .merge(let plan), .move(let plan): plan
            case .drop, .nothing: nil
            }
        if let plan, let violation = plan.violation(in: state.summary) {
            let error = ApusError(
                .failed, "keyspace \"\(state.tree.name)\": compaction for \(plan.reason) stopped: \(violation)")
            logger.critical("compaction stopped", metadata: ["reason": "\(error)"])
            structure.trees[id]!.compactionError = error
            return nil
        }
        var work = CompactionWork(id: id, state: state, choice: choice, plan: plan)
        // A compaction goes on for seconds, and memtables are flushed in a fraction of one: it must not keep their memory.
        work.state.memtables = []
        structure.trees[id]!.running.append(plan?.footprint ?? Self.footprint(of: choice))
        return work
    }

    private func choose(_ state: TreeState, at moment: CompactionMoment) -> CompactionChoice? {
        let settings = state.tree.settings
        if let picker = RetentionPicker(settings) {
            let choice = picker.choose(state.summary, running: state.running, at: moment.now)
            return choice == .nothing ? nil : choice
        }
        let picker = CompactionPicker(policy: levelPolicy(settings))
        let summary = state.summary
        for request in state.manualCompactions.values {
            if case .run(let choice) = picker.nextStep(
                of: request, summary, running: state.running, at: moment), choice != .nothing
            {
                return choice
            }
        }
        let choice = picker.choose(summary, running: state.running, at: moment)
        return choice == .nothing ? nil : choice
    }

    func levelPolicy(_ settings: KeyspaceSettings) -> LevelPolicy {
        tuning.levels.adjusted(to: settings)
    }

    private static func footprint(of choice: CompactionChoice) -> CompactionFootprint {
        guard case .drop(let level, let tables) = choice, let bounds = KeyBounds.of(tables) else {
            preconditionFailure("a choice to do nothing is not run")
        }
        return CompactionFootprint(numbers: Set(tables.map(\.number)), targetLevel: level, bounds: bounds)
    }

    private func finish(_ work: CompactionWork) {
        let footprint = work.plan?.footprint ?? Self.footprint(of: work.choice)
        structure.withLock { structure in
            if let index = structure.trees[work.id]?.running.firstIndex(of: footprint) {
                structure.trees[work.id]!.running.remove(at: index)
            }
        }
        structure.broadcast()
    }

    // MARK: - One compaction

    private func perform(_ work: CompactionWork) throws(ApusError) {
        let start = clock.monotonicNanoseconds()
        var edit = VersionEdit()
        var output: CompactionOutput?
        switch work.choice {
        case .nothing:
            return
        case .move(let plan):
            for input in plan.inputs {
                for table in input.tables {
                    edit.changes.append(.tableRemoved(work.id, level: input.level, table.number))
                    edit.changes.append(.tableAdded(work.id, level: plan.targetLevel, table))
                }
            }
        case .drop(let level, let tables):
            for table in tables { edit.changes.append(.tableRemoved(work.id, level: level, table.number)) }
        case .merge(let plan):
            let merged = try merge(plan, work.state)
            output = merged
            for input in plan.inputs {
                for table in input.tables {
                    edit.changes.append(.tableRemoved(work.id, level: input.level, table.number))
                }
            }
            for metadata in merged.tables {
                edit.changes.append(.tableAdded(work.id, level: plan.targetLevel, metadata))
            }
            for metadata in merged.blobFiles { edit.changes.append(.blobAdded(work.id, metadata)) }
        }
        do {
            try dropUnreferencedBlobFiles(&edit, work)
            try install(edit, in: work.id) { _ in }
        } catch {
            if let output, error.kind == .closed || error.kind == .outOfSpace { removeOutputs(output) }
            throw error
        }
        report(work, output, nanoseconds: clock.monotonicNanoseconds() &- start)
    }

    private func merge(_ plan: CompactionPlan, _ state: TreeState) throws(ApusError) -> CompactionOutput {
        var tables: [FileNumber: Table] = [:]
        for table in state.version.levels.joined() { tables[table.metadata.number] = table }
        var cursors: [EntryCursor] = []
        var rangeDeletions: [RangeDeletions] = []
        for input in plan.inputs {
            let inputs = input.tables.map { tables[$0.number]! }
            for table in inputs where table.metadata.rangeDeletionCount > 0 {
                if let deletions = try table.rangeDeletions() { rangeDeletions.append(deletions) }
            }
            if input.level == 0 {
                cursors += inputs.map { $0.makeCursor(fillCache: false, readahead: true) }
            } else {
                cursors.append(LevelCursor(inputs, fillCache: false))
            }
        }
        let summary = state.summary
        var input = compactionInput(
            state.tree, sources: cursors, rangeDeletions: rangeDeletions, targetLevel: plan.targetLevel,
            elision: plan.elision(in: summary))
        input.grandparents = plan.grandparents(in: summary)
        input.collectedBlobFiles = plan.collectedBlobFiles
        input.newerSourcesHold = newerSources(than: plan, state)
        return try CompactionJob.run(input, compactionEnvironment(cancellable: true))
    }

    /// Tells whether anything newer than the plan's inputs has an entry of a key: an operand there may build on it.
    private func newerSources(
        than plan: CompactionPlan, _ state: TreeState
    ) -> (_ key: UnsafeRawBufferPointer) throws(ApusError) -> Bool {
        // Whatever lies above the target and takes no part. Also beside the upper inputs: the lower ones reach beyond
        // them, to keys whose operands are in a neighbour that stays where it is.
        let inputs = Set(plan.inputs.flatMap { $0.tables.map(\.number) })
        func above(_ version: Version) -> [Table] {
            version.levels[..<Swift.max(1, plan.targetLevel)].joined().filter { !inputs.contains($0.metadata.number) }
        }
        var version = state.version
        var tables = above(version)
        return { (key) throws(ApusError) in
            // The tree of this moment: what was in a memtable when the plan was made may be a table by now, and is still
            // newer than the inputs.
            let view = state.tree.retainedView()
            if view.memtables.contains(where: { $0.find(key, .first) != nil }) { return true }
            if view.version !== version {
                version = view.version
                tables = above(version)
            }
            return tables.contains { $0.metadata.bounds.contains(key) }
        }
    }

    /// Blob files that lose their last reference go with the same edit.
    private func dropUnreferencedBlobFiles(_ edit: inout VersionEdit, _ work: CompactionWork) throws(ApusError) {
        let current = structure.withLock { $0.trees[work.id] }
        guard let current, !current.version.blobFiles.isEmpty else { return }
        var summary = current.summary
        for change in edit.changes {
            switch change {
            case .tableRemoved(_, let level, let number): summary.levels[level].removeAll { $0.number == number }
            default: break
            }
        }
        for change in edit.changes {
            if case .tableAdded(_, let level, let metadata) = change { summary.levels[level].append(metadata) }
        }
        for number in BlobCollector.unreferenced(summary) {
            edit.changes.append(.blobRemoved(work.id, number))
        }
    }

    private func report(_ work: CompactionWork, _ output: CompactionOutput?, nanoseconds: UInt64) {
        let level: Int
        let inputs: Int
        switch work.choice {
        case .merge(let plan), .move(let plan): (level, inputs) = (plan.targetLevel, plan.tables.count)
        case .drop(let dropped, let tables): (level, inputs) = (dropped, tables.count)
        case .nothing: return
        }
        if let output { work.state.tree.counters.recordOutput(output, level: level) }
        counters.recordCompaction(bytesRead: output == nil ? 0 : work.plan?.byteCount ?? 0, output)
        emit(
            .compaction(
                Event.Work(
                    keyspace: work.state.tree.name, level: level, inputTables: inputs,
                    outputTables: output?.tables.count ?? 0, bytesRead: work.plan?.byteCount ?? 0,
                    bytesWritten: output?.bytesWritten ?? 0, duration: .nanoseconds(Int64(clamping: nanoseconds)))))
    }

    // MARK: - On request

    /// Brings everything in `range` down to the last level and waits for it.
    func compact(_ range: KeyRange, only tree: Tree?) throws(ApusError) {
        try flush()
        let id = nextRequestID()
        let request = ManualCompaction(
            from: range.lower, to: range.upper, sequence: visibleSequence, nextFileNumber: nextFileNumber.next,
            expiryHorizon: retention().expiryHorizon)
        structure.withLock { structure in
            for key in structure.trees.keys where tree == nil || tree!.id == key {
                guard structure.trees[key]!.tree.settings.style == .leveled else { continue }
                structure.trees[key]!.manualCompactions[id] = request
            }
        }
        defer { structure.withLock { structure in forget(id, &structure) } }
        scheduleCompaction()
        try waitForBackground { structure in
            // Asked whenever a compaction has ended: what is done is forgotten, what is not gets its next step.
            structure.trees.values.allSatisfy { state in
                guard state.manualCompactions[id] != nil, state.tree.settings.style == .leveled else { return true }
                if state.compactionError != nil { return true }
                let moment = CompactionMoment(
                    now: self.clock.now(), expiryHorizon: structure.snapshots.oldestTime(or: self.clock.now()),
                    oldestSnapshot: structure.snapshots.sequences().first ?? self.visibleSequence)
                let picker = CompactionPicker(policy: self.levelPolicy(state.tree.settings))
                return picker.nextStep(of: request, state.summary, running: state.running, at: moment) == .done
            }
        }
        let damaged = structure.withLock { structure in
            structure.orderedTrees.first { (tree == nil || $0.tree === tree!) && $0.compactionError != nil }
        }
        if let error = damaged?.compactionError { throw error }
    }

    private func forget(_ id: UInt64, _ structure: inout Structure) {
        for key in structure.trees.keys { structure.trees[key]!.manualCompactions[id] = nil }
    }

    private func nextRequestID() -> UInt64 {
        structure.withLock { structure in
            structure.lastRequestID += 1
            return structure.lastRequestID
        }
    }
}
