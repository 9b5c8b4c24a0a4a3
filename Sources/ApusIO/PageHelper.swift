// What the system does to pages takes time that a writer would have to wait for: clearing fresh memory, making pages of
// a mapped file writable, handing dirty ones to the disk. One thread of the process does it ahead of writers, or behind
// them. Nothing depends on it: what it has not come to, the writer's next access or call does itself. So it stands
// outside the scheduler, and a simulation does not see it.

/// Runs short jobs one after the other on a thread that ends when there has been nothing to do for a while.
final class PageHelper: Sendable {
    static let shared = PageHelper()

    private struct State {
        var jobs: [@Sendable () -> Void] = []
        var isRunning = false
    }

    /// Somebody who asks faster than the thread works does better without it.
    private static let largestQueue = 16
    private static let patience: UInt64 = 1_000_000_000

    private let state = TimedMonitor(State())

    /// Runs `job` soon, or never.
    func run(_ job: @escaping @Sendable () -> Void) {
        let needsThread = state.withLock { state in
            guard state.jobs.count < Self.largestQueue else { return false }
            state.jobs.append(job)
            defer { state.isRunning = true }
            return !state.isRunning
        }
        guard needsThread else { return state.signal() }
        if let thread = SystemThread({ self.work() }) { return thread.detach() }
        // Released outside the lock: the last reference to a mapping may be among them.
        _ = state.withLock { state in
            defer { state = State() }
            return state.jobs
        }
    }

    private func work() {
        let clock = SystemClock()
        while true {
            let deadline = clock.monotonicNanoseconds() + Self.patience
            let job: (@Sendable () -> Void)? = state.waiting { state in
                if !state.jobs.isEmpty { return .done(state.jobs.removeFirst()) }
                if clock.monotonicNanoseconds() >= deadline {
                    state.isRunning = false
                    return .done(nil)
                }
                return .waitUntil(nanoseconds: deadline)
            }
            guard let job else { return }
            job()
        }
    }
}
