// Closing: what is acknowledged becomes durable, what is in memory becomes tables, and the manifest says that nothing
// is missing, so that the next open can tell a file that was lost at rest from a crash.

import ApusIO
import Synchronization

extension Engine {
    /// Idempotent. Waits for commits that are on their way.
    func close() throws(ApusError) {
        if isClosing.exchange(true, ordering: .acquiringAndReleasing) { return }
        // A commit may be waiting for a compaction, which has just been told to stop. The lock is taken so that the
        // wake-up cannot fall between its look at the flag and its falling asleep.
        structure.withLock { _ in }
        structure.broadcast()
        defer {
            if ownsScheduler { environment.scheduler.shutDown() }
            letGo()
            releaseLock()
            link.cut()
        }
        guard !options.isReadOnly else { return }
        // From here on commits are refused; those in the queue are answered first.
        pipeline.finish()
        counters.reportCommits()
        structure.withLock { $0.isClosing = true }
        structure.broadcast()
        _ = structure.waitUntil(helping: environment.scheduler) { structure in
            structure.flushJobs == 0 && structure.compactionJobs == 0 ? true : nil
        }
        do throws(ApusError) {
            try closeFiles()
        } catch {
            // Whoever keeps the database that could not be closed keeps no file of it open.
            committer.log?.abandon()
            manifest.withLock { manifest in
                manifest?.abandon()
                manifest = nil
            }
            throw error
        }
    }

    private func closeFiles() throws(ApusError) {
        guard let log = committer.log else { return }
        try health.check()
        try log.synchronize()
        let isFlushed = try flushEverything()
        _ = try log.close()
        try manifest.withLock { (manifest) throws(ApusError) in
            guard let writer = manifest else { return }
            manifest = nil
            guard isFlushed else { return writer.abandon() }
            try writer.close(CleanClose(lastSequence: committer.lastSequence, logNumber: 0, logByteCount: 0))
            removeLogs()
        }
    }

    /// Every entry is in a table: a closed database has no log. What cannot be removed now is removed by the next open.
    private func removeLogs() {
        for name in (try? environment.fileSystem.list(directory)) ?? [] {
            if case .log = FileName(name) { try? environment.fileSystem.remove(directory + "/" + name) }
        }
    }

    /// Writes every memtable as tables. False if there was no room: the log has everything, and the next open replays
    /// it.
    private func flushEverything() throws(ApusError) -> Bool {
        do {
            for state in structure.withLock({ $0.orderedTrees }) {
                if !state.tree.active.isEmpty { seal(state.tree, flushing: false) }
                try flush(state.tree.id)
            }
            return true
        } catch {
            guard error.kind == .outOfSpace else { throw error }
            return false
        }
    }

    /// Removes files that nobody needs any more, and closes those that were open for reading. A cursor that is still
    /// there keeps what it reads; the next open removes that.
    private func letGo() {
        epochs.collect()
        obsoleteFiles.removePending()
        filePool.closeIdle()
    }
}
