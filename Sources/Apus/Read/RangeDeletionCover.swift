// The range deletions of all sources of a reader, asked key after key.

import ApusIO

/// Remembers the last answer and the keys for which it holds, so that a scan asks the sets once per fragment, not
/// once per entry. Costs one comparison per entry where there are range deletions, nothing where there are none.
struct RangeDeletionCover {
    private let sets: [RangeDeletions]
    private let snapshot: SequenceNumber
    /// Views in it are kept alive by `sets`.
    private(set) var coverage = RangeDeletionCoverage.none
    private var isKnown = false

    init(_ sets: [RangeDeletions], snapshot: SequenceNumber) {
        self.sets = sets.filter { !$0.isEmpty }
        self.snapshot = snapshot
    }

    /// The newest visible range deletion over `key`; entries with smaller sequence numbers are hidden. Afterwards
    /// `coverage` says how far the answer holds.
    @inline(__always)
    mutating func newest(covering key: UnsafeRawBufferPointer) -> SequenceNumber {
        sets.isEmpty ? .zero : lookUp(key)
    }

    private mutating func lookUp(_ key: UnsafeRawBufferPointer) -> SequenceNumber {
        if !isKnown || !holds(for: key) {
            var combined = RangeDeletionCoverage.none
            for set in sets { combined.combine(set.coverage(of: key, atMost: snapshot)) }
            coverage = combined
            isKnown = true
        }
        return coverage.newest
    }

    private func holds(for key: UnsafeRawBufferPointer) -> Bool {
        if let upper = coverage.upper, compareBytes(key, upper) >= 0 { return false }
        if let lower = coverage.lower, compareBytes(key, lower) < 0 { return false }
        return true
    }
}
