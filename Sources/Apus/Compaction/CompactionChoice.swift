// What the picker decides, as plain values: which tables, from which levels, to where, and why. Running it is the
// business of CompactionJob and of the engine, which turns the numbers into open tables.

/// The tables of one keyspace by level, and its blob files: all that the picker looks at.
struct TreeSummary: Sendable {
    /// Level 0 newest first; deeper levels ascending by key, without overlaps.
    var levels: [[TableMetadata]]
    var blobFiles: [BlobFileMetadata] = []

    func byteCount(of level: Int) -> UInt64 { levels[level].totalByteCount }
}

extension TreeSummary {
    init(_ version: Version) {
        self.init(levels: version.levels.map { $0.map(\.metadata) }, blobFiles: version.blobFiles)
    }
}

/// Why a compaction was chosen.
enum CompactionReason: String, Sendable, CaseIterable {
    /// Level 0 has too many tables.
    case levelZero
    /// Level 0 has far too many, and the way down is blocked: its tables are merged among themselves.
    case levelZeroPressure
    /// A level is larger than its target.
    case levelSize
    /// A table with nothing beneath it holds many deletions that no snapshot needs.
    case deletions
    /// A table has held expired entries for long.
    case expiry
    /// A table refers to a blob file that is mostly garbage.
    case blobGarbage
    /// Somebody asked for it.
    case manual
    /// Cursors have looked into several sorted runs so often that one run would have been cheaper.
    case reads
    /// Writes have paused, and dead entries may take too much space.
    case rest

    /// Nobody needs it: where it fails, everything else goes on.
    var isOptional: Bool { self == .reads || self == .rest }
}

/// Tables of one level that take part in a compaction.
struct CompactionLevel: Sendable, Hashable {
    var level: Int
    /// In the order of the level.
    var tables: [TableMetadata]
}

/// Some tables to be merged (or one to be moved) into `targetLevel`.
struct CompactionPlan: Sendable, Hashable {
    var reason: CompactionReason
    /// Ascending by level, none empty: the newest data first.
    var inputs: [CompactionLevel]
    var targetLevel: Int
    /// Blob files whose values are moved elsewhere.
    var collectedBlobFiles: Set<FileNumber> = []

    var tables: [TableMetadata] { inputs.flatMap(\.tables) }
    var byteCount: UInt64 { inputs.reduce(0) { $0.added($1.tables.totalByteCount) } }

    /// What the plan keeps other compactions away from while it runs.
    var footprint: CompactionFootprint {
        let tables = tables
        return CompactionFootprint(
            numbers: Set(tables.map(\.number)),
            targetLevel: targetLevel,
            bounds: KeyBounds.of(tables)!
        )
    }

    /// The tables of the level below the target that the outputs will lie above, ascending.
    func grandparents(in tree: TreeSummary) -> [TableMetadata] {
        guard targetLevel > 0, targetLevel + 1 < tree.levels.count else { return [] }
        let bounds = KeyBounds.of(tables)!
        return tree.levels[targetLevel + 1].filter { $0.bounds.overlaps(bounds) }
    }

    /// The sources that are older than the inputs. They are taken from the tree that the plan was made for and stay
    /// right while it runs: data older than the inputs only moves from one of these levels to a deeper one.
    func elision(in tree: TreeSummary) -> TombstoneElision {
        let bounds = KeyBounds.of(tables)!
        var older: [TableMetadata] = []
        if inputs.first?.level == 0, let last = inputs[0].tables.last,
            let position = tree.levels[0].firstIndex(where: { $0.number == last.number })
        {
            older = tree.levels[0][(position + 1)...].filter { $0.bounds.overlaps(bounds) }
        }
        let deeper = tree.levels[(targetLevel + 1)...].map { $0.filter { $0.bounds.overlaps(bounds) } }
        return TombstoneElision(levels: deeper, others: older)
    }
}

extension CompactionPlan {
    /// Why readers of `tree` would no longer find the newest entry of a key first once the plan has run; nil if they
    /// would. Looked at before any plan is carried out: whatever chose it, it must not bury a newer entry.
    ///
    /// Cost: the inputs times the tables of the levels that they pass.
    func violation(in tree: TreeSummary) -> String? {
        let chosen = Set(tables.map(\.number))
        func first(_ tables: some Sequence<TableMetadata>, beneath bounds: KeyBounds) -> TableMetadata? {
            tables.first { !chosen.contains($0.number) && $0.bounds.overlaps(bounds) }
        }
        guard targetLevel > 0 else {
            // The result takes the place of its inputs, so nothing may lie between them.
            let positions = tree.levels[0].indices.filter { chosen.contains(tree.levels[0][$0].number) }
            let isUnbroken = positions.count == chosen.count && positions.last! - positions[0] == positions.count - 1
            return isUnbroken ? nil : "tables of level 0 are to be merged past others that lie between them"
        }
        for input in inputs {
            guard input.level <= targetLevel else { return "a table of level \(input.level) is to move up" }
            for table in input.tables {
                var older: [TableMetadata] = []
                if input.level == 0 {
                    guard let position = tree.levels[0].firstIndex(where: { $0.number == table.number }) else {
                        return "table \(table.number) is not in level 0"
                    }
                    older = Array(tree.levels[0][(position + 1)...])
                }
                for level in min(input.level + 1, targetLevel)..<targetLevel { older += tree.levels[level] }
                if let passed = first(older, beneath: table.bounds) {
                    return "table \(table.number) of level \(input.level) would pass table \(passed.number)"
                }
            }
        }
        return first(tree.levels[targetLevel], beneath: KeyBounds.of(tables)!).map {
            "the result would overlap table \($0.number) of level \(targetLevel)"
        }
    }
}

/// What a running compaction occupies. Two compactions may run side by side unless they share a table, or write into
/// the same level with spans of keys that overlap: an output may fill the gap between two inputs.
struct CompactionFootprint: Sendable, Hashable {
    var numbers: Set<FileNumber>
    var targetLevel: Int
    var bounds: KeyBounds

    func conflicts(with plan: CompactionPlan) -> Bool {
        if plan.inputs.contains(where: { $0.tables.contains { numbers.contains($0.number) } }) { return true }
        guard targetLevel > 0, plan.targetLevel == targetLevel, let span = KeyBounds.of(plan.tables) else {
            return false
        }
        return span.overlaps(bounds)
    }
}

/// What to do next in one keyspace.
enum CompactionChoice: Sendable, Hashable {
    case nothing
    /// The plan's only table goes to the target level as it is: a change of the manifest, no input or output.
    case move(CompactionPlan)
    case merge(CompactionPlan)
    /// The tables are of no use any more. They lie in `level`.
    case drop(level: Int, [TableMetadata])
}

/// The next step of a compaction that somebody asked for.
enum ManualCompactionStep: Sendable, Hashable {
    /// Everything in the range is where it should be.
    case done
    /// Running compactions are in the way: ask again when one has ended.
    case blocked
    case run(CompactionChoice)
}

/// When a choice is made, as far as it matters to the choice.
struct CompactionMoment: Sendable, Hashable {
    /// Milliseconds since 1970.
    var now: UInt64
    /// Entries that expire at or before this time are gone for every reader: the earlier of `now` and the time of the
    /// oldest snapshot.
    var expiryHorizon: UInt64
    /// The oldest open snapshot, or the newest visible sequence number if there is none.
    var oldestSnapshot: SequenceNumber
}

extension [TableMetadata] {
    var totalByteCount: UInt64 { reduce(0) { $0.added($1.byteCount) } }

    /// The tables that overlap `bounds`, of a level without overlaps, so never of level 0: two binary searches.
    func overlapping(_ bounds: KeyBounds) -> Range<Int> {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle].bounds.endsBefore(bounds) { low = middle + 1 } else { high = middle }
        }
        let first = low
        high = count
        while low < high {
            let middle = (low + high) / 2
            if bounds.endsBefore(self[middle].smallest) { high = middle } else { low = middle + 1 }
        }
        return first..<low
    }
}
