// Background work without threads: jobs wait in a queue, and the seed decides which one runs when somebody waits or
// the test says so. So every interleaving of whole jobs can happen, and the same seed repeats it.

import ApusIO

/// Runs jobs on the caller's thread, one at a time, in an order the seed decides.
///
/// Meant for one thread: the order is reproducible only if the calls are.
public final class SimulatedScheduler: Scheduler {
    private struct Job {
        var workClass: WorkClass
        /// When it may run, by the monotonic clock.
        var due: UInt64
        var work: @Sendable () -> Void
    }

    private struct State {
        var jobs: [Job] = []
        /// Classes with a job under way: that job waits for something, and the job run meanwhile is of another class,
        /// as on real threads a lane runs one job after the other.
        var running: [WorkClass] = []
        var isShutDown = false
        var generator: SeededGenerator
    }

    private let seed: UInt64
    private let clock: SimulatedClock
    private let state: Monitor<State>

    public init(seed: UInt64, clock: SimulatedClock) {
        self.seed = seed
        self.clock = clock
        state = Monitor(State(generator: SeededGenerator(seed: seed)))
    }

    /// Jobs that have not begun, delayed ones included.
    public var pendingCount: Int {
        state.withLock { $0.jobs.count }
    }

    public func run(_ workClass: WorkClass, _ work: @escaping @Sendable () -> Void) {
        run(workClass, after: 0, work)
    }

    public func run(_ workClass: WorkClass, after nanoseconds: UInt64, _ work: @escaping @Sendable () -> Void) {
        let (due, overflow) = clock.monotonicNanoseconds().addingReportingOverflow(nanoseconds)
        let job = Job(workClass: workClass, due: overflow ? .max : due, work: work)
        state.withLock { state in
            if !state.isShutDown { state.jobs.append(job) }
        }
    }

    /// Runs one pending job, letting time pass if all of them are delayed. If there is none, nothing could ever end
    /// the caller's wait: the process stops with a message, because a deadlock was found.
    public func help() -> Bool {
        if runOne() { return true }
        guard let due = nextDue() else {
            let running = state.withLock { $0.running.map { "\($0)" } }
            fatalError(
                "deadlock in the simulation with scheduler seed \(seed): a caller waits and no background job can run"
                    + (running.isEmpty ? "" : " (under way: \(running.joined(separator: ", ")))")
            )
        }
        passTime(until: due)
        return runOne()
    }

    /// Runs one job that is due, chosen by the seed. False if there is none.
    @discardableResult
    public func runOne() -> Bool {
        let now = clock.monotonicNanoseconds()
        let next = state.withLock { state -> Job? in
            let candidates = state.jobs.indices.filter {
                state.jobs[$0].due <= now && !state.running.contains(state.jobs[$0].workClass)
            }
            guard !candidates.isEmpty else { return nil }
            let job = state.jobs.remove(at: candidates[state.generator.below(candidates.count)])
            state.running.append(job.workClass)
            return job
        }
        guard let next else { return false }
        next.work()
        state.withLock { _ = $0.running.removeLast() }
        return true
    }

    /// Runs jobs, also those that jobs add, until none is due. Time stands still.
    public func runAll() {
        while runOne() {}
    }

    /// Lets time pass, running every job when it is due.
    public func runAll(for nanoseconds: UInt64) {
        let end = clock.monotonicNanoseconds() + nanoseconds
        runAll()
        while let due = nextDue(), due <= end {
            passTime(until: due)
            runAll()
        }
        passTime(until: end)
    }

    public func shutDown() {
        // Jobs may own objects whose deinitialisers come back here, so they go after the lock is released.
        var dropped: [Job] = []
        state.withLock { state in
            state.isShutDown = true
            swap(&state.jobs, &dropped)
        }
    }

    /// When the next job that could run is due.
    private func nextDue() -> UInt64? {
        state.withLock { state in
            state.jobs.filter { !state.running.contains($0.workClass) }.map(\.due).min()
        }
    }

    private func passTime(until due: UInt64) {
        let now = clock.monotonicNanoseconds()
        if due > now { clock.advance(nanoseconds: due - now) }
    }
}
