// The order of tables within a level, and what may not overlap. Shared by everything that builds levels.

import ApusIO

enum TableOrder {
    /// Level 0 newest first; the others ascending by smallest key.
    static func sorted<Element>(
        _ tables: [Element],
        level: Int,
        _ metadata: (Element) -> TableMetadata
    ) -> [Element] {
        tables.sorted { a, b in
            level == 0 ? isNewer(metadata(a), metadata(b)) : isBefore(metadata(a), metadata(b))
        }
    }

    /// Throws unless the sorted tables of a level from 1 on are disjoint.
    static func check(
        _ tables: some Sequence<TableMetadata>,
        level: Int,
        keyspace: UInt32
    ) throws(DecodingFailure) {
        guard level > 0 else { return }
        var previous: TableMetadata?
        for table in tables {
            if let previous, !ends(previous, before: table.smallest) {
                throw DecodingFailure(
                    what:
                        "tables \(previous.number) and \(table.number) overlap in level \(level) of keyspace \(keyspace)"
                )
            }
            previous = table
        }
    }

    /// Whether everything in `table` lies before `key`.
    @inline(__always)
    static func ends(_ table: TableMetadata, before key: [UInt8]) -> Bool {
        let order = compareBytes(table.largest, key)
        return order < 0 || (order == 0 && table.largestIsExclusive)
    }

    /// By the newest entry; tables of one flush share their range of sequence numbers and have disjoint keys.
    private static func isNewer(_ a: TableMetadata, _ b: TableMetadata) -> Bool {
        if a.largestSequence != b.largestSequence { return a.largestSequence > b.largestSequence }
        return a.number > b.number
    }

    private static func isBefore(_ a: TableMetadata, _ b: TableMetadata) -> Bool {
        let order = compareBytes(a.smallest, b.smallest)
        return order != 0 ? order < 0 : a.number < b.number
    }
}
