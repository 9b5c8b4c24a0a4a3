// How large each level should be, and where level 0 is merged to.
//
// Sizes hang from the bottom: the last level is as large as it is, each level above it a tenth, up to the first level
// that is small enough to take tables from level 0. That level is the base; the ones above it stay empty. So the last
// level always holds about 90 % of the data, however large the tree is, and space amplification stays near 1.1; sizes
// fixed from the top leave half-empty last levels and twice the garbage.

/// The sizes and thresholds that compaction goes by. Tests use tiny ones.
struct LevelPolicy: Sendable, Hashable {
    /// Levels including level 0.
    var levelCount = VersionEdit.levelCount
    /// How much larger each level is than the one above it.
    var ratio: UInt64 = 10
    /// Tables in level 0 that make it due for compaction, if they are many beside what lies beneath.
    var levelZeroTrigger = 4
    /// Tables in level 0 that make it due however much lies beneath.
    var levelZeroPatience = 16
    /// Tables in level 0 at which they are merged among themselves when the way to the base level is blocked.
    var levelZeroPressure = 8
    /// Bytes of the base level beyond which another level is put above it.
    var baseByteCount: UInt64 = 256 << 20
    /// Bytes at which an output table is closed.
    var tableByteCount: UInt64 = 64 << 20
    /// Percentage of deletions at which a table with nothing beneath it is rewritten.
    var deletionPercentage: UInt64 = 25
    /// How long expired entries may lie before a table is rewritten for them, in ms; also the least time between two
    /// such rewrites of the same data.
    var expiryPatience: UInt64 = 6 * 3_600_000
    /// True if the last level has a codec of its own: tables are then rewritten, not moved, when they get there.
    var rewritesIntoLastLevel = false

    var lastLevel: Int { levelCount - 1 }
    /// Bytes in level 0 that make it due: its tables may be few and large, but they are work that must not pile up.
    var levelZeroByteCount: UInt64 { baseByteCount.added(baseByteCount) }
    /// Bytes of the next deeper level that one output table may overlap, so that its own compaction stays small.
    var grandparentOverlapLimit: UInt64 { 10 * tableByteCount }
    /// Bytes up to which a compaction takes in further tables of its upper level.
    var compactionByteLimit: UInt64 { 25 * tableByteCount }

    /// How urgently level 0, of which `tables` are free, needs compaction into what lies `beneath` it: due from 1.
    ///
    /// Whatever goes down drags a part of the deeper levels along, the same part for a few tables as for many. So level 0
    /// gathers until it holds three quarters of the bytes of the rest, or deletions of a quarter of its entries; or until
    /// readers would have to look into too many tables. Dead entries take that much space while writes go on; when they
    /// pause, `isTidy` asks for more.
    func levelZeroScore(_ tables: [TableMetadata], beneath: ArraySlice<[TableMetadata]>) -> Double {
        let byteCount = Double(tables.totalByteCount)
        let deletions = Double(tables.reduce(UInt64(0)) { $0.added($1.deletionCount) })
        var (deeperBytes, deeperEntries) = (UInt64(1), UInt64(1))
        for table in beneath.joined() {
            deeperBytes = deeperBytes.added(table.byteCount)
            deeperEntries = deeperEntries.added(table.entryCount)
        }
        let byCount = Double(tables.count) / Double(levelZeroTrigger)
        // What overlaps nothing is moved down, and drags nothing along.
        let isFree = tables.last.map { oldest in
            tables.dropLast().allSatisfy { !$0.bounds.overlaps(oldest.bounds) }
                && beneath.allSatisfy { $0.overlapping(oldest.bounds).isEmpty }
        }
        let byShare = isFree == true ? byCount : min(byCount, byteCount / (0.75 * Double(deeperBytes)))
        let byPatience = Double(tables.count) / Double(levelZeroPatience)
        let freed = tables.reduce(0) { $0 + rangeDeletionBytes($1, beneath) }
        let byDeletions =
            deeperEntries > 1 ? 4 * max(deletions / Double(deeperEntries), freed / Double(deeperBytes)) : 0
        let bySize = byteCount / Double(max(levelZeroByteCount, 1))
        return max(byShare, byPatience, byDeletions, bySize)
    }

    /// Roughly which part of a table's span its range deletions cover. How much one covers is not known here; a table of
    /// nothing else covers about its whole span.
    func rangeDeletionShare(_ table: TableMetadata) -> Double {
        guard table.rangeDeletionCount > 0 else { return 0 }
        return Double(table.rangeDeletionCount) / (Double(table.rangeDeletionCount) + Double(table.entryCount))
    }

    /// Roughly the bytes in the levels `beneath` that the range deletions of a table free.
    private func rangeDeletionBytes(_ table: TableMetadata, _ beneath: ArraySlice<[TableMetadata]>) -> Double {
        let share = rangeDeletionShare(table)
        return share == 0
            ? 0
            : beneath.reduce(0) { sum, tables in
                tables[tables.overlapping(table.bounds)].reduce(sum) { $0 + share * Double($1.byteCount) }
            }
    }

    /// Whether all that may hide dead entries beneath it is so little that they do not matter: with at most 15 % of the
    /// last level above it, space amplification is at most 1.15.
    func isTidy(_ levels: [[TableMetadata]]) -> Bool {
        guard let last = levels.lastIndex(where: { !$0.isEmpty }) else { return true }
        // With nothing but level 0, its oldest table is what the others may hide.
        let bottom = Double(last == 0 ? levels[0].last!.byteCount : levels[last].totalByteCount)
        var hidden = last == 0 ? Double(Array(levels[0].dropLast()).totalByteCount) : 0
        for level in 0..<last {
            hidden += Double(levels[level].totalByteCount)
            for table in levels[level] { hidden += rangeDeletionBytes(table, levels[(level + 1)...]) }
        }
        return hidden <= 0.15 * bottom
    }

    /// The shape to aim for, given the bytes of every level (level 0 included, its size is not looked at).
    func targets(_ byteCounts: [UInt64]) -> LevelTargets {
        precondition(byteCounts.count == levelCount && levelCount >= 2 && ratio >= 2)
        var targets = [UInt64](repeating: 0, count: levelCount)
        var level = lastLevel
        var size = max(byteCounts[1...].max()!, baseByteCount)
        targets[level] = size
        let occupied = byteCounts.indices.first { $0 > 0 && byteCounts[$0] > 0 } ?? lastLevel
        while level > 1, size > baseByteCount || level > occupied {
            level -= 1
            size = max(size / ratio, baseByteCount / ratio, 1)
            targets[level] = size
        }
        return LevelTargets(baseLevel: level, byteCounts: targets)
    }

    /// A table's size as far as compaction goes by it: deletions count for what they are likely to free.
    func compensatedByteCount(_ table: TableMetadata) -> UInt64 {
        guard table.entryCount > 0, table.deletionCount > 0 else { return table.byteCount }
        let values = max(table.entryCount - min(table.deletionCount, table.entryCount), 1)
        // An average value entry; where there are none left to go by, an average entry stands in.
        let average = max(table.byteCount / (values > 1 ? values : table.entryCount), 1)
        let (freed, overflow) = table.deletionCount.multipliedReportingOverflow(by: average)
        return overflow ? .max : table.byteCount.added(freed)
    }
}

/// Which level takes tables from level 0, and how many bytes each level should hold (0 above the base).
struct LevelTargets: Sendable, Hashable {
    var baseLevel: Int
    var byteCounts: [UInt64]
}
