// Where one output table ends and the next begins. Cuts lie only between different user keys, so that no two tables of
// a level share one. A table is cut when it is large enough, and also where it would come to overlap too much of the
// level below its own: its own compaction would be as large. Those cuts fall on the first key of a table below, also
// where the compaction has no entry near, since a range deletion alone can span a whole level.

import ApusIO

/// Decides the cuts of one compaction. Keys ascend.
struct OutputSplitter: Sendable {
    private let targetByteCount: UInt64
    private let overlapLimit: UInt64
    /// The tables of the level below the target level, ascending.
    private let grandparents: [TableMetadata]
    /// The first grandparent that has not been counted.
    private var position = 0
    /// Bytes of grandparents that the current output overlaps.
    private var overlappedByteCount: UInt64 = 0

    init(targetByteCount: UInt64, grandparents: [TableMetadata] = [], overlapLimit: UInt64 = .max) {
        self.targetByteCount = targetByteCount
        self.grandparents = grandparents
        self.overlapLimit = overlapLimit
    }

    /// A key at which the current output has to end before `key` is added to it (at most `key` itself), or nil. To be
    /// asked for every new user key, again and again until it answers nil.
    ///
    /// - Parameters:
    ///   - key: the next user key.
    ///   - outputByteCount: bytes in the current output; nil if it has neither an entry nor a range deletion before
    ///     `key`, so that it would only begin there.
    mutating func cut(before key: UnsafeRawBufferPointer, outputByteCount: UInt64?) -> [UInt8]? {
        guard let outputByteCount else {
            while position < grandparents.count, grandparents[position].bounds.endsBefore(key) { position += 1 }
            overlappedByteCount = 0
            return nil
        }
        if let boundary = overlapCut(before: key) { return boundary }
        guard outputByteCount >= targetByteCount else { return nil }
        overlappedByteCount = position > 0 ? grandparents[position - 1].byteCount : 0
        return [UInt8](key)
    }

    /// The same after the last entry: cuts for range deletions that go on up to `end`.
    mutating func cut(beforeEnd end: [UInt8]) -> [UInt8]? {
        end.withUnsafeBytes { overlapCut(before: $0) }
    }

    private mutating func overlapCut(before key: UnsafeRawBufferPointer) -> [UInt8]? {
        while position < grandparents.count {
            let next = grandparents[position]
            let order = next.smallest.withUnsafeBytes { compareBytes($0, key) }
            guard order < 0 || (order == 0 && overlappedByteCount > 0) else { return nil }
            let (total, overflow) = overlappedByteCount.addingReportingOverflow(next.byteCount)
            position += 1
            if overlappedByteCount > 0, overflow || total > overlapLimit {
                overlappedByteCount = next.byteCount
                return next.smallest
            }
            overlappedByteCount = overflow ? .max : total
        }
        return nil
    }
}
