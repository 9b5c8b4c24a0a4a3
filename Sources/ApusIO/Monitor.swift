// A mutex with a condition variable: the standard library has `Mutex` but no way to wait. Engine code that waits for
// background work waits here and nowhere else, so that a simulation (one thread) can run the awaited work instead.

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
#error("ApusIO needs a C library: Darwin, Glibc or Musl")
#endif

/// Mutual exclusion over `State`, with waiting.
///
/// Invariant of the unsafe parts: `mutex` and `condition` are allocated once, initialised before the object is
/// shared, and destroyed with it; `state` is touched only with `mutex` held, which makes `@unchecked Sendable` true.
public final class Monitor<State>: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    @usableFromInline @exclusivity(unchecked) var state: State

    public init(_ state: sending State) {
        self.state = state
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        condition.initialize(to: pthread_cond_t())
        #if canImport(Glibc)
        // Most locks here are held for less time than it takes to fall asleep and be woken.
        var attributes = pthread_mutexattr_t()
        pthread_mutexattr_init(&attributes)
        let watchesBeforeItSleeps: Int32 = 3  // PTHREAD_MUTEX_ADAPTIVE_NP
        precondition(pthread_mutexattr_settype(&attributes, watchesBeforeItSleeps) == 0)
        precondition(pthread_mutex_init(mutex, &attributes) == 0)
        pthread_mutexattr_destroy(&attributes)
        #else
        precondition(pthread_mutex_init(mutex, nil) == 0)
        #endif
        precondition(pthread_cond_init(condition, nil) == 0)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    @usableFromInline func lock() { pthread_mutex_lock(mutex) }
    @usableFromInline func unlock() { pthread_mutex_unlock(mutex) }

    /// Runs `body` alone.
    @inlinable
    public func withLock<Result, Failure: Error>(
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // Inlinable, because a generic call into another module costs more than the lock.
        lock()
        defer { unlock() }
        return try body(&state)
    }

    /// Runs `body` alone again and again until it returns a value, waiting in between: for `broadcast`, or, with a point
    /// of the caller's own, for that to be woken and nothing else.
    /// In a simulation the wait runs a pending background job instead; if there is none, nothing could ever make
    /// the condition true and the process stops with a message (a deadlock found).
    @discardableResult
    public func waitUntil<Result, Failure: Error>(
        at point: WaitPoint? = nil, helping scheduler: any Scheduler,
        _ body: (inout State) throws(Failure) -> Result?
    ) throws(Failure) -> Result {
        while true {
            pthread_mutex_lock(mutex)
            do {
                if let result = try body(&state) {
                    pthread_mutex_unlock(mutex)
                    return result
                }
            } catch {
                pthread_mutex_unlock(mutex)
                throw error
            }
            pthread_mutex_unlock(mutex)
            if scheduler.help() { continue }
            pthread_mutex_lock(mutex)
            do {
                if let result = try body(&state) {
                    pthread_mutex_unlock(mutex)
                    return result
                }
            } catch {
                pthread_mutex_unlock(mutex)
                throw error
            }
            pthread_cond_wait(point?.condition ?? condition, mutex)
            pthread_mutex_unlock(mutex)
        }
    }

    /// Wakes every waiter. Call after changing what they wait for.
    public func broadcast() {
        pthread_cond_broadcast(condition)
    }
}

/// Where one thread waits, so that it can be woken alone: a broadcast to many of whom few have anything to do costs each
/// of them a switch of threads.
///
/// Invariant of the unsafe part: `condition` is initialised before the object is shared, and destroyed with it.
public final class WaitPoint: @unchecked Sendable {
    fileprivate let condition: UnsafeMutablePointer<pthread_cond_t>

    public init() {
        condition = .allocate(capacity: 1)
        condition.initialize(to: pthread_cond_t())
        precondition(pthread_cond_init(condition, nil) == 0)
    }

    deinit {
        pthread_cond_destroy(condition)
        condition.deallocate()
    }

    /// Call after changing what the thread waits for.
    public func wake() {
        pthread_cond_signal(condition)
    }
}
