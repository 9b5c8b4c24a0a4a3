// An immutable picture of one keyspace's tables. Readers and compactions hold on to the one they started with.

import ApusIO

/// The tables and blob files of a keyspace at one moment. Any thread.
///
/// Point lookups go through an index of their own (see LevelIndexes); this serves ranges.
final class Version: Sendable {
    let keyspace: UInt32
    /// Level 0 newest first, and possibly overlapping; the others ascending by key, and disjoint.
    let levels: [[Table]]
    /// Ascending by number.
    let blobFiles: [BlobFileMetadata]
    /// Bytes of the tables of each level.
    let levelByteCounts: [UInt64]
    let hasRangeDeletions: Bool
    /// Cursors over the tables for whoever needs some for a moment.
    let spareSources = SpareTableSources()

    /// - Precondition: `levels` has `VersionEdit.levelCount` levels in the order stated there.
    init(keyspace: UInt32, levels: [[Table]], blobFiles: [BlobFileMetadata]) {
        precondition(levels.count == VersionEdit.levelCount)
        self.keyspace = keyspace
        self.levels = levels
        self.blobFiles = blobFiles
        levelByteCounts = levels.map { $0.reduce(0) { $0 &+ $1.metadata.byteCount } }
        hasRangeDeletions = levels.contains { $0.contains { $0.metadata.rangeDeletionCount > 0 } }
    }

    /// A keyspace without tables.
    convenience init(keyspace: UInt32) {
        self.init(
            keyspace: keyspace,
            levels: Array(repeating: [], count: VersionEdit.levelCount),
            blobFiles: []
        )
    }

    /// Cursors over all tables, to be given back to `spareSources`.
    /// - Precondition: there are no range deletions.
    func takeSources() -> TableSources { spareSources.take() ?? TableSources(self) }

    /// The tables of `level` that hold anything from `first` to `last`, both inclusive; nil is without bound.
    /// O(n) in level 0, else O(log n) plus the result.
    func tables(level: Int, from first: [UInt8]?, through last: [UInt8]?) -> [Table] {
        // Whole levels are shared, not copied.
        if first == nil && last == nil { return levels[level] }
        return level == 0
            ? levels[0].filter { $0.metadata.overlaps(from: first, through: last) }
            : Array(levels[level][overlapping(level: level, from: first, through: last)])
    }

    /// The run of tables of `level` (from 1 on) that hold anything from `first` to `last`, both inclusive; nil is
    /// without bound. O(log n).
    func overlapping(level: Int, from first: [UInt8]?, through last: [UInt8]?) -> Range<Int> {
        precondition(level > 0)
        let tables = levels[level]
        let start = first.map { first in
            first.withUnsafeBytes { first in
                Self.partition(0..<tables.count) { tables[$0].metadata.ends(before: first) }
            }
        }
        guard let last else { return (start ?? 0)..<tables.count }
        let end = Self.partition((start ?? 0)..<tables.count) { compareBytes(tables[$0].metadata.smallest, last) <= 0 }
        return (start ?? 0)..<end
    }

    /// The first index that does not satisfy `isBefore`, which no index satisfies after one that does not.
    private static func partition(_ range: Range<Int>, _ isBefore: (Int) -> Bool) -> Int {
        var (low, high) = (range.lowerBound, range.upperBound)
        while low < high {
            let middle = (low + high) / 2
            if isBefore(middle) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension TableMetadata {
    /// Whether everything in the table lies before `key`.
    @inline(__always)
    func ends(before key: UnsafeRawBufferPointer) -> Bool {
        let order = largest.withUnsafeBytes { compareBytes($0, key) }
        return order < 0 || (order == 0 && largestIsExclusive)
    }

    /// Whether the table can hold anything from `first` to `last`, both inclusive; nil is without bound.
    func overlaps(from first: [UInt8]?, through last: [UInt8]?) -> Bool {
        if let first, first.withUnsafeBytes({ ends(before: $0) }) { return false }
        if let last, compareBytes(smallest, last) > 0 { return false }
        return true
    }
}
