// What every version of a keyspace must satisfy, checked entry by entry by a slow second implementation, before the
// version becomes durable. It reads every table anew at each change, so the engine calls it only where it is told to:
// everywhere in a build with APUS_CHECKS=1, and in a share of the tests' histories in every build.
//
//   1. From level 1 on no two tables of a level share a key, and they ascend.
//   2. Entries of a user key descend by sequence number from the memtables down: level 0 from its newest table to its
//      oldest, then level by level. So whoever finds an entry first has found the newest.
//   3. The bounds, counts and sequence numbers in a table's metadata are those of its entries.
//   4. Every separated value lies in a blob file that the version lists.
//
// A violation is a fault of the engine, so the process stops before it can do harm.

import ApusIO

enum Invariants {
    /// Stops the process unless `version` is as it must be.
    static func check(_ version: Version, _ reason: @autoclosure () -> String) {
        guard let violation = violation(in: version) else { return }
        fatalError("invariant violated in keyspace \(version.keyspace) by \(reason()): \(violation)")
    }

    /// What is wrong with `version`; nil if nothing is. Errors of the disk are none of its business.
    static func violation(in version: Version) -> String? {
        var checker = Checker(version: version)
        for level in 1..<version.levels.count { checker.checkOrder(level) }
        do throws(ApusError) {
            for table in version.levels.joined() { try checker.check(table) }
        } catch {
            return checker.violation
        }
        return checker.violation
    }

    private struct Checker {
        let version: Version
        /// The first one found.
        private(set) var violation: String?
        /// The oldest sequence number seen of each user key, in the tables so far, which are newer.
        private var oldest: [[UInt8]: SequenceNumber] = [:]

        init(version: Version) { self.version = version }

        private mutating func fail(_ message: String) {
            if violation == nil { violation = message }
        }

        /// Every pair, not only neighbours.
        mutating func checkOrder(_ level: Int) {
            let tables = version.levels[level].map(\.metadata)
            for (index, upper) in tables.enumerated() {
                for lower in tables[(index + 1)...] {
                    let order = compareBytes(upper.largest, lower.smallest)
                    if order > 0 || order == 0 && !upper.largestIsExclusive {
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

        private mutating func checkBlob(_ cursor: EntryCursor, _ metadata: TableMetadata) {
            guard let payload = EntryPayload(cursor.trailer, cursor.payload) else {
                return fail("table \(metadata.number) holds a payload that does not fit its kind")
            }
            guard case .separated(let reference, _) = payload else { return }
            if !version.blobFiles.contains(where: { $0.number == reference.file }) {
                fail("table \(metadata.number) refers to blob file \(reference.file), which is gone")
            }
        }
    }
}
