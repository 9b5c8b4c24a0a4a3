// The style for journals and caches: tables are never merged, and the oldest are dropped when there is too much or
// when they are too old. Dropping always takes the oldest tables first, so a deletion never goes before what it
// deletes. Open snapshots do not hold it up: a bound on space that a forgotten snapshot could break is none.

/// Picks the tables that have had their time.
struct RetentionPicker: Sendable, Hashable {
    /// Bytes to keep at most, values in blob files included; 0 is no limit.
    var maximumByteCount: UInt64
    /// Milliseconds since a table was written after which it goes; 0 is no limit.
    var maximumAge: UInt64

    func choose(_ tree: TreeSummary, running: [CompactionFootprint], at now: UInt64) -> CompactionChoice {
        var byteCount = tree.levels.joined().reduce(UInt64(0)) { $0.added(Self.byteCount(of: $1)) }
        // Whatever lies in deeper levels is from a time before the keyspace had this style, and older than level 0.
        guard let level = tree.levels.indices.last(where: { !tree.levels[$0].isEmpty }) else { return .nothing }
        let oldestFirst =
            level == 0
            ? Array(tree.levels[0].reversed())
            : tree.levels[level].sorted { ($0.largestSequence, $0.number) < ($1.largestSequence, $1.number) }
        var expired: [TableMetadata] = []
        for table in oldestFirst {
            let isTooMuch = maximumByteCount > 0 && byteCount > maximumByteCount
            let isTooOld = maximumAge > 0 && now.subtracted(table.createdAt) >= maximumAge
            guard isTooMuch || isTooOld, !running.occupies(table) else { break }
            expired.append(table)
            byteCount = byteCount.subtracted(Self.byteCount(of: table))
        }
        return expired.isEmpty ? .nothing : .drop(level: level, expired)
    }

    /// What dropping the table frees sooner or later.
    private static func byteCount(of table: TableMetadata) -> UInt64 {
        table.blobReferences.reduce(table.byteCount) { $0.added($1.byteCount) }
    }
}
