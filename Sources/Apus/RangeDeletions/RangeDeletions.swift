// A set of range deletions that never changes: that of one table, or of a memtable at one moment.
//
// A memtable adds deletions one by one while readers look on. Its set is a list of runs of geometrically falling
// size; adding makes a run of one and merges it with its neighbours while they are not larger, like the carries of a
// binary counter (Bentley and Saxe's logarithmic method). So n additions cost O(n log² n) altogether, and a look-up
// asks O(log n) runs. A table's set is one run.

import ApusIO

/// An immutable set of range deletions; any thread may read it.
final class RangeDeletions: Sendable {
    /// Largest first.
    private let runs: [RangeDeletionRun]
    /// How many deletions.
    let count: Int

    init(_ deletions: [RangeDeletion]) {
        let run = RangeDeletionRun(deletions)
        runs = run.deletions.isEmpty ? [] : [run]
        count = run.deletions.count
    }

    private init(runs: [RangeDeletionRun]) {
        self.runs = runs
        count = runs.reduce(0) { $0 + $1.deletions.count }
    }

    var isEmpty: Bool { runs.isEmpty }

    /// The newest deletion that covers `key` and is not newer than `limit`; zero if there is none. It hides entries
    /// of smaller sequence numbers.
    func newestSequence(
        covering key: UnsafeRawBufferPointer,
        atMost limit: SequenceNumber
    ) -> SequenceNumber {
        var newest = SequenceNumber.zero
        for run in runs { newest = max(newest, run.newestSequence(covering: key, atMost: limit)) }
        return newest
    }

    /// As `newestSequence`, with the range of keys around `key` for which the answer is the same. The views in it
    /// live as long as this object.
    func coverage(of key: UnsafeRawBufferPointer, atMost limit: SequenceNumber) -> RangeDeletionCoverage {
        var coverage = RangeDeletionCoverage.none
        for run in runs { coverage.combine(run.coverage(of: key, atMost: limit)) }
        return coverage
    }

    /// The deletions as they were given, by start, then newest first.
    func all() -> [RangeDeletion] {
        if runs.count == 1 { return runs[0].deletions }
        return RangeDeletionRun(runs.flatMap(\.deletions)).deletions
    }

    /// The deletions cut into pieces that do not overlap, ascending. Built anew at each use; where many deletions
    /// overlap it takes far more space than the set itself.
    var fragments: [RangeDeletionFragment] {
        guard !runs.isEmpty else { return [] }
        let run = runs.count == 1 ? runs[0] : RangeDeletionRun(runs.flatMap(\.deletions))
        var fragments: [RangeDeletionFragment] = []
        for interval in 0..<run.intervalCount {
            let sequences = run.allSequences(over: interval)
            guard !sequences.isEmpty else { continue }
            fragments.append(
                RangeDeletionFragment(
                    start: Array(run.boundary(interval)),
                    end: Array(run.boundary(interval + 1)),
                    sequences: sequences
                )
            )
        }
        return fragments
    }

    /// All deletions of several sets.
    static func merge(_ several: [RangeDeletions]) -> RangeDeletions {
        if several.count == 1 { return several[0] }
        return RangeDeletions(several.flatMap { $0.runs.flatMap(\.deletions) })
    }

    /// What of the set lies in [`lower`, `upper`); nil: no bound.
    func clipped(from lower: [UInt8]?, to upper: [UInt8]?) -> RangeDeletions {
        var clipped: [RangeDeletion] = []
        for run in runs {
            for var deletion in run.deletions {
                if let lower, compareArrays(deletion.start, lower) < 0 { deletion.start = lower }
                if let upper, compareArrays(deletion.end, upper) > 0 { deletion.end = upper }
                clipped.append(deletion)
            }
        }
        return RangeDeletions(clipped)
    }

    /// The set with one more deletion. The runs that are not merged are shared with this set.
    func adding(_ deletion: RangeDeletion) -> RangeDeletions {
        var merged = [deletion]
        var kept = runs
        while let last = kept.last, last.deletions.count <= merged.count {
            merged += last.deletions
            kept.removeLast()
        }
        let run = RangeDeletionRun(merged)
        if !run.deletions.isEmpty { kept.append(run) }
        return RangeDeletions(runs: kept)
    }

    /// Bytes of memory that `adding` allocated for this set: its last run and the list of runs.
    var addedByteCount: Int { (runs.last?.byteCount ?? 0) + 8 * runs.count + 128 }
}
