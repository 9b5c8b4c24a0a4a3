// An immutable picture of one keyspace's tables. Readers and compactions hold on to the one they started with.

import ApusIO

/// The tables and blob files of a keyspace at one moment. Any thread.
final class Version: Sendable {
    let keyspace: UInt32
    /// Level 0 newest first, and possibly overlapping; the others ascending by key, and disjoint.
    let levels: [[Table]]
    /// Ascending by number.
    let blobFiles: [BlobFileMetadata]
    /// Bytes of the tables of each level.
    let levelByteCounts: [UInt64]

    /// The heads of the largest keys of each level from 1 on, so that a lookup touches one array of integers.
    private let largestHeads: [[UInt64]]

    /// - Precondition: `levels` has `VersionEdit.levelCount` levels in the order stated there.
    init(keyspace: UInt32, levels: [[Table]], blobFiles: [BlobFileMetadata]) {
        precondition(levels.count == VersionEdit.levelCount)
        self.keyspace = keyspace
        self.levels = levels
        self.blobFiles = blobFiles
        levelByteCounts = levels.map { $0.reduce(0) { $0 &+ $1.metadata.byteCount } }
        largestHeads = levels.enumerated().map { level, tables in
            level == 0 ? [] : tables.map { $0.metadata.largest.withUnsafeBytes { keyHead($0) } }
        }
    }

    /// A keyspace without tables.
    convenience init(keyspace: UInt32) {
        self.init(
            keyspace: keyspace, levels: Array(repeating: [], count: VersionEdit.levelCount), blobFiles: [])
    }

    var tableCount: Int { levels.reduce(0) { $0 + $1.count } }
    var byteCount: UInt64 { levelByteCounts.reduce(0, &+) }
    /// The deepest level with a table, 0 if there is none.
    var deepestLevel: Int { levels.lastIndex { !$0.isEmpty } ?? 0 }
    func table(_ number: FileNumber) -> Table? {
        for level in levels {
            for table in level where table.metadata.number == number { return table }
        }
        return nil
    }

    /// The index of the first table of `level` (from 1 on) that does not lie entirely before `key`; the level's count
    /// if all do. That table is the only one of the level that can hold `key`. O(log n), no allocation.
    func index(of key: UnsafeRawBufferPointer, level: Int) -> Int {
        precondition(level > 0)
        let tables = levels[level]
        let head = keyHead(key)
        return largestHeads[level].withUnsafeBufferPointer { heads in
            var low = 0
            var high = heads.count
            while low < high {
                let middle = (low &+ high) &>> 1
                let isBefore =
                    heads[middle] != head ? heads[middle] < head : tables[middle].metadata.ends(before: key)
                if isBefore { low = middle &+ 1 } else { high = middle }
            }
            return low
        }
    }

    /// The table of `level` (from 1 on) whose bounds include `key`. O(log n), no allocation.
    func table(holding key: UnsafeRawBufferPointer, level: Int) -> Table? {
        let index = index(of: key, level: level)
        let tables = levels[level]
        guard index < tables.count else { return nil }
        let table = tables[index]
        return table.metadata.smallest.withUnsafeBytes { compareBytes($0, key) } <= 0 ? table : nil
    }

    /// The indices in `level` of the tables that hold anything from `first` to `last`, both inclusive; nil is without
    /// bound. In level 0 the tables between the first and the last one found need not overlap, so they are listed one
    /// by one; from level 1 on the result is one run. O(n) in level 0, else O(log n) plus the result.
    func overlapping(level: Int, from first: [UInt8]?, through last: [UInt8]?) -> [Int] {
        level == 0
            ? levels[0].indices.filter { levels[0][$0].metadata.overlaps(from: first, through: last) }
            : Array(run(level: level, from: first, through: last))
    }

    /// The tables of `overlapping(level:from:through:)`.
    func tables(level: Int, from first: [UInt8]?, through last: [UInt8]?) -> [Table] {
        level == 0
            ? levels[0].filter { $0.metadata.overlaps(from: first, through: last) }
            : Array(levels[level][run(level: level, from: first, through: last)])
    }

    /// The run of tables of `level` (from 1 on) that hold anything from `first` to `last`.
    func run(level: Int, from first: [UInt8]?, through last: [UInt8]?) -> Range<Int> {
        let tables = levels[level]
        let start = first.map { first in first.withUnsafeBytes { index(of: $0, level: level) } } ?? 0
        guard let last else { return start..<tables.count }
        var low = start
        var high = tables.count
        while low < high {
            let middle = (low + high) / 2
            if compareBytes(tables[middle].metadata.smallest, last) <= 0 { low = middle + 1 } else { high = middle }
        }
        return start..<low
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
