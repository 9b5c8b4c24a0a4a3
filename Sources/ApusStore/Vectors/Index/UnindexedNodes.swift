// Nodes that the index had no memory for: ranges of their numbers, so that a search reads those in the database and no
// others. When they are deleted, or written again at a time when there is room, the ranges shrink: a collection that was
// over its budget for a moment is as fast as any other when its vectors have been replaced.

import ApusIO
import Synchronization

/// Ascending ranges of numbers. There are never more than a few: rather than one more, what lies between two counts as
/// contained.
struct NodeRanges: Sendable {
    static let limit = 64

    private(set) var ranges: [ClosedRange<UInt64>] = []

    mutating func insert(_ node: UInt64) {
        let next = firstIndex(endingAtOrAfter: node)
        if next < ranges.count, ranges[next].contains(node) { return }
        ranges.insert(node...node, at: next)
        if next + 1 < ranges.count, ranges[next + 1].lowerBound == node + 1 { join(next) }
        if next > 0, ranges[next - 1].upperBound + 1 == node { join(next - 1) }
        if ranges.count > NodeRanges.limit { joinNearest() }
    }

    /// Leaves out a number, unless that would make too many ranges.
    mutating func remove(_ node: UInt64) {
        let index = firstIndex(endingAtOrAfter: node)
        guard index < ranges.count, ranges[index].contains(node) else { return }
        let range = ranges[index]
        switch (range.lowerBound == node, range.upperBound == node) {
        case (true, true): ranges.remove(at: index)
        case (true, false): ranges[index] = node + 1...range.upperBound
        case (false, true): ranges[index] = range.lowerBound...node - 1
        case (false, false):
            guard ranges.count < NodeRanges.limit else { return }
            ranges[index] = node + 1...range.upperBound
            ranges.insert(range.lowerBound...node - 1, at: index)
        }
    }

    /// From the end, because the highest numbers are the newest.
    private func firstIndex(endingAtOrAfter node: UInt64) -> Int {
        var index = ranges.count
        while index > 0, ranges[index - 1].upperBound >= node { index -= 1 }
        return index
    }

    /// Makes one range of that one and the next.
    private mutating func join(_ index: Int) {
        ranges[index] = ranges[index].lowerBound...ranges[index + 1].upperBound
        ranges.remove(at: index + 1)
    }

    private mutating func joinNearest() {
        var nearest = 0
        for index in 0..<ranges.count - 1 where gap(index) < gap(nearest) { nearest = index }
        join(nearest)
    }

    private func gap(_ index: Int) -> UInt64 { ranges[index + 1].lowerBound - ranges[index].upperBound }
}

/// The ranges, and what is to be left out of them when nobody can see it any more.
final class UnindexedNodes: Sendable {
    private struct State {
        var nodes = NodeRanges()
        var deleted: [(node: UInt64, sequence: UInt64)] = []
    }

    private let state = Monitor(State())
    /// So that searches of a collection within its budget take no lock.
    private let hasNodes = Atomic(false)

    var isEmpty: Bool { !hasNodes.load(ordering: .sequentiallyConsistent) }

    /// What a search has to read in the database.
    var ranges: [ClosedRange<UInt64>] { isEmpty ? [] : state.withLock { $0.nodes.ranges } }

    /// Call before anyone can see the node.
    func insert(_ node: UInt64) {
        state.withLock { state in
            state.nodes.insert(node)
            hasNodes.store(true, ordering: .sequentiallyConsistent)
        }
    }

    /// A node that is not in the index was deleted, or never committed: from `sequence` on nobody sees it.
    func remove(_ node: UInt64, unseenFrom sequence: UInt64) {
        if isEmpty { return }
        state.withLock { $0.deleted.append((node, sequence)) }
    }

    /// Leaves out what no reader can see any more. `oldest` is the sequence number of the oldest one.
    func forget(oldest: UInt64) {
        if isEmpty { return }
        state.withLock { state in
            // They come nearly in the order of their sequence numbers.
            let count = state.deleted.prefix { $0.sequence <= oldest }.count
            if count == 0 { return }
            for entry in state.deleted.prefix(count) { state.nodes.remove(entry.node) }
            state.deleted.removeFirst(count)
            if state.nodes.ranges.isEmpty {
                state.deleted = []
                hasNodes.store(false, ordering: .sequentiallyConsistent)
            }
        }
    }
}
