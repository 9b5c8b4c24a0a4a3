// Slowing writers down and making them wait, so that flushes and compaction keep up. Called by the commit leader.

import ApusIO
import Synchronization

extension Engine {
    /// Delays the commit in proportion to how far compaction of `tree` is behind; waits if it must not grow further.
    func slowDown(_ tree: Tree, byteCount: Int, pressure: UInt32) throws(ApusError) {
        let start = clock.monotonicNanoseconds()
        let delay = committer.throttle.delay(byteCount: byteCount, pressure: pressure)
        if delay > 0 { clock.sleep(nanoseconds: delay) }
        if pressure >= WriteThrottle.stop {
            scheduleCompaction()
            try waitForBackground { structure in
                guard let state = structure.trees[tree.id] else { return true }
                if state.compactionError != nil || tree.settings.style != .leveled { return true }
                return state.version.levels[0].count < self.tuning.levelZeroStop
            }
        }
        recordStall(tree, since: start)
    }

    /// Waits until `tree` may have another sealed memtable.
    func waitForSealedMemtables(_ tree: Tree) throws(ApusError) {
        let mayProceed = structure.withLock { structure in
            (structure.trees[tree.id]?.sealed.count ?? 0) < tuning.maximumSealedMemtables
        }
        if mayProceed { return }
        let start = clock.monotonicNanoseconds()
        scheduleFlush()
        try waitForBackground { structure in
            (structure.trees[tree.id]?.sealed.count ?? 0) < self.tuning.maximumSealedMemtables
        }
        recordStall(tree, since: start)
    }

    /// Waits until `condition` holds. Throws if that cannot be expected: the database is closing, has failed, or its
    /// background work pauses (then it is tried again, so that writes resume by themselves).
    func waitForBackground(_ condition: @escaping (Structure) -> Bool) throws(ApusError) {
        var pauseError: ApusError?
        _ = try structure.waitUntil(helping: environment.scheduler) { (structure) throws(ApusError) -> Bool? in
            if condition(structure) { return true }
            if self.isClosing.load(ordering: .acquiring) { throw ApusError(.closed, "the database is closed") }
            try self.health.check()
            if let error = structure.pauseError {
                pauseError = error
                return true
            }
            return nil
        }
        if let pauseError {
            scheduleRetry()
            throw pauseError
        }
    }

    private func recordStall(_ tree: Tree, since start: UInt64) {
        let nanoseconds = clock.monotonicNanoseconds() &- start
        guard nanoseconds > 1_000_000 else { return }
        counters.recordStall(nanoseconds: nanoseconds)
        emit(.stall(keyspace: tree.name, duration: .nanoseconds(Int64(clamping: nanoseconds))))
    }
}
