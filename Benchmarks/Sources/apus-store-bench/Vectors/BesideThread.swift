// A thread beside the one that measures.

import Foundation
import Synchronization

/// Runs `updates` on a thread of its own while `body` runs on this one; returns when both have ended, and throws what
/// either of them threw.
func withUpdater<Result>(
    _ updates: @escaping @Sendable () throws -> Void, beside body: () throws -> Result
) throws -> Result {
    let failure = Mutex<(any Error)?>(nil)
    let ended = DispatchSemaphore(value: 0)
    let thread = Thread {
        do {
            try updates()
        } catch {
            failure.withLock { $0 = error }
        }
        ended.signal()
    }
    thread.start()
    let result = Swift.Result { try body() }
    ended.wait()
    if let error = failure.withLock({ $0 }) { throw error }
    return try result.get()
}
