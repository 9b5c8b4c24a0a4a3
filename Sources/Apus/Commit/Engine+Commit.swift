// What a commit leader does with a group of batches.
//
//   1. admit     health, dropped keyspaces, a transaction's read set
//   2. make room a slice of a memtable and of the log for every batch; may seal a memtable, slow down or wait
//   3. log       large values to their blob file, one frame a batch, one write for the group, one sync if anybody asked
//                for it
//   4. apply     insert into the memtables
//   5. publish   the new sequence number: from here on readers see the group
//
// Readers see a durable commit only after its sync: nobody acts on what a power loss could take back. A failure in
// 1 or 2 changes nothing. A failure in 3 is final for writes (see Health): the group may or may not survive a crash,
// and none of it was acknowledged.

import ApusIO
import Logging
import Synchronization

extension Engine {
    /// One outcome for each request, in order. Called by the leader.
    func process(_ group: [CommitRequest]) -> [Result<Void, ApusError>] {
        if case .exclusive(let action) = group[0].work {
            do throws(ApusError) {
                try action()
                return [.success(())]
            } catch {
                return [.failure(error)]
            }
        }
        return commit(group)
    }

    private func commit(_ group: [CommitRequest]) -> [Result<Void, ApusError>] {
        var outcomes = [Result<Void, ApusError>](repeating: .success(()), count: group.count)
        var admitted: [Admitted] = []
        admitted.reserveCapacity(group.count)
        for (index, request) in group.enumerated() {
            do throws(ApusError) {
                admitted.append(try admit(request, index))
            } catch {
                outcomes[index] = .failure(error)
            }
        }
        guard !admitted.isEmpty else { return outcomes }
        do throws(ApusError) {
            let isDurable = group.contains { $0.durability == .durable }
            try makeRoom(for: admitted)
            try log(&admitted, isDurable: isDurable)
            for item in admitted { apply(item.batch, from: item.firstSequence) }
            visible.store(committer.lastSequence.rawValue, ordering: .releasing)
            afterCommit(byteCount: admitted.reduce(0) { $0 + $1.batch.byteCount })
            for item in admitted { noteExpiry(item.batch) }
        } catch {
            for item in admitted { outcomes[item.index] = .failure(error) }
        }
        return outcomes
    }

    /// A batch on its way through the steps.
    private struct Admitted {
        let index: Int
        var batch: WriteBatch
        var kind = FrameKind.batch
        var firstSequence = SequenceNumber.zero
    }

    private func admit(_ request: CommitRequest, _ index: Int) throws(ApusError) -> Admitted {
        guard case .write(let batch, let validate) = request.work else {
            preconditionFailure("an exclusive request is a group of its own")
        }
        try check(batch, validate)
        return Admitted(index: index, batch: batch)
    }

    /// What was true when the caller asked may have ended while others led.
    func check(_ batch: WriteBatch, _ validate: (() throws(ApusError) -> Void)?) throws(ApusError) {
        try checkWritable()
        for tree in batch.trees where tree.isDropped {
            throw ApusError(.closed, "keyspace \"\(tree.name)\" was dropped")
        }
        try validate?()
    }

    // MARK: - 2. Room

    private func makeRoom(for admitted: [Admitted]) throws(ApusError) {
        if admitted.count == 1 {
            let batch = admitted[0].batch
            for tree in batch.trees {
                try makeRoom(in: tree, forEntries: batch.count, byteCount: batch.byteCount)
            }
            return
        }
        // Of several batches every tree is given the sum of those that touch it.
        var needs: [UInt32: (tree: Tree, entries: Int, byteCount: Int)] = [:]
        for item in admitted {
            for tree in item.batch.trees {
                needs[tree.id, default: (tree, 0, 0)].entries += item.batch.count
                needs[tree.id]!.byteCount += item.batch.byteCount
            }
        }
        for need in needs.values.sorted(by: { $0.tree.id < $1.tree.id }) {
            try makeRoom(in: need.tree, forEntries: need.entries, byteCount: need.byteCount)
        }
    }

    func makeRoom(in tree: Tree, forEntries entries: Int, byteCount: Int) throws(ApusError) {
        let pressure = tree.pressure.load(ordering: .relaxed)
        if pressure > 0 { try slowDown(tree, byteCount: byteCount, pressure: pressure) }
        let isRoomy = tree.withActive { active in
            active.hasRoom(forEntries: entries, byteCount: byteCount) && active.byteCount < tuning.writeBufferByteCount
                && active.valueFile?.isFull(at: tuning.valueFileByteCount) != true
        }
        if isRoomy { return }
        try waitForSealedMemtables(tree)
        try synchronizeBeforeSealing(tree)
        seal(tree, forEntries: entries, byteCount: byteCount)
    }

    /// A table is durable, so everything committed before its entries must be too: otherwise a power loss could take
    /// relaxed commits of other keyspaces and leave later ones of this, or one half of a batch. Called by the leader
    /// before it seals a memtable for a flush.
    func synchronizeBeforeSealing(_ tree: Tree) throws(ApusError) {
        guard !tree.isEphemeral, !tree.active.isEmpty else { return }
        try synchronizeExclusively()
    }

    /// Replaces the active memtable by an empty one that can take `byteCount` bytes in `entries` entries, and has the
    /// old one flushed. Called by the leader, or while there is none (opening, closing).
    func seal(_ tree: Tree, forEntries entries: Int = 0, byteCount: Int = 0, flushing: Bool = true) {
        let capacity = Swift.max(
            memtableCapacity(), Memtable.capacity(forEntries: entries, byteCount: byteCount))
        let wasEmpty = tree.active.isEmpty
        let fresh = Memtable(capacity: capacity, pool: arenas)
        if wasEmpty { dropValueFile(of: tree.active) }
        structure.withLock { structure in
            guard structure.trees[tree.id] != nil else { return }
            if wasEmpty { structure.trees[tree.id]!.memtables.removeFirst() }
            structure.trees[tree.id]!.memtables.insert(fresh, at: 0)
            structure.trees[tree.id]!.publish()
        }
        tree.active = fresh
        if !wasEmpty && flushing { scheduleFlush() }
    }

    /// Room for a memtable of one of many keyspaces: address space only, until it is written.
    func memtableCapacity() -> Int {
        let treeCount = structure.withLock { $0.trees.count }
        let fairShare = Swift.max(1 << 20, (8 * tuning.writeBufferByteCount) / Swift.max(1, treeCount))
        return Memtable.capacity(
            forEntries: 0, byteCount: Swift.min(tuning.writeBufferByteCount, fairShare))
    }

    // MARK: - 3. Log

    private func log(_ admitted: inout [Admitted], isDurable: Bool) throws(ApusError) {
        guard let log = committer.log else { preconditionFailure("a read-only database has no log") }
        var sequence = committer.lastSequence
        for index in admitted.indices {
            // Not before: making room may take longer than compaction waits for an operand that is on its way.
            admitted[index].batch.stampMerges(clock.now)
            admitted[index].firstSequence = sequence.advanced(by: 1)
            sequence = sequence.advanced(by: admitted[index].batch.count)
        }
        guard sequence < .max else { throw ApusError(.failed, "all sequence numbers are used up") }
        do {
            for index in admitted.indices {
                guard let separated = try separateValues(of: admitted[index].batch, isDurable: isDurable) else {
                    continue
                }
                admitted[index].batch = separated
                admitted[index].kind = .separatedBatch
            }
            let logged = admitted.filter { !$0.batch.isEphemeral }
            if !logged.isEmpty {
                try log.makeRoom(for: logged.lazy.map { $0.batch.byteCount })
                for item in logged {
                    try item.batch.encoded.withBytes { (bytes) throws(ApusError) in
                        try log.append(bytes, sequence: item.firstSequence, kind: item.kind)
                    }
                }
                try log.write(beforeSync: isDurable)
                committer.hasUnsyncedCommits = true
            }
            if isDurable && committer.hasUnsyncedCommits { try synchronizeLog(log) }
        } catch {
            throw refused(error)
        }
        committer.lastSequence = sequence
    }

    /// Out of space is a refusal before anything was written; everything else is final.
    func refused(_ error: ApusError) -> ApusError {
        if error.kind != .outOfSpace { fail(error) }
        return error
    }

    func synchronizeLog(_ log: LogSet) throws(ApusError) {
        let start = clock.monotonicNanoseconds()
        try log.synchronize()
        committer.hasUnsyncedCommits = false
        counters.reportCommits()
        counters.recordSync(nanoseconds: clock.monotonicNanoseconds() &- start)
    }

    /// Refuses writes from now on, and says so.
    func fail(_ error: ApusError) {
        health.fail(error)
        logger.error("writes are refused until the database is reopened", metadata: ["reason": "\(error)"])
        emit(.error(error))
        structure.broadcast()
    }

    // MARK: - 4. Apply

    func apply(_ batch: WriteBatch, from first: SequenceNumber) {
        let trees = batch.trees
        var sequence = first
        var userBytes = 0
        if trees.count == 1 {
            // Looked up once: every look counts references.
            let (memtable, counters) = (trees[0].active, trees[0].counters)
            batch.withEntries { next in
                while let entry = next() {
                    memtable.apply(entry, sequence)
                    sequence = sequence.advanced(by: 1)
                    userBytes += entry.userByteCount
                }
            }
            counters.recordCommit(byteCount: userBytes)
        } else {
            batch.withEntries { next in
                while let entry = next() {
                    let tree = trees.first { $0.id == entry.keyspace }!
                    tree.active.apply(entry, sequence)
                    sequence = sequence.advanced(by: 1)
                    let byteCount = entry.userByteCount
                    tree.counters.recordCommit(byteCount: byteCount)
                    userBytes += byteCount
                }
            }
        }
        counters.recordCommit(entries: batch.count, byteCount: userBytes)
    }

    // MARK: - Afterwards

    func noteExpiry(_ batch: WriteBatch) {
        if batch.trees.contains(where: { $0.active.earliestExpiry != 0 }) { scheduleUpkeep() }
    }

    func afterCommit(byteCount: Int) {
        committer.bytesSinceWeighing += byteCount
        if committer.bytesSinceWeighing > tuning.writeBufferByteCount / 32 {
            committer.bytesSinceWeighing = 0
            counters.reportCommits()
            weighMemtables()
        }
        if committer.hasUnsyncedCommits && !committer.isSyncScheduled { scheduleSync() }
        // While a segment is being prepared the question would wait for it.
        if !counters.isPreparingLog.load(ordering: .relaxed), committer.log?.needsPreparation == true {
            scheduleLogPreparation()
        }
    }

    /// Keeps the memtables of all keyspaces together within their share of the budget, and the log within its size.
    private func weighMemtables() {
        let trees = structure.withLock { structure in
            weigh(structure)
            return structure.orderedTrees.map(\.tree)
        }
        let total = trees.reduce(0) { $0 + $1.active.byteCount }
        if total > tuning.writeBufferByteCount,
            let largest = trees.max(by: { $0.active.byteCount < $1.active.byteCount }),
            !largest.active.isEmpty
        {
            sealInPassing(largest)
        }
        guard let log = committer.log else { return }
        let logBytes = log.segments.reduce(0) { $0 + $1.byteCount }
        if logBytes > tuning.logByteCount {
            // Flush whatever holds on to the oldest segment.
            let oldest = trees.filter { !$0.active.isEmpty && !$0.isEphemeral }
                .min { $0.active.firstSequence < $1.active.firstSequence }
            if let oldest { sealInPassing(oldest) }
        }
    }

    /// Seals after a commit that is done: a failed sync makes the database refuse further writes, not this one.
    func sealInPassing(_ tree: Tree) {
        do throws(ApusError) {
            try synchronizeBeforeSealing(tree)
            seal(tree)
        } catch {
            logger.warning("a memtable was not sealed", metadata: ["reason": "\(error)"])
        }
    }

    private func scheduleSync() {
        committer.isSyncScheduled = true
        environment.scheduler.run(.commit, after: options.syncInterval.wholeNanoseconds) { [link] in
            link.engine?.pipeline.enqueue(
                CommitRequest(
                    .exclusive { () throws(ApusError) in
                        guard let engine = link.engine else { return }
                        engine.committer.isSyncScheduled = false
                        try engine.synchronizeExclusively()
                    }, completion: { _ in }))
        }
    }

    /// Syncs the log if anything needs it. Called by the leader.
    func synchronizeExclusively() throws(ApusError) {
        try health.check()
        guard committer.hasUnsyncedCommits, let log = committer.log else { return }
        do {
            try synchronizeLog(log)
        } catch {
            fail(error)
            throw error
        }
    }

    /// Makes every commit so far durable.
    func synchronize() throws(ApusError) {
        try pipeline.perform(
            CommitRequest(.exclusive { () throws(ApusError) in try self.synchronizeExclusively() }))
    }

    private func scheduleLogPreparation() {
        guard !counters.isPreparingLog.exchange(true, ordering: .acquiringAndReleasing) else { return }
        environment.scheduler.run(.flush) { [link] in
            guard let engine = link.engine else { return }
            // A failure here is met again, and reported, by the commit that needs the segment.
            try? engine.committer.log?.prepareNext()
            engine.counters.isPreparingLog.store(false, ordering: .releasing)
        }
    }
}
