// Background work on threads of our own. Each class of work has its own lane (a queue and its threads), so that a long
// compaction delays neither a flush nor a commit. Threads start with the first work that needs them: a database that is
// only read costs none.

import Synchronization

/// Runs jobs on operating-system threads: one each for commits, flushes and maintenance, several for compactions and
/// for the calls of suspended tasks.
public final class ThreadScheduler: Scheduler {
    private let commit = Lane(threadLimit: 1)
    private let flush = Lane(threadLimit: 1)
    private let maintenance = Lane(threadLimit: 1)
    private let request = Lane(threadLimit: 4)
    private let compaction: Lane
    /// Held while threads are joined, so that a second caller returns no earlier than the first.
    private let shuttingDown = Monitor(())

    /// `compactionThreads` defaults to half the processors, at least one.
    public init(compactionThreads: Int? = nil) {
        let threads = compactionThreads ?? max(1, processorCount() / 2)
        precondition(threads > 0, "compactions need a thread")
        compaction = Lane(threadLimit: threads)
    }

    deinit {
        // The last reference may go in a job, and a thread cannot wait for itself: the threads end on their own.
        for thread in lanes.flatMap({ $0.stop() }) { thread.detach() }
    }

    private var lanes: [Lane] { [commit, flush, maintenance, request, compaction] }

    private func lane(_ workClass: WorkClass) -> Lane {
        switch workClass {
        case .commit: commit
        case .flush: flush
        case .maintenance: maintenance
        case .request: request
        case .compaction: compaction
        }
    }

    public func run(_ workClass: WorkClass, _ work: @escaping @Sendable () -> Void) {
        lane(workClass).add(work)
    }

    public func run(_ workClass: WorkClass, after nanoseconds: UInt64, _ work: @escaping @Sendable () -> Void) {
        let (due, overflow) = SystemClock().monotonicNanoseconds().addingReportingOverflow(nanoseconds)
        lane(workClass).add(work, due: overflow ? .max : due)
    }

    public func help() -> Bool { false }

    public func shutDown() {
        shuttingDown.withLock { _ in
            let threads = lanes.flatMap { $0.stop() }
            for thread in threads {
                // A job that holds the last reference to a database closes it from one of the threads that end here.
                if thread.isCurrent { thread.detach() } else { thread.join() }
            }
        }
    }
}

/// A queue of jobs and the threads that run them, in order of arrival; delayed jobs join the queue when they are due.
private final class Lane: Sendable {
    private struct DelayedJob {
        var due: UInt64
        var work: @Sendable () -> Void
    }

    private struct State {
        var ready: [@Sendable () -> Void] = []
        /// Latest first, so the next one due is taken from the end.
        var delayed: [DelayedJob] = []
        var threads: [SystemThread] = []
        var idleThreadCount = 0
        var isStopped = false
    }

    private let state = TimedMonitor(State())
    private let threadLimit: Int

    init(threadLimit: Int) {
        self.threadLimit = threadLimit
    }

    func add(_ work: @escaping @Sendable () -> Void) {
        state.withLock { state in
            if state.isStopped { return }
            state.ready.append(work)
            startThread(&state, needed: state.ready.count > state.idleThreadCount)
        }
        state.signal()
    }

    func add(_ work: @escaping @Sendable () -> Void, due: UInt64) {
        state.withLock { state in
            if state.isStopped { return }
            // Jobs due at the same time keep their order: the later one goes in front, as the end is taken first.
            let place = state.delayed.firstIndex { $0.due <= due } ?? state.delayed.count
            state.delayed.insert(DelayedJob(due: due, work: work), at: place)
            startThread(&state, needed: state.idleThreadCount == 0)
        }
        state.signal()
    }

    /// Drops what is queued and lets the threads end after their current job. Returns the threads, once.
    func stop() -> [SystemThread] {
        // Dropped jobs may own objects whose deinitialisers run jobs, so they go after the lock is released.
        var dropped = State()
        state.withLock { state in
            swap(&state, &dropped)
            state.isStopped = true
            // The threads still count themselves in and out of it.
            state.idleThreadCount = dropped.idleThreadCount
        }
        state.broadcast()
        return dropped.threads
    }

    private func startThread(_ state: inout State, needed: Bool) {
        guard needed, state.threads.count < threadLimit else { return }
        guard let thread = SystemThread({ self.work() }) else {
            // A lane with fewer threads than it might have is slow; one without any would wait for ever.
            precondition(!state.threads.isEmpty, "the system cannot start a thread")
            return
        }
        state.threads.append(thread)
    }

    private func work() {
        // The job is released by each turn of the loop, outside the lock.
        while let job = nextJob() { job() }
    }

    /// Waits for a job; nil once stopped.
    private func nextJob() -> (@Sendable () -> Void)? {
        var isIdle = false
        return state.waiting { state in
            if isIdle { state.idleThreadCount -= 1 }
            isIdle = false
            if state.isStopped { return .done(nil) }
            let now = state.delayed.isEmpty ? 0 : SystemClock().monotonicNanoseconds()
            while let next = state.delayed.last, next.due <= now {
                state.ready.append(next.work)
                state.delayed.removeLast()
            }
            if !state.ready.isEmpty { return .done(state.ready.removeFirst()) }
            isIdle = true
            state.idleThreadCount += 1
            if let next = state.delayed.last { return .waitUntil(nanoseconds: next.due) }
            return .wait
        }
    }
}
