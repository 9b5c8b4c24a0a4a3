// Which versions of a key somebody can still read.
//
// Open snapshots cut the sequence numbers into stripes. A reader sees, of each stripe it can see at all, everything:
// snapshots stand only on the boundaries, never inside.
//
//     sequence   1 … 10 │ 11 … 25 │ 26 … 40 │ 41 …          snapshots 10 and 25, newest visible sequence 40
//     stripe        0   │    1    │    2    │ unsettled
//
// So within one stripe only the newest state of a key matters, and a range deletion removes what is older in its own
// stripe. Across a boundary nothing may be folded or dropped. What lies above the newest visible sequence is not
// settled: a snapshot may yet be taken anywhere in it, so everything there is kept as it is.

/// The stripes between the open snapshots.
struct SnapshotStripes: Sendable {
    /// Ascending, without duplicates; the last one is the newest visible sequence number.
    let boundaries: [SequenceNumber]

    /// - Parameter snapshots: ascending; the newest visible sequence number comes last.
    init(_ snapshots: [SequenceNumber]) {
        precondition(!snapshots.isEmpty, "the newest visible sequence number is always a boundary")
        var boundaries: [SequenceNumber] = []
        for snapshot in snapshots where boundaries.last != snapshot {
            precondition(boundaries.last.map { $0 < snapshot } ?? true, "snapshots ascend")
            boundaries.append(snapshot)
        }
        self.boundaries = boundaries
    }

    /// The stripe that nobody can take a snapshot in or before: everything in it is visible to every reader.
    static let oldest = 0

    /// The number of the stripe above the newest visible sequence number.
    var unsettled: Int { boundaries.count }

    /// The stripe of `sequence`. Constant for the usual one or two boundaries, else logarithmic.
    @inline(__always)
    func stripe(of sequence: SequenceNumber) -> Int {
        var low = 0
        var high = boundaries.count
        while low < high {
            let middle = (low &+ high) / 2
            if boundaries[middle] < sequence { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    /// The newest sequence number of a settled stripe.
    func top(of stripe: Int) -> SequenceNumber { boundaries[stripe] }
}
