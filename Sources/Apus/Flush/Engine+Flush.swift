// Sealed memtables become tables of level 0. A flush is a compaction whose inputs are memtables: what no reader needs
// any more is not even written.

import ApusIO
import Logging

extension Engine {
    /// Has a background job flush whatever is sealed.
    func scheduleFlush() {
        let isNeeded = structure.withLock { structure in
            guard !structure.isClosing, structure.flushJobs == 0 else { return false }
            guard structure.trees.values.contains(where: { !$0.isFlushing && !$0.sealed.isEmpty }) else { return false }
            structure.flushJobs += 1
            return true
        }
        guard isNeeded else { return }
        environment.scheduler.run(.flush) { [link] in link.engine?.runFlushes() }
    }

    /// Tries background work again that has paused.
    func scheduleRetry() {
        structure.withLock { $0.pauseError = nil }
        scheduleFlush()
        scheduleCompaction()
    }

    private func runFlushes() {
        while let id = nextFlush() {
            do throws(ApusError) {
                try flush(id)
            } catch {
                backgroundFailed(error)
            }
        }
        structure.broadcast()
    }

    /// The keyspace whose flush lets go of the oldest log. If there is none, the job counts as ended at that very
    /// moment: whoever seals a memtable afterwards starts a new one.
    private func nextFlush() -> UInt32? {
        structure.withLock { structure in
            let candidate = structure.trees.values.filter { !$0.isFlushing && !$0.sealed.isEmpty }
                .min { $0.sealed.last!.firstSequence < $1.sealed.last!.firstSequence }
            guard let candidate, structure.pauseError == nil, health.error == nil else {
                structure.flushJobs -= 1
                return nil
            }
            structure.trees[candidate.tree.id]!.isFlushing = true
            return candidate.tree.id
        }
    }

    /// Flushes every sealed memtable that the keyspace has now.
    func flush(_ id: UInt32) throws(ApusError) {
        defer { structure.withLock { $0.trees[id]?.isFlushing = false } }
        let state = structure.withLock { $0.trees[id] }
        guard let state, !state.sealed.isEmpty else { return }
        let memtables = Array(state.sealed)
        let start = clock.monotonicNanoseconds()
        let output = try write(memtables, of: state.tree, above: state.summary)
        let values = try finishValueFiles(of: memtables, for: output)
        var edit = VersionEdit()
        for metadata in output.tables { edit.changes.append(.tableAdded(id, level: 0, metadata)) }
        for metadata in output.blobFiles + values.kept.map(\.metadata) {
            edit.changes.append(.blobAdded(id, metadata))
        }
        let last = memtables.map(\.lastSequence).max()!
        edit.changes.append(.flushedSequence(id, last))
        do {
            try install(edit, in: id) { state in
                for (file, metadata) in values.kept { state.blobFiles[metadata.number] = file.lease }
                state.memtables.removeAll { memtable in memtables.contains { $0 === memtable } }
            }
        } catch {
            // After a failed append nobody knows whether the manifest names the outputs: they stay.
            if error.kind == .closed || error.kind == .outOfSpace { removeOutputs(output) }
            if error.kind == .closed { return }
            throw error
        }
        for file in values.unneeded {
            file.abandon()
            file.lease.markObsolete()
        }
        counters.recordFlush(byteCount: output.bytesWritten + values.kept.reduce(0) { $0 + $1.metadata.byteCount })
        state.tree.counters.recordOutput(output, level: 0)
        emit(
            .flush(
                Event.Work(
                    keyspace: state.tree.name, level: 0, inputTables: memtables.count,
                    outputTables: output.tables.count, bytesRead: 0, bytesWritten: output.bytesWritten,
                    duration: .nanoseconds(Int64(clamping: clock.monotonicNanoseconds() &- start)))))
        scheduleLogRelease()
        scheduleCompaction()
        scheduleUpkeep()
    }

    /// Writes memtables (newest first) as level-0 tables.
    /// - Parameter tree: what lies beneath the memtables.
    func write(_ memtables: [Memtable], of tree: Tree, above summary: TreeSummary) throws(ApusError) -> CompactionOutput
    {
        var input = compactionInput(
            tree, sources: memtables.map { $0.makeCursor() },
            rangeDeletions: memtables.compactMap(\.rangeDeletions), targetLevel: 0,
            elision: .beneathMemtables(of: summary))
        for file in memtables.compactMap(\.valueFile) where file.isBroken {
            input.collectedBlobFiles.insert(file.number)
        }
        return try CompactionJob.run(input, compactionEnvironment(cancellable: false))
    }

    /// Ends the files that took the memtables' values at their commits, as far as the output refers to them.
    private func finishValueFiles(
        of memtables: [Memtable], for output: CompactionOutput
    ) throws(ApusError) -> (kept: [(file: ValueFile, metadata: BlobFileMetadata)], unneeded: [ValueFile]) {
        let needed = Set(output.tables.flatMap { $0.blobReferences.map(\.file) })
        var kept: [(file: ValueFile, metadata: BlobFileMetadata)] = []
        var unneeded: [ValueFile] = []
        for file in memtables.compactMap(\.valueFile) {
            guard needed.contains(file.number) else {
                unneeded.append(file)
                continue
            }
            do throws(ApusError) {
                kept.append((file, try file.finish()))
            } catch {
                // The next flush of these memtables moves the values to another file.
                removeOutputs(output)
                throw error
            }
        }
        return (kept, unneeded)
    }

    func removeOutputs(_ output: CompactionOutput) {
        for table in output.tables { obsoleteFiles.remove(.table(table.number)) }
        for blob in output.blobFiles { obsoleteFiles.remove(.blob(blob.number)) }
    }

    /// A background job failed. Where the device is full, or the system has no file descriptor or no working disk for a
    /// new table, background work pauses and is tried again: the log has everything. A table that cannot be read stops
    /// compaction of its keyspace. Only what befalls the log or the manifest is final for writes.
    func backgroundFailed(_ error: ApusError, compacting id: UInt32? = nil) {
        if error.kind == .closed { return }
        let isFinal = health.error != nil
        switch error.kind {
        case .outOfSpace where !isFinal, .io where !isFinal && (id == nil || error.isForWantOfDescriptors):
            logger.warning("background work pauses", metadata: ["reason": "\(error)"])
            structure.withLock { $0.pauseError = error }
            emit(.error(error))
            environment.scheduler.run(.maintenance, after: 1_000_000_000) { [link] in link.engine?.scheduleRetry() }
        case .corruption where id != nil, .unsupportedFormat where id != nil, .io where id != nil && !isFinal:
            logger.error("compaction stopped", metadata: ["reason": "\(error)"])
            structure.withLock { $0.trees[id!]?.compactionError = error }
            emit(.error(error))
        default:
            fail(error)
        }
        structure.broadcast()
    }

    // MARK: - Letting go of the log

    /// Has the leader find out which segments nobody needs any more: only it knows that no commit is on its way from
    /// the log to a memtable.
    private func scheduleLogRelease() {
        pipeline.enqueue(
            CommitRequest(
                .exclusive { [link] () throws(ApusError) in
                    guard let engine = link.engine, let log = engine.committer.log else { return }
                    guard log.release(through: engine.oldestUnflushed()) else { return }
                    engine.environment.scheduler.run(.maintenance) { link.engine?.retireLogSegments() }
                }, completion: { _ in }))
    }

    /// The last sequence number below which every logged entry is in a table. Called by the leader.
    private func oldestUnflushed() -> SequenceNumber {
        structure.withLock { structure in
            var oldest = committer.lastSequence
            for state in structure.trees.values where !state.tree.isEphemeral {
                for memtable in state.memtables where !memtable.isEmpty {
                    oldest = Swift.min(oldest, SequenceNumber(memtable.firstSequence.rawValue - 1))
                }
            }
            return oldest
        }
    }

    private func retireLogSegments() {
        do throws(ApusError) {
            try committer.log?.retireReleased()
        } catch {
            // The segments stay until the next release, or the next open, which replays what is already in tables and
            // skips it.
            logger.warning("log segments could not be removed", metadata: ["reason": "\(error)"])
        }
    }

    // MARK: - On request

    /// Seals every memtable and waits until all of them are tables.
    func flush() throws(ApusError) {
        var sealed: [Memtable] = []
        try pipeline.perform(
            CommitRequest(
                .exclusive { () throws(ApusError) in
                    try self.health.check()
                    for tree in self.structure.withLock({ $0.orderedTrees.map(\.tree) }) where !tree.active.isEmpty {
                        try self.synchronizeBeforeSealing(tree)
                        self.seal(tree)
                    }
                    sealed = self.structure.withLock { $0.trees.values.flatMap { Array($0.sealed) } }
                }))
        guard !sealed.isEmpty else { return }
        scheduleFlush()
        let waiting = sealed
        try waitForBackground { structure in
            !structure.trees.values.contains { state in
                state.sealed.contains { memtable in waiting.contains { $0 === memtable } }
            }
        }
    }
}
