// Durations as the numbers of milliseconds that keys and values hold.

extension Duration {
    /// Whole milliseconds, rounded up; 0 if it is negative, and never more than a quarter of what there are numbers for,
    /// so that a few of them may be added.
    var countedMilliseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0 && attoseconds >= 0 else { return 0 }
        let (product, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1000)
        let longest = UInt64.max / 4
        if overflow || product >= longest { return longest }
        return Swift.min(longest, product + (UInt64(attoseconds) + 999_999_999_999_999) / 1_000_000_000_000_000)
    }

    /// Whole milliseconds, rounded towards zero, of either sign; as many as an integer holds.
    var saturatedMilliseconds: Int64 {
        let (milliseconds, overflow) = components.seconds.multipliedReportingOverflow(by: 1000)
        if overflow { return components.seconds < 0 ? .min : .max }
        let rest = components.attoseconds / 1_000_000_000_000_000
        let (sum, isTooLarge) = milliseconds.addingReportingOverflow(rest)
        return isTooLarge ? (rest < 0 ? .min : .max) : sum
    }
}
