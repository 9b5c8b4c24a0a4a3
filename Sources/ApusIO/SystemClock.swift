// Time and randomness of the operating system.

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The system's clocks.
public struct SystemClock: Clock {
    public init() {}

    public func wallMilliseconds() -> UInt64 {
        let time = Self.read(CLOCK_REALTIME)
        // A wall clock set before 1970 reads as 1970.
        return UInt64(max(time.tv_sec, 0)) * 1000 + UInt64(time.tv_nsec) / 1_000_000
    }

    public func monotonicNanoseconds() -> UInt64 {
        let time = Self.read(CLOCK_MONOTONIC)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    public func sleep(nanoseconds: UInt64) {
        var wanted = timespec(nanoseconds: nanoseconds)
        var rest = timespec()
        // A signal ends the sleep early; what was left of it is slept then.
        while nanosleep(&wanted, &rest) != 0, errno == EINTR { wanted = rest }
    }

    private static func read(_ clock: clockid_t) -> timespec {
        var time = timespec()
        precondition(clock_gettime(clock, &time) == 0, "the system has no such clock")
        return time
    }
}

/// The system's cryptographically secure generator.
public struct SystemRandom: RandomSource {
    public init() {}

    public func next() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }
}

extension timespec {
    init(nanoseconds: UInt64) {
        self.init(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    }
}
