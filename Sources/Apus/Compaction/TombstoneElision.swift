// When a deletion has done its work. A deletion hides older entries; once no older source can hold its key there is
// nothing to hide and it may go. "Older sources" are the deeper levels, and, where a compaction stays in level 0, the
// older tables of level 0 that it leaves out. Only bounds are asked, never the tables: a wrong "may hold" costs a few
// bytes, a wrong "cannot" would bring deleted data back.

/// Knows which keys sources older than a compaction's inputs may hold.
struct TombstoneElision: Sendable {
    /// Levels of tables that do not overlap one another, ascending.
    private let levels: [[KeyBounds]]
    /// Spans that may overlap one another.
    private let others: [KeyBounds]
    /// Per level the first span that may still matter, keys being asked in ascending order.
    private var positions: [Int]

    /// - Parameters:
    ///   - levels: the deeper levels, each ascending and free of overlaps.
    ///   - others: further older sources, in any order.
    init(levels: [[TableMetadata]], others: [TableMetadata] = []) {
        self.levels = levels.filter { !$0.isEmpty }.map { $0.map(\.bounds) }
        self.others = others.map(\.bounds)
        positions = [Int](repeating: 0, count: self.levels.count)
    }

    /// The sources older than the oldest sealed memtable: every table of the tree.
    static func beneathMemtables(of tree: TreeSummary) -> TombstoneElision {
        TombstoneElision(levels: Array(tree.levels[1...]), others: tree.levels[0])
    }

    /// True if no source is older than the inputs: every key is at the bottom.
    var isAtBottom: Bool { levels.isEmpty && others.isEmpty }

    /// True if an older source may hold `key`. Keys must be asked in ascending order; amortised constant per level.
    mutating func mayHold(_ key: UnsafeRawBufferPointer) -> Bool {
        for index in levels.indices {
            let level = levels[index]
            while positions[index] < level.count, level[positions[index]].endsBefore(key) { positions[index] += 1 }
            if positions[index] < level.count, level[positions[index]].contains(key) { return true }
        }
        return others.contains { $0.contains(key) }
    }

    /// True if an older source may hold a key in [`start`, `end`). Any order.
    func mayHold(from start: [UInt8], to end: [UInt8]) -> Bool {
        for level in levels {
            var low = 0
            var high = level.count
            while low < high {
                let middle = (low + high) / 2
                if level[middle].endsBefore(start) { low = middle + 1 } else { high = middle }
            }
            if low < level.count, level[low].smallest.sortsBefore(end) { return true }
        }
        return others.contains { $0.overlaps(from: start, to: end) }
    }
}
