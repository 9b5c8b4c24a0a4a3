// Inserting into the memtable's skiplist: finding the place, splitting full nodes. SkipList.swift explains the order
// of the steps that makes this safe beside readers.

import ApusIO

/// The one writer of a skiplist. Not thread-safe; readers need nothing from it.
///
/// Invariant of the unsafe parts: `path`, `entries`, `children` and `heads` are scratch space of fixed size, owned by
/// the object; indices stay below `maximumHeight` and `SkipListNode.capacity + 1`.
final class SkipListWriter {
    /// A level has at most a seventh of the nodes of the level below, and there are fewer than 2^32 entries.
    static let maximumHeight = 16
    /// Bytes that one insert can take for nodes at worst, per level: two fresh nodes, each with alignment.
    static let worstByteCountPerLevel = 2 * (SkipListNode.upperByteCount + SkipListNode.alignment - 8)
    /// Bytes that an insert takes for nodes at most on average. The worst order fills a half-full node sequentially
    /// (seven inserts, a split) and then breaks the full one (one insert, a split): four nodes per eight inserts, and
    /// a quarter of that, in larger nodes, for each further level. Usual orders take 20 to 50.
    static let averageByteCount = 192

    /// A node on the way down, and the rank of the child that the way went by.
    private struct Step {
        var node: SkipListNode
        var rank: Int
    }

    let arena: Arena
    let list: SkipList
    /// Number of upper levels.
    @exclusivity(unchecked) private(set) var height = 0
    @exclusivity(unchecked) private var root: ArenaOffset

    private let path: UnsafeMutablePointer<Step>
    private let entries: UnsafeMutablePointer<ArenaOffset>
    private let children: UnsafeMutablePointer<ArenaOffset>
    private let heads: UnsafeMutablePointer<UInt64>

    /// Where the last entry went, and whether the one before it went right beside.
    @exclusivity(unchecked) private var lastNode: SkipListNode
    @exclusivity(unchecked) private var lastRank = -1
    @exclusivity(unchecked) private var isSequential = false

    init(arena: Arena) {
        self.arena = arena
        list = SkipList(base: arena.base)
        path = .allocate(capacity: SkipListWriter.maximumHeight)
        entries = .allocate(capacity: SkipListNode.capacity + 1)
        children = .allocate(capacity: SkipListNode.capacity + 1)
        heads = .allocate(capacity: SkipListNode.capacity + 1)

        let first = arena.allocate(byteCount: ArenaEntry.headerByteCount)
        precondition(first == SkipList.firstEntry)
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        ArenaEntry.write(nothing, .first, nothing, to: arena.base + Int(first) << 3)
        root = arena.allocate(byteCount: SkipListNode.bottomByteCount, alignment: SkipListNode.alignment)
        lastNode = list.node(root)
        lastNode.setPrefix(0)
        lastNode.setLow(SkipList.firstEntry)
        lastNode.setHigh(0)
        lastNode.setLink(0)
        lastNode.publish(.ascending(0))
        list.setRoot(root, height: 0)
    }

    deinit {
        path.deallocate()
        entries.deallocate()
        children.deallocate()
        heads.deallocate()
    }

    /// Adds an entry; returns the bytes its key, payload and header take.
    /// - Precondition: no entry has this key and trailer, and the arena has room.
    func insert(_ key: UnsafeRawBufferPointer, _ trailer: Trailer, _ payload: UnsafeRawBufferPointer) -> Int {
        let byteCount = ArenaEntry.byteCount(key: key.count, payload: payload.count)
        let entry = arena.allocate(byteCount: byteCount)
        ArenaEntry.write(key, trailer, payload, to: arena.base + Int(entry) &<< 3)

        if followsLast(key, trailer) {
            let rank = lastRank &+ 1
            isSequential = true
            if lastNode.order.count == SkipListNode.capacity { _ = findPath(key, trailer) }
            place(entry, key, trailer, in: lastNode, rank)
        } else {
            let node = findPath(key, trailer)
            let head = SkipList.head(key, trailer, prefix: node.prefix)
            let rank = list.rank(key, trailer, head: head, in: node, node.order, inclusive: false)
            isSequential = node == lastNode && rank == lastRank &+ 1
            place(entry, key, trailer, in: node, rank)
        }
        return byteCount
    }

    /// True if the entry belongs right after the one inserted last, so that no search is needed. Asked only where it
    /// costs next to nothing: at the end of everything, or if the last insert was sequential already.
    @inline(__always)
    private func followsLast(_ key: UnsafeRawBufferPointer, _ trailer: Trailer) -> Bool {
        let high = lastNode.high
        guard lastRank >= 0 && (high == 0 || isSequential) else { return false }
        let order = lastNode.order
        let last = list.entry(lastNode.entry(order.slot(lastRank)))
        guard compareInternal(last.key, last.trailer, key, trailer) < 0 else { return false }
        let following = lastRank &+ 1 < order.count ? lastNode.entry(order.slot(lastRank &+ 1)) : high
        if following == 0 { return true }
        let next = list.entry(following)
        return compareInternal(next.key, next.trailer, key, trailer) > 0
    }

    /// The bottom node for the key; fills `path` with the way to it.
    private func findPath(_ key: UnsafeRawBufferPointer, _ trailer: Trailer) -> SkipListNode {
        var node = list.node(root)
        var level = height
        while level > 0 {
            let order = node.order
            let head = SkipList.head(key, trailer, prefix: node.prefix)
            let rank = list.rank(key, trailer, head: head, in: node, order, inclusive: true)
            let step = Step(node: node, rank: rank > 0 ? rank &- 1 : 0)
            path[level] = step
            node = list.node(node.child(order.slot(step.rank)))
            level &-= 1
            node.prefetch(upper: level > 0)
        }
        return node
    }

    @inline(__always)
    private func place(
        _ entry: ArenaOffset,
        _ key: UnsafeRawBufferPointer,
        _ trailer: Trailer,
        in node: SkipListNode,
        _ rank: Int
    ) {
        let order = node.order
        let slot = order.count
        if slot == SkipListNode.capacity { return split(node, adding: entry, at: rank) }
        node.setHead(slot, SkipList.head(key, trailer, prefix: node.prefix))
        node.setEntry(slot, entry)
        node.publish(order.inserting(at: rank))
        lastNode = node
        lastRank = rank
    }

    // MARK: - Splitting

    /// How many of a full node's slots and one more go to the left node. Sequential inserts leave full nodes behind.
    @inline(__always)
    private func leftCount(addingAt rank: Int, endless: Bool) -> Int {
        let isAtEnd = rank == SkipListNode.capacity && (endless || isSequential)
        return isAtEnd ? SkipListNode.capacity : (SkipListNode.capacity + 1) / 2
    }

    /// Makes room in a full bottom node. `path` leads to it.
    private func split(_ node: SkipListNode, adding entry: ArenaOffset, at rank: Int) {
        let added = list.entry(entry)
        gather(node, entry, SkipList.head(added.key, added.trailer, prefix: node.prefix), child: 0, at: rank)
        let half = leftCount(addingAt: rank, endless: node.high == 0)
        let (left, right) = makeHalves(of: node, half, upper: false)
        list.node(right).setLink(node.link)
        list.node(left).setLink(right)
        let before = nodeBefore()
        promote(entries[half], right, replacing: left)
        before?.setLink(left)
        lastNode = list.node(rank < half ? left : right)
        lastRank = rank < half ? rank : rank - half
    }

    /// Puts `left` in the place of the node that the path leads to, in the level above, and `right`, whose range
    /// begins at `entry`, beside it.
    private func promote(_ promoted: ArenaOffset, _ newRight: ArenaOffset, replacing newLeft: ArenaOffset) {
        var entry = promoted
        var right = newRight
        var left = newLeft
        var level = 1
        while level <= height {
            let parent = path[level].node
            let rank = path[level].rank
            let order = parent.order
            let added = list.entry(entry)
            let head = SkipList.head(added.key, added.trailer, prefix: parent.prefix)
            if order.count < SkipListNode.capacity {
                let slot = order.count
                parent.setHead(slot, head)
                parent.setEntry(slot, entry)
                parent.setChild(slot, right)
                parent.publish(order.inserting(at: rank + 1))
                parent.setChild(order.slot(rank), left)
                return
            }
            gather(parent, entry, head, child: right, at: rank + 1)
            children[rank] = left
            let half = leftCount(addingAt: rank + 1, endless: parent.high == 0)
            entry = entries[half]
            (left, right) = makeHalves(of: parent, half, upper: true)
            level += 1
        }
        entries[0] = SkipList.firstEntry
        entries[1] = entry
        children[0] = left
        children[1] = right
        root = makeNode(0..<2, low: SkipList.firstEntry, high: 0, upper: true, headsTakenAfter: nil)
        height += 1
        precondition(height < SkipListWriter.maximumHeight)
        list.setRoot(root, height: height)
    }

    /// Two nodes that share what was gathered from `node`: the first `half` slots, and the rest.
    private func makeHalves(
        of node: SkipListNode,
        _ half: Int,
        upper: Bool
    ) -> (left: ArenaOffset, right: ArenaOffset) {
        let middle = entries[half]
        let end = SkipListNode.capacity + 1
        let left = makeNode(0..<half, low: node.low, high: middle, upper: upper, headsTakenAfter: node.prefix)
        let right = makeNode(half..<end, low: middle, high: node.high, upper: upper, headsTakenAfter: node.prefix)
        return (left, right)
    }

    /// The bottom node before the one that the path leads to; nil if that is the first.
    private func nodeBefore() -> SkipListNode? {
        var level = 1
        while level <= height && path[level].rank == 0 { level += 1 }
        guard level <= height else { return nil }
        let parent = path[level].node
        var node = list.node(parent.child(parent.order.slot(path[level].rank - 1)))
        while level > 1 {
            node = list.node(node.child(node.order.slot(node.order.count - 1)))
            level -= 1
        }
        return node
    }

    /// Fills the scratch space with the slots of a full node in order and one more at `rank`.
    private func gather(_ node: SkipListNode, _ entry: ArenaOffset, _ head: UInt64, child: ArenaOffset, at rank: Int) {
        let order = node.order
        let upper = child != 0
        var index = 0
        for target in 0...SkipListNode.capacity {
            if target == rank {
                entries[target] = entry
                heads[target] = head
                children[target] = child
                continue
            }
            let slot = order.slot(index)
            entries[target] = node.entry(slot)
            heads[target] = node.head(slot)
            if upper { children[target] = node.child(slot) }
            index += 1
        }
    }

    /// A node of the gathered slots in `range`, complete but for its link. `headsTakenAfter` is the prefix for which
    /// the gathered heads hold; where the new prefix is longer the heads are taken anew from the keys.
    private func makeNode(
        _ range: Range<Int>,
        low: ArenaOffset,
        high: ArenaOffset,
        upper: Bool,
        headsTakenAfter oldPrefix: UInt32?
    ) -> ArenaOffset {
        let offset = arena.allocate(
            byteCount: upper ? SkipListNode.upperByteCount : SkipListNode.bottomByteCount,
            alignment: SkipListNode.alignment
        )
        let node = list.node(offset)
        let prefix = sharedPrefix(low, high)
        node.setPrefix(prefix)
        node.setLow(low)
        node.setHigh(high)
        node.setLink(0)
        for (slot, index) in range.enumerated() {
            node.setEntry(slot, entries[index])
            if upper { node.setChild(slot, children[index]) }
            if prefix == oldPrefix {
                node.setHead(slot, heads[index])
            } else {
                let entry = list.entry(entries[index])
                node.setHead(slot, SkipList.head(entry.key, entry.trailer, prefix: prefix))
            }
        }
        node.publish(.ascending(range.count))
        return offset
    }

    /// How many bytes all keys from `low` to `high` have in common, or `singleKey`.
    private func sharedPrefix(_ low: ArenaOffset, _ high: ArenaOffset) -> UInt32 {
        if high == 0 { return 0 }
        let a = list.entry(low).key
        let b = list.entry(high).key
        let shared = commonPrefixCount(a, b)
        return shared == a.count && shared == b.count ? SkipListNode.singleKey : UInt32(truncatingIfNeeded: shared)
    }
}
