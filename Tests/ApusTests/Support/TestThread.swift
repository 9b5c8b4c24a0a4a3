// A real thread, for tests of what threads share.

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Starts at once; `join` must be called exactly once.
final class TestThread {
    private let thread: pthread_t

    init(_ body: @escaping @Sendable () -> Void) {
        thread = startThread(ThreadBody(body))
    }

    func join() {
        pthread_join(thread, nil)
    }
}

private final class ThreadBody: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

private func startThread(_ body: ThreadBody) -> pthread_t {
    #if canImport(Darwin)
    var thread: pthread_t?
    #else
    var thread = pthread_t()
    #endif
    let code = pthread_create(&thread, nil, { runThread($0) }, Unmanaged.passRetained(body).toOpaque())
    precondition(code == 0)
    #if canImport(Darwin)
    return thread!
    #else
    return thread
    #endif
}

private func runThread(_ body: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    Unmanaged<ThreadBody>.fromOpaque(body!).takeRetainedValue().body()
    return nil
}
