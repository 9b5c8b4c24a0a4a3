// Time that passes only when it is told to: a day of delays costs nothing, and no test depends on how fast it runs.

import ApusIO

/// A clock that stands still between calls of `advance` and `sleep`. Thread-safe.
public final class SimulatedClock: Clock {
    private struct Time {
        var wallMilliseconds: UInt64
        var monotonicNanoseconds: UInt64 = 0
        /// Nanoseconds that have not yet made a whole millisecond of wall-clock time.
        var wallRemainder: UInt64 = 0
    }

    private let time: Monitor<Time>

    /// The wall clock starts in November 2023 unless told otherwise, the monotonic clock at zero.
    public init(wallMilliseconds: UInt64 = 1_700_000_000_000) {
        time = Monitor(Time(wallMilliseconds: wallMilliseconds))
    }

    public func wallMilliseconds() -> UInt64 {
        time.withLock { $0.wallMilliseconds }
    }

    public func monotonicNanoseconds() -> UInt64 {
        time.withLock { $0.monotonicNanoseconds }
    }

    public func sleep(nanoseconds: UInt64) {
        advance(nanoseconds: nanoseconds)
    }

    /// Lets time pass, on both clocks.
    public func advance(nanoseconds: UInt64) {
        time.withLock { time in
            time.monotonicNanoseconds += nanoseconds
            time.wallRemainder += nanoseconds
            time.wallMilliseconds += time.wallRemainder / 1_000_000
            time.wallRemainder %= 1_000_000
        }
    }

    /// Sets the wall clock, forwards or backwards, as an administrator or a time server does.
    public func setWall(milliseconds: UInt64) {
        time.withLock { $0.wallMilliseconds = milliseconds }
    }
}
