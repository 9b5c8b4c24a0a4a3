// A range deletion hides every older entry of a half-open key range.

import ApusIO

/// Deletes the keys of [`start`, `end`) as they were before `sequence`.
struct RangeDeletion: Hashable, Sendable {
    var start: [UInt8]
    /// Exclusive. A deletion whose end is not above its start deletes nothing.
    var end: [UInt8]
    var sequence: SequenceNumber
}

/// A piece of the key space over which the same range deletions apply.
struct RangeDeletionFragment: Hashable, Sendable {
    var start: [UInt8]
    /// Exclusive.
    var end: [UInt8]
    /// Newest first, never empty.
    var sequences: [SequenceNumber]
}

/// What range deletions say about one key, and how far around it they say the same.
struct RangeDeletionCoverage {
    /// The newest deletion at or before the reader's sequence that covers the key; zero if none does.
    var newest: SequenceNumber
    /// The same holds for every key from here on (nil: from the first key); a view into the `RangeDeletions`.
    var lower: UnsafeRawBufferPointer?
    /// The same holds for every key before this one (nil: to the last key); a view into the `RangeDeletions`.
    var upper: UnsafeRawBufferPointer?

    /// Covers nothing anywhere.
    static var none: RangeDeletionCoverage { RangeDeletionCoverage(newest: .zero, lower: nil, upper: nil) }

    /// Combines what two sets say: the newer deletion, where both statements hold.
    mutating func combine(_ other: RangeDeletionCoverage) {
        if newest < other.newest { newest = other.newest }
        if let bound = other.lower, lower.map({ compareBytes($0, bound) < 0 }) ?? true { lower = bound }
        if let bound = other.upper, upper.map({ compareBytes($0, bound) > 0 }) ?? true { upper = bound }
    }
}
