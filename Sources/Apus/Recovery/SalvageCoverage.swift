// Which entries of the log are in tables that no manifest lists.
//
// How far a keyspace was flushed, only the manifest tells: a table that nothing lists may be one of several that a
// flush was still writing, split between two keys, and its sequence numbers are those of the whole flush. But of the
// keys between its first and its last one it holds, or is made of tables that held, everything up to its last sequence
// number. So the key space is cut at the bounds of all such tables, and each piece knows the newest of its numbers.
//
// What is left out here must not be replayed: an operand would count twice, and an old value would lie above a newer
// one. What is replayed is newer than all that tables hold of its key.

import ApusIO

struct SalvageCoverage {
    enum Finding: Equatable {
        /// The tables have it, or what became of it.
        case held
        /// They do not.
        case missing
        /// Compaction has set the numbers of entries there to 0, so nobody can tell.
        case unknown
    }

    /// From `start` up to the start of the next one.
    private struct Piece {
        var start: [UInt8]
        /// nil where no table has anything.
        var newest: SequenceNumber?
        var hasZero = false
    }

    /// Ascending; keys before the first are in no table.
    private var pieces: [Piece] = []
    /// Entries that are newer are missing wherever they are.
    private var newest = SequenceNumber.zero

    init(_ tables: [TableMetadata]) {
        func end(_ table: TableMetadata) -> [UInt8] {
            table.largestIsExclusive ? table.largest : table.largest + [0]
        }
        let sorted = tables.sorted { compareBytes($0.smallest, $1.smallest) < 0 }
        let bounds = (sorted.map(\.smallest) + sorted.map { end($0) }).sorted { compareBytes($0, $1) < 0 }
        var open: [TableMetadata] = []
        var next = 0
        for bound in bounds where pieces.last?.start != bound {
            open.removeAll { compareBytes(end($0), bound) <= 0 }
            while next < sorted.count, compareBytes(sorted[next].smallest, bound) <= 0 {
                if compareBytes(end(sorted[next]), bound) > 0 { open.append(sorted[next]) }
                next += 1
            }
            pieces.append(
                Piece(
                    start: bound, newest: open.map(\.largestSequence).max(),
                    hasZero: open.contains { $0.smallestSequence == .zero }))
        }
        newest = tables.map(\.largestSequence).max() ?? .zero
    }

    func finding(_ key: UnsafeRawBufferPointer, _ sequence: SequenceNumber) -> Finding {
        if sequence > newest { return .missing }
        let index = firstPiece(after: key)
        return index == 0 ? .missing : finding(pieces[index - 1], sequence)
    }

    /// The parts of a range, in order, with what is known of a deletion there.
    func findings(
        from start: [UInt8], to end: [UInt8], _ sequence: SequenceNumber
    ) -> [(start: [UInt8], end: [UInt8], finding: Finding)] {
        var parts: [(start: [UInt8], end: [UInt8], finding: Finding)] = []
        var from = start
        var index = start.withUnsafeBytes { firstPiece(after: $0) }
        while compareBytes(from, end) < 0 {
            var to = end
            if index < pieces.count, compareBytes(pieces[index].start, end) < 0 { to = pieces[index].start }
            let finding =
                sequence > newest || index == 0 ? Finding.missing : finding(pieces[index - 1], sequence)
            if let last = parts.last, last.finding == finding {
                parts[parts.count - 1].end = to
            } else {
                parts.append((from, to, finding))
            }
            from = to
            index += 1
        }
        return parts
    }

    private func finding(_ piece: Piece, _ sequence: SequenceNumber) -> Finding {
        guard let inPiece = piece.newest else { return .missing }
        if sequence <= inPiece { return .held }
        return piece.hasZero && sequence <= newest ? .unknown : .missing
    }

    private func firstPiece(after key: UnsafeRawBufferPointer) -> Int {
        var (low, high) = (0, pieces.count)
        while low < high {
            let middle = (low + high) / 2
            let isAfter = pieces[middle].start.withUnsafeBytes { compareBytes($0, key) > 0 }
            if isAfter { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
