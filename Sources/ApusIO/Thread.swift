// The two things a scheduler needs of the C library's threads: starting one, and waiting with a deadline.

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A thread of our own: it may block, which threads of the cooperative pool must not.
package struct SystemThread: @unchecked Sendable {
    // Unchecked because the C type is a pointer on some systems; it is only handed back to the library.
    private let handle: pthread_t

    /// Room for the deep frames of debug builds; only pages touched count.
    private static let stackByteCount = 2 << 20

    /// nil if the system has no thread left to give.
    package init?(_ body: @escaping @Sendable () -> Void) {
        final class Box {
            let body: @Sendable () -> Void
            init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }
        let box = Unmanaged.passRetained(Box(body))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, Self.stackByteCount)
        #if canImport(Glibc)
        var created = pthread_t()
        #else
        var created: pthread_t?
        #endif
        #if canImport(Darwin)
        let result = pthread_create(
            &created,
            &attributes,
            { argument in
                Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            },
            box.toOpaque()
        )
        #else
        let result = pthread_create(
            &created,
            &attributes,
            { argument in
                Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().body()
                return nil
            },
            box.toOpaque()
        )
        #endif
        guard result == 0 else {
            box.release()
            return nil
        }
        #if canImport(Glibc)
        handle = created
        #else
        handle = created!
        #endif
    }

    /// Waits until the thread has ended. Once, and never with `detach`.
    package func join() {
        pthread_join(handle, nil)
    }

    /// Whether this is the calling thread.
    var isCurrent: Bool { pthread_equal(handle, pthread_self()) != 0 }

    /// Lets the thread end by itself.
    package func detach() {
        pthread_detach(handle)
    }
}

/// Mutual exclusion over `State` with a wait that can time out; otherwise as `Monitor`.
///
/// Invariant of the unsafe parts: `mutex` and `condition` are allocated once, initialised before the object is shared,
/// and destroyed with it; `state` is touched only with `mutex` held, which makes `@unchecked Sendable` true.
final class TimedMonitor<State>: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    @exclusivity(unchecked) private var state: State

    init(_ state: sending State) {
        self.state = state
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        condition.initialize(to: pthread_cond_t())
        precondition(pthread_mutex_init(mutex, nil) == 0)
        #if canImport(Darwin)
        precondition(pthread_cond_init(condition, nil) == 0)
        #else
        // Deadlines on the monotonic clock: someone setting the wall clock must not delay or rush a job.
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        precondition(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0)
        precondition(pthread_cond_init(condition, &attributes) == 0)
        pthread_condattr_destroy(&attributes)
        #endif
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// What a waiting body asks for.
    enum Step<Result> {
        case done(Result)
        case wait
        /// Wait until the monotonic clock reads this, or until woken.
        case waitUntil(nanoseconds: UInt64)
    }

    func withLock<Result>(_ body: (inout State) -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body(&state)
    }

    /// Runs `body` alone again and again, waiting in between, until it is done.
    func waiting<Result>(_ body: (inout State) -> Step<Result>) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            switch body(&state) {
            case .done(let result): return result
            case .wait: pthread_cond_wait(condition, mutex)
            case .waitUntil(let deadline): wait(until: deadline)
            }
        }
    }

    private func wait(until deadline: UInt64) {
        #if canImport(Darwin)
        let now = SystemClock().monotonicNanoseconds()
        var rest = timespec(nanoseconds: deadline > now ? deadline - now : 0)
        pthread_cond_timedwait_relative_np(condition, mutex, &rest)
        #else
        var time = timespec(nanoseconds: deadline)
        pthread_cond_timedwait(condition, mutex, &time)
        #endif
    }

    func signal() {
        pthread_cond_signal(condition)
    }

    func broadcast() {
        pthread_cond_broadcast(condition)
    }
}

/// Lets threads run that are ready to.
package func yieldProcessor() {
    sched_yield()
}

/// Processors this process may use now.
func processorCount() -> Int {
    max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
}
