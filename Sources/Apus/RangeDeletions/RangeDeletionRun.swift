// One immutable, indexed set of range deletions.
//
// The end points of all deletions cut the key space into elementary intervals. Cutting the deletions themselves into
// those pieces would take quadratic space for the most common pattern of all (a journal trimmed again and again from
// the same start), so the pieces hang in a segment tree instead: a deletion is noted at the O(log n) nodes that make
// up its range, and the deletions over a key are those noted on the way from the key's interval to the root.
//
//   boundaries   b0 < b1 < b2 < … < bm          interval i = [b(i), b(i+1)), leaf i + m of the tree
//   tree         node p has children 2p, 2p+1; its deletions' sequences lie newest first at
//                sequences[listStarts[p]..<listStarts[p + 1]]

import ApusIO

/// Deletions with an index over them. O(n log n) space and construction; a look-up is one binary search over the
/// boundaries and O(log n) short lists.
///
/// Invariant of the unsafe parts: all four arrays are written by `init` only and freed by `deinit`, so any number of
/// threads may read them (`@unchecked Sendable`).
final class RangeDeletionRun: @unchecked Sendable {
    /// By start, then newest first; no duplicates, none empty.
    let deletions: [RangeDeletion]
    /// Elementary intervals between the first and the last boundary, some of them perhaps not covered.
    let intervalCount: Int
    /// Memory taken, keys of `deletions` included.
    let byteCount: Int

    private let boundaryBytes: UnsafeMutableRawPointer
    private let boundaryOffsets: UnsafeMutablePointer<Int>
    private let listStarts: UnsafeMutablePointer<Int>
    private let sequences: UnsafeMutablePointer<UInt64>

    init(_ unordered: [RangeDeletion]) {
        let deletions = RangeDeletionRun.normalized(unordered)
        self.deletions = deletions

        // Rank of each end point among the distinct ones; point 2i is the start of deletion i, 2i + 1 its end.
        func point(_ index: Int) -> [UInt8] { index & 1 == 0 ? deletions[index / 2].start : deletions[index / 2].end }
        let order = (0..<(2 * deletions.count)).sorted { compareArrays(point($0), point($1)) < 0 }
        var ranks = [Int](repeating: 0, count: order.count)
        var distinct: [Int] = []
        var byteTotal = 0
        for index in order {
            if let last = distinct.last, point(last) == point(index) {
                ranks[index] = distinct.count - 1
            } else {
                ranks[index] = distinct.count
                distinct.append(index)
                byteTotal += point(index).count
            }
        }
        let intervalCount = max(distinct.count - 1, 0)
        self.intervalCount = intervalCount

        boundaryBytes = .allocate(byteCount: max(byteTotal, 1), alignment: 8)
        boundaryOffsets = .allocate(capacity: distinct.count + 1)
        let target = boundaryBytes
        var offset = 0
        for (rank, index) in distinct.enumerated() {
            boundaryOffsets[rank] = offset
            offset += point(index).withUnsafeBytes { (target + offset).copyBytes(from: $0) }
        }
        boundaryOffsets[distinct.count] = offset

        // Two passes: count the notes of every tree node, then write them, newest deletion first.
        listStarts = .allocate(capacity: 2 * intervalCount + 1)
        listStarts.initialize(repeating: 0, count: 2 * intervalCount + 1)
        func forEachNode(of deletion: Int, _ body: (Int) -> Void) {
            var left = ranks[2 * deletion] + intervalCount
            var right = ranks[2 * deletion + 1] + intervalCount
            while left < right {
                if left & 1 == 1 {
                    body(left)
                    left += 1
                }
                if right & 1 == 1 {
                    right -= 1
                    body(right)
                }
                left /= 2
                right /= 2
            }
        }
        let starts = listStarts
        for index in deletions.indices { forEachNode(of: index) { starts[$0] += 1 } }
        var total = 0
        for node in 0..<(2 * intervalCount) {
            let count = starts[node]
            starts[node] = total
            total += count
        }
        starts[2 * intervalCount] = total
        sequences = .allocate(capacity: max(total, 1))
        let notes = sequences
        var filled = [Int](repeating: 0, count: 2 * intervalCount)
        for index in deletions.indices.sorted(by: { deletions[$0].sequence > deletions[$1].sequence }) {
            forEachNode(of: index) { node in
                notes[starts[node] + filled[node]] = deletions[index].sequence.rawValue
                filled[node] += 1
            }
        }
        byteCount =
            2 * byteTotal + 8 * (distinct.count + 1 + 2 * intervalCount + 1 + total)
            + deletions.count * (MemoryLayout<RangeDeletion>.stride + 64) + 128
    }

    deinit {
        boundaryBytes.deallocate()
        boundaryOffsets.deallocate()
        listStarts.deallocate()
        sequences.deallocate()
    }

    func boundary(_ index: Int) -> UnsafeRawBufferPointer {
        let start = boundaryOffsets[index]
        return UnsafeRawBufferPointer(start: boundaryBytes + start, count: boundaryOffsets[index + 1] - start)
    }

    /// How many boundaries are at or before `key`: 0 before the first, `intervalCount + 1` from the last on.
    private func boundariesUp(to key: UnsafeRawBufferPointer) -> Int {
        var low = 0
        var high = intervalCount + 1
        while low < high {
            let middle = (low + high) / 2
            if compareBytes(boundary(middle), key) <= 0 { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The newest deletion over `interval` that is not newer than `limit`; zero if there is none.
    func newestSequence(over interval: Int, atMost limit: SequenceNumber) -> SequenceNumber {
        var newest: UInt64 = 0
        var node = interval + intervalCount
        while node >= 1 {
            var low = listStarts[node]
            let end = listStarts[node + 1]
            if low < end && sequences[low] > limit.rawValue {
                var high = end
                while low < high {
                    let middle = (low + high) / 2
                    if sequences[middle] > limit.rawValue { low = middle + 1 } else { high = middle }
                }
            }
            if low < end { newest = max(newest, sequences[low]) }
            node /= 2
        }
        return SequenceNumber(newest)
    }

    func newestSequence(covering key: UnsafeRawBufferPointer, atMost limit: SequenceNumber) -> SequenceNumber {
        guard intervalCount > 0 else { return .zero }
        let position = boundariesUp(to: key)
        guard position > 0 && position <= intervalCount else { return .zero }
        return newestSequence(over: position - 1, atMost: limit)
    }

    func coverage(of key: UnsafeRawBufferPointer, atMost limit: SequenceNumber) -> RangeDeletionCoverage {
        guard intervalCount > 0 else { return .none }
        let position = boundariesUp(to: key)
        if position == 0 { return RangeDeletionCoverage(newest: .zero, lower: nil, upper: boundary(0)) }
        if position > intervalCount {
            return RangeDeletionCoverage(newest: .zero, lower: boundary(intervalCount), upper: nil)
        }
        return RangeDeletionCoverage(
            newest: newestSequence(over: position - 1, atMost: limit),
            lower: boundary(position - 1),
            upper: boundary(position)
        )
    }

    /// Every deletion over `interval`, newest first.
    func allSequences(over interval: Int) -> [SequenceNumber] {
        var found: [SequenceNumber] = []
        var node = interval + intervalCount
        while node >= 1 {
            for index in listStarts[node]..<listStarts[node + 1] { found.append(SequenceNumber(sequences[index])) }
            node /= 2
        }
        found.sort(by: >)
        return found
    }

    private static func normalized(_ deletions: [RangeDeletion]) -> [RangeDeletion] {
        var sorted = deletions.filter { compareArrays($0.start, $0.end) < 0 }
        sorted.sort { a, b in
            let order = compareArrays(a.start, b.start)
            if order != 0 { return order < 0 }
            if a.sequence != b.sequence { return a.sequence > b.sequence }
            return compareArrays(a.end, b.end) < 0
        }
        var result: [RangeDeletion] = []
        result.reserveCapacity(sorted.count)
        for deletion in sorted where result.last != deletion { result.append(deletion) }
        return result
    }
}

/// `compareBytes` for arrays.
func compareArrays(_ a: [UInt8], _ b: [UInt8]) -> Int {
    a.withUnsafeBytes { a in b.withUnsafeBytes { b in compareBytes(a, b) } }
}
