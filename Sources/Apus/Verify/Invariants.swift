// What every version of a keyspace must satisfy, checked entry by entry by a slow second implementation, before the
// version becomes durable. Compiled in with APUS_CHECKS=1 only: it reads every table anew at each change.
//
//   1. From level 1 on no two tables of a level share a key, and they ascend.
//   2. Entries of a user key descend by sequence number from the memtables down: level 0 from its newest table to its
//      oldest, then level by level. So whoever finds an entry first has found the newest.
//   3. The bounds, counts and sequence numbers in a table's metadata are those of its entries.
//   4. Every separated value lies in a blob file that the version lists.
//
// A violation is a fault of the engine, so the process stops before it can do harm.

import ApusIO

#if APUS_CHECKS
enum Invariants {
    /// Stops the process unless `version` is as it must be. Errors of the disk are none of its business.
    static func check(_ version: Version, _ reason: String) {
        var checker = Checker(version: version, reason: reason)
        for level in 1..<version.levels.count { checker.checkOrder(level) }
        do throws(ApusError) {
            for table in version.levels.joined() { try checker.check(table) }
        } catch {
            return
        }
    }

    private struct Checker {
        let version: Version
        let reason: String
        /// The oldest sequence number seen of each user key, in the tables so far, which are newer.
        var oldest: [[UInt8]: SequenceNumber] = [:]

        func fail(_ message: String) -> Never {
            fatalError("invariant violated in keyspace \(version.keyspace) by \(reason): \(message)")
        }

        /// Every pair, not only neighbours.
        func checkOrder(_ level: Int) {
            let tables = version.levels[level].map(\.metadata)
            for (index, upper) in tables.enumerated() {
                for lower in tables[(index + 1)...] {
                    let order = upper.largest.withUnsafeBytes { compareBytes($0, lower.smallest) }
                    guard order < 0 || order == 0 && upper.largestIsExclusive else {
                        fail("tables \(upper.number) and \(lower.number) of level \(level) overlap")
                    }
                }
            }
        }

        mutating func check(_ table: Table) throws(ApusError) {
            let metadata = table.metadata
            let cursor = LevelCursor([table], fillCache: false)
            var newest: [[UInt8]: SequenceNumber] = [:]
            var count: UInt64 = 0
            try cursor.seekToFirst()
            while cursor.isValid {
                let (key, sequence) = ([UInt8](cursor.key), cursor.trailer.sequence)
                count += 1
                let isInside =
                    metadata.smallest.withUnsafeBytes { compareBytes($0, cursor.key) <= 0 }
                    && !metadata.ends(before: cursor.key)
                if !isInside { fail("table \(metadata.number) holds \(key), outside its bounds") }
                if sequence < metadata.smallestSequence || sequence > metadata.largestSequence {
                    fail("table \(metadata.number) holds sequence \(sequence.rawValue), outside its bounds")
                }
                if let newer = oldest[key], sequence >= newer, sequence != .zero {
                    fail(
                        "table \(metadata.number) holds \(key) at \(sequence.rawValue), above which is \(newer.rawValue)"
                    )
                }
                newest[key] = newest[key].map { Swift.min($0, sequence) } ?? sequence
                checkBlob(cursor, metadata)
                try cursor.next()
            }
            if count != metadata.entryCount {
                fail("table \(metadata.number) holds \(count) entries, its metadata say \(metadata.entryCount)")
            }
            oldest.merge(newest) { Swift.min($0, $1) }
        }

        func checkBlob(_ cursor: EntryCursor, _ metadata: TableMetadata) {
            guard let payload = EntryPayload(cursor.trailer, cursor.payload) else {
                fail("table \(metadata.number) holds a payload that does not fit its kind")
            }
            guard case .separated(let reference, _) = payload else { return }
            guard version.blobFiles.contains(where: { $0.number == reference.file }) else {
                fail("table \(metadata.number) refers to blob file \(reference.file), which is gone")
            }
        }
    }
}
#endif
