// The engine's idea of "now": the wall clock, but never going back within a process, so that an entry seen to be
// expired stays expired whatever happens to the system's clock.

import ApusIO
import Synchronization

final class EngineClock: Sendable {
    private let clock: any Clock
    private let latest = Atomic<UInt64>(0)

    init(_ clock: any Clock) { self.clock = clock }

    /// Milliseconds since 1970; never less than an earlier answer.
    func now() -> UInt64 {
        latest.max(clock.wallMilliseconds(), ordering: .relaxed).newValue
    }

    func monotonicNanoseconds() -> UInt64 { clock.monotonicNanoseconds() }
    func sleep(nanoseconds: UInt64) { clock.sleep(nanoseconds: nanoseconds) }
}
