// Slows writers down before they have to be stopped: the further compaction has fallen behind, the smaller the rate at
// which bytes are let in, so that latency rises smoothly instead of hitting a wall.

/// Turns pressure into delays. One user: the commit leader.
struct WriteThrottle {
    /// Pressure is a fraction in 1/1024: 0 = no delay, 1024 = stop until it falls.
    static let stop: UInt32 = 1_024

    /// Bytes a second at the lowest and the highest pressure. The first is what these disks take anyway.
    private static let fastest = 256.0 * 1_048_576
    private static let slowest = 2.0 * 1_048_576
    /// Delays shorter than this are saved up: a sleep costs 50 µs however short it is.
    private static let shortestSleep = 1_000_000.0
    /// Everything waits behind the leader while it sleeps, so a large value is paid for in parts, by later commits
    /// too, and not beyond a limit.
    private static let longestSleep = 100_000_000.0
    private static let largestDebt = 1_000_000_000.0

    private var owed = 0.0

    /// How long to sleep before letting `byteCount` bytes in, in nanoseconds; 0 most of the time.
    mutating func delay(byteCount: Int, pressure: UInt32) -> UInt64 {
        guard pressure > 0 else {
            owed = 0
            return 0
        }
        let relief = 1 - Double(Swift.min(pressure, Self.stop)) / Double(Self.stop)
        let rate = Swift.max(Self.slowest, Self.fastest * relief * relief * relief)
        owed = Swift.min(owed + Double(byteCount) / rate * 1e9, Self.largestDebt)
        guard owed >= Self.shortestSleep else { return 0 }
        let sleep = Swift.min(owed, Self.longestSleep)
        owed -= sleep
        return UInt64(sleep)
    }

    /// The pressure of a tree.
    /// - Parameters:
    ///   - levelZeroCount: tables in level 0.
    ///   - debt: bytes that must be compacted before every level is within its target.
    static func pressure(levelZeroCount: Int, debt: UInt64, limits: Tuning) -> UInt32 {
        func fraction(_ value: Double, from slow: Double, to stop: Double) -> Double {
            value <= slow ? 0 : Swift.min(1, (value - slow) / Swift.max(1, stop - slow))
        }
        let byCount = fraction(
            Double(levelZeroCount), from: Double(limits.levelZeroSlowdown), to: Double(limits.levelZeroStop))
        let byDebt = fraction(Double(debt), from: Double(limits.debtSlowdown), to: Double(limits.debtStop))
        // Debt alone never stops writers: only level 0 grows reads without bound.
        return UInt32(Swift.max(byCount, Swift.min(byDebt, 0.98)) * Double(stop))
    }
}
