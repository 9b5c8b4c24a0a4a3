// Knows when an engine's background threads have come to rest, by the one sign that all engines share: the process uses
// no CPU time.

import Glibc

enum Idleness {
    private static let windowMicroseconds: UInt32 = 100_000
    private static let busyCPUSeconds = 0.002
    private static let idleWindowsWanted = 3
    private static let longestWaitSeconds = 600.0

    /// Returns the seconds until rest began.
    @discardableResult
    static func wait() -> Double {
        let start = monotonicNanoseconds()
        var lastBusy = start
        var idleWindows = 0
        while idleWindows < idleWindowsWanted, Double(lastBusy - start) / 1e9 < longestWaitSeconds {
            let cpuBefore = ProcessCounters.cpuSeconds
            usleep(windowMicroseconds)
            if ProcessCounters.cpuSeconds - cpuBefore > busyCPUSeconds {
                lastBusy = monotonicNanoseconds()
                idleWindows = 0
            } else {
                idleWindows += 1
            }
        }
        return Double(lastBusy - start) / 1e9
    }
}
