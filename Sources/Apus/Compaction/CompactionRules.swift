// What a compaction has to know in order to decide about an entry, apart from the entries themselves.

import ApusIO

/// The rules of one compaction.
struct CompactionRules {
    var stripes: SnapshotStripes
    /// The range deletions of all inputs.
    var rangeDeletions: RangeDeletions
    /// The sources older than the inputs.
    var elision: TombstoneElision
    var targetLevel: Int
    /// Entries that expire at or before this time (ms since 1970) are gone for every reader.
    var expiryHorizon: UInt64
    var mergeOperator: (any MergeOperator)?
    /// Whether there may be merge operands: also true where their operator is not at hand.
    var mayHoldOperands: Bool
    /// Fetches separated values that merge operands build on.
    var blobs: (any BlobSource)?
    /// Asked about expired entries of a keyspace with a merge operator, since an operand above may have been written
    /// before the entry expired and builds on it: does a source newer than the inputs hold `key`? Must be exact or err
    /// towards true. nil stands for "always".
    var newerSourcesHold: ((_ key: UnsafeRawBufferPointer) throws(ApusError) -> Bool)?
}

/// What a compaction did with the entries it read.
struct CompactionCounts: Sendable, Hashable {
    var entriesRead: UInt64 = 0
    var entriesWritten: UInt64 = 0
    /// Key and payload bytes of the entries read.
    var rawBytesRead: UInt64 = 0
    /// Entries that a newer version or a range deletion hides from every reader.
    var shadowed: UInt64 = 0
    /// Deletions with nothing left to delete.
    var elided: UInt64 = 0
    /// Values that had expired for every reader.
    var expired: UInt64 = 0
    /// Merge operands that were folded into values.
    var folded: UInt64 = 0
    /// Values written to a blob file, moved ones included.
    var separated: UInt64 = 0
}
