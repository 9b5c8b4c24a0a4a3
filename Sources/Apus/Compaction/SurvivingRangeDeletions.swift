// Which range deletions a compaction writes again. Within a stripe (SnapshotStripes) only the newest deletion over a
// key says anything, so overlapping ones become pieces that do not overlap. In the oldest stripe everything that a
// deletion covers among the inputs is gone; the deletion itself goes too, unless an older source may hold keys under
// it.

import ApusIO

/// The range deletions that are left, handed out piece by piece as the outputs are cut.
struct SurvivingRangeDeletions {
    /// Ascending by start.
    private var rest: [RangeDeletion]

    /// - Parameter deletions: those of all inputs.
    init(_ deletions: RangeDeletions, _ stripes: SnapshotStripes, _ elision: TombstoneElision) {
        var byStripe = [[RangeDeletion]](repeating: [], count: stripes.unsettled + 1)
        for deletion in deletions.all() { byStripe[stripes.stripe(of: deletion.sequence)].append(deletion) }
        rest = byStripe[stripes.unsettled]
        for stripe in 0..<stripes.unsettled {
            for piece in Self.newest(of: byStripe[stripe])
            where stripe > SnapshotStripes.oldest || elision.mayHold(from: piece.start, to: piece.end) {
                rest.append(piece)
            }
        }
        rest.sort { $0.start.sortsBefore($1.start) }
    }

    var isEmpty: Bool { rest.isEmpty }
    /// The first start; nil if nothing is left.
    var start: [UInt8]? { rest.first?.start }
    /// The greatest end; nil if nothing is left.
    var end: [UInt8]? { rest.map(\.end).max { $0.sortsBefore($1) } }

    /// True if some deletion begins before `key`.
    func begin(before key: UnsafeRawBufferPointer) -> Bool {
        guard let start else { return false }
        return start.withUnsafeBytes { compareBytes($0, key) } < 0
    }

    /// Takes what lies before `key` (nil: all); what goes on beyond it stays, cut off there. What is taken and what
    /// stays cover exactly what was covered before.
    mutating func take(upTo key: [UInt8]?) -> [RangeDeletion] {
        guard let key else {
            defer { rest = [] }
            return rest
        }
        var taken: [RangeDeletion] = []
        var left: [RangeDeletion] = []
        for deletion in rest {
            guard deletion.start.sortsBefore(key) else {
                left.append(deletion)
                continue
            }
            guard key.sortsBefore(deletion.end) else {
                taken.append(deletion)
                continue
            }
            taken.append(RangeDeletion(start: deletion.start, end: key, sequence: deletion.sequence))
            left.append(RangeDeletion(start: key, end: deletion.end, sequence: deletion.sequence))
        }
        left.sort { $0.start.sortsBefore($1.start) }
        rest = left
        return taken
    }

    /// The newest deletion over each key, as pieces that do not overlap.
    private static func newest(of deletions: [RangeDeletion]) -> [RangeDeletion] {
        guard deletions.count > 1 else { return deletions.filter { $0.start.sortsBefore($0.end) } }
        let run = RangeDeletionRun(deletions)
        var pieces: [RangeDeletion] = []
        for interval in 0..<run.intervalCount {
            let sequence = run.newestSequence(over: interval, atMost: .max)
            guard sequence > .zero else { continue }
            let start = [UInt8](run.boundary(interval))
            let end = [UInt8](run.boundary(interval + 1))
            if let last = pieces.last, last.sequence == sequence, last.end == start {
                pieces[pieces.count - 1].end = end
            } else {
                pieces.append(RangeDeletion(start: start, end: end, sequence: sequence))
            }
        }
        return pieces
    }
}
