// The style for journals and caches: tables are never merged, and the oldest are dropped when there is too much or
// when they are too old. Dropping always takes the oldest tables first, so a deletion never goes before what it
// deletes. Open snapshots do not hold it up: a bound on space that a forgotten snapshot could break is none.

/// Picks the tables of level 0 that have had their time.
struct RetentionPicker: Sendable, Hashable {
    /// Bytes to keep at most; 0 is no limit.
    var maximumByteCount: UInt64
    /// Milliseconds since a table was written after which it goes; 0 is no limit.
    var maximumAge: UInt64

    func choose(_ tree: TreeSummary, running: [CompactionFootprint], at now: UInt64) -> CompactionChoice {
        var byteCount = tree.byteCount(of: 0)
        var expired: [TableMetadata] = []
        for table in tree.levels[0].reversed() {
            let isTooMuch = maximumByteCount > 0 && byteCount > maximumByteCount
            let isTooOld = maximumAge > 0 && now.subtracted(table.createdAt) >= maximumAge
            guard isTooMuch || isTooOld, !running.occupies(table) else { break }
            expired.append(table)
            byteCount = byteCount.subtracted(table.byteCount)
        }
        return expired.isEmpty ? .nothing : .drop(level: 0, expired)
    }
}
