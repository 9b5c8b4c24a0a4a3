// Latencies of one thread's operations. The end of an operation is the start of the next, so the clock is read once per
// operation, and the cost of the loop between two calls is part of the latency.

import Histogram

struct LatencyRecorder {
    /// Nanoseconds, up to 100 s, three significant digits.
    private(set) var histogram = Histogram<UInt32>(
        highestTrackableValue: 100_000_000_000,
        numberOfSignificantValueDigits: .three
    )
    private var previous: UInt64 = 0

    @inline(__always)
    mutating func start() {
        previous = monotonicNanoseconds()
    }

    @inline(__always)
    mutating func lap() {
        let now = monotonicNanoseconds()
        histogram.record(now &- previous)
        previous = now
    }

    /// One lap for several operations, recorded as their mean.
    @inline(__always)
    mutating func lap(operations: Int) {
        guard operations > 0 else { return }
        let now = monotonicNanoseconds()
        histogram.record((now &- previous) / UInt64(operations), count: UInt32(operations))
        previous = now
    }

    mutating func merge(_ other: LatencyRecorder) {
        histogram.add(other.histogram)
    }
}
