// Everything nondeterministic that the engine may use, in one value: disk, time, threads, randomness.
// A simulation replaces all four, so one seed replays one whole history.

public struct Environment: Sendable {
    public var fileSystem: any FileSystem
    public var clock: any Clock
    public var scheduler: any Scheduler
    public var random: any RandomSource

    public init(
        fileSystem: any FileSystem,
        clock: any Clock,
        scheduler: any Scheduler,
        random: any RandomSource
    ) {
        self.fileSystem = fileSystem
        self.clock = clock
        self.scheduler = scheduler
        self.random = random
    }

    /// The real disk, clock, threads and randomness. `compactionThreads` defaults to half the processors.
    public static func system(compactionThreads: Int? = nil) -> Environment {
        Environment(
            fileSystem: POSIXFileSystem(),
            clock: SystemClock(),
            scheduler: ThreadScheduler(compactionThreads: compactionThreads),
            random: SystemRandom()
        )
    }
}

/// The only source of time.
public protocol Clock: Sendable {
    /// Wall-clock time in milliseconds since 1970-01-01 UTC; may jump.
    func wallMilliseconds() -> UInt64
    /// Never goes back; its zero is arbitrary.
    func monotonicNanoseconds() -> UInt64
    /// Blocks the calling thread (the simulated clock advances instead).
    func sleep(nanoseconds: UInt64)
}

/// The only source of randomness.
public protocol RandomSource: Sendable {
    func next() -> UInt64
}

/// What kind of background work a job is; a scheduler gives each kind threads of its own, so that a long compaction
/// never delays a flush or a commit.
public enum WorkClass: Sendable {
    case commit, flush, compaction, maintenance
    /// A call that a suspended task waits for; it may last as long as whatever it waits for in turn.
    case request
}

/// Runs the engine's background work on threads that may block.
public protocol Scheduler: Sendable {
    /// Runs `work` once, soon, on another thread. After `shutDown` the work is dropped.
    func run(_ workClass: WorkClass, _ work: @escaping @Sendable () -> Void)
    /// Runs `work` once, not before `nanoseconds` have passed.
    func run(_ workClass: WorkClass, after nanoseconds: UInt64, _ work: @escaping @Sendable () -> Void)
    /// Called by a thread that is about to wait for background work, without holding any lock. A simulation, which
    /// has no other threads, runs one pending job here and returns true; a threaded scheduler returns false and the
    /// caller blocks on its condition.
    func help() -> Bool
    /// Waits for running jobs, drops pending ones, ends the threads. Idempotent; never called from a job.
    func shutDown()
}
