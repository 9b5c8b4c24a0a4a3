// The memtable's skiplist as readers see it: an unrolled, deterministic skiplist. One thread inserts while any number
// of threads read without locks.
//
//   root ──► ┌──────────────┐                                  upper levels: entry and child per slot
//            └─┬─────────┬──┘
//              ▼         ▼
//            ┌────┬────┐┌────┬────┐
//            └─┬──┴─┬──┘└─┬──┴─┬──┘
//              ▼    ▼     ▼    ▼
//            ┌───┐┌───┐ ┌───┐┌───┐
//            │   ├►   ├─►   ├►   │                             bottom level: the entries, as a linked list of nodes
//            └───┘└───┘ └───┘└───┘
//
// A node covers the range of keys from its `low` to its `high` entry. Where there is no room the writer builds two
// fresh nodes that share the entries: halves, or, where inserts are sequential, everything and the new entry. Then it
// adds the right one to the level above, and after that exchanges the child (and the link in the bottom level) that
// leads to the old node for the left one. The old node is never changed again. Why readers need no locks:
//
// - Everything committed when a reader begins is in every node that the reader can reach afterwards: a node leaves
//   the structure complete, and whoever reached it before finds there all that had been inserted until then. What is
//   inserted later has larger sequence numbers than the reader may see.
// - A reader takes a child only if the order word is the same after loading the child as before. The right node is
//   added before the child is exchanged, so an unchanged order word means that the child still covers its old range.
// - A node's range never changes. What follows its last entry is the entry that begins the next node: its `high`.

import ApusIO
import Synchronization

/// A place in the bottom level: an unchanging picture of one node, and a rank in it.
struct SkipListPosition {
    var node: SkipListNode
    var order: SlotOrder
    var rank: Int
}

/// Look-ups and seeks. A value type around the arena's base: loading nothing but the structure itself.
///
/// Invariant of the unsafe part: `base` is the start of an arena set up by `SkipListWriter`, which outlives the view.
struct SkipList {
    /// The entry with the empty key: before everything.
    static let firstEntry: ArenaOffset = 1

    let base: UnsafeMutableRawPointer

    /// Root node in the lower half, number of upper levels in the upper half.
    @inline(__always) var root: UInt64 {
        base.assumingMemoryBound(to: Atomic<UInt64>.self).pointee.load(ordering: .acquiring)
    }
    @inline(__always) func setRoot(_ node: ArenaOffset, height: Int) {
        let word = UInt64(node) | UInt64(truncatingIfNeeded: height) &<< 32
        base.assumingMemoryBound(to: Atomic<UInt64>.self).pointee.store(word, ordering: .releasing)
    }

    @inline(__always) func node(_ offset: ArenaOffset) -> SkipListNode {
        SkipListNode(base: base + Int(offset) &<< 3)
    }
    @inline(__always) func entry(_ offset: ArenaOffset) -> ArenaEntry {
        ArenaEntry(base: UnsafeRawPointer(base + Int(offset) &<< 3))
    }
    @inline(__always) func entry(_ position: SkipListPosition) -> ArenaEntry {
        entry(position.node.entry(position.order.slot(position.rank)))
    }

    /// What nodes of this prefix keep as the head of a key in their range.
    @inline(__always)
    static func head(_ key: UnsafeRawBufferPointer, _ trailer: Trailer, prefix: UInt32) -> UInt64 {
        prefix == SkipListNode.singleKey ? ~trailer.rawValue : keyHead(key, from: Int(prefix))
    }

    /// How many entries of the node sort before (`key`, `trailer`), or, `inclusive`, not after it.
    /// The key lies in the node's range (or is its end).
    @inline(__always)
    func rank(
        _ key: UnsafeRawBufferPointer,
        _ trailer: Trailer,
        head: UInt64,
        in node: SkipListNode,
        _ order: SlotOrder,
        inclusive: Bool
    ) -> Int {
        let count = order.count
        let below = node.slotsBelow(head) & ((1 &<< UInt32(truncatingIfNeeded: count)) &- 1)
        let rank = below.nonzeroBitCount
        if rank == count || node.head(order.slot(rank)) != head { return rank }
        return rankAmongEqualHeads(key, trailer, head, node, order, from: rank, inclusive: inclusive)
    }

    @inline(never)
    private func rankAmongEqualHeads(
        _ key: UnsafeRawBufferPointer,
        _ trailer: Trailer,
        _ head: UInt64,
        _ node: SkipListNode,
        _ order: SlotOrder,
        from first: Int,
        inclusive: Bool
    ) -> Int {
        var low = first
        var high = first &+ 1
        while high < order.count && node.head(order.slot(high)) == head { high &+= 1 }
        let prefix = node.prefix
        while low < high {
            let middle = (low &+ high) / 2
            let found = entry(node.entry(order.slot(middle)))
            var comparison = 0
            if prefix != SkipListNode.singleKey {
                comparison = compareBytes(found.key.dropping(Int(prefix)), key.dropping(Int(prefix)))
            }
            if comparison == 0 && found.trailer != trailer {
                comparison = found.trailer.rawValue > trailer.rawValue ? -1 : 1
            }
            if comparison < 0 || (inclusive && comparison == 0) { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    /// The bottom node whose range contains (`key`, `trailer`); not `inclusive`: the one with the entry before it.
    @inline(__always)
    private func bottomNode(
        _ key: UnsafeRawBufferPointer,
        _ trailer: Trailer,
        inclusive: Bool
    ) -> SkipListNode {
        descend { node, order in
            let head = SkipList.head(key, trailer, prefix: node.prefix)
            let rank = rank(key, trailer, head: head, in: node, order, inclusive: inclusive)
            return rank > 0 ? rank &- 1 : 0
        }
    }

    /// Follows the child of the rank that `choose` picks at every level, down to the bottom.
    @inline(__always)
    private func descend(_ choose: (SkipListNode, SlotOrder) -> Int) -> SkipListNode {
        let root = self.root
        var node = self.node(ArenaOffset(truncatingIfNeeded: root))
        var height = root &>> 32
        while height > 0 {
            let order = node.order
            let child = node.child(order.slot(choose(node, order)))
            if node.order != order { continue }
            node = self.node(child)
            height &-= 1
            node.prefetch(upper: height > 0)
        }
        return node
    }

    /// The newest entry of `key` whose trailer is at most `seek`.
    @inline(__always)
    func find(_ key: UnsafeRawBufferPointer, _ seek: Trailer) -> ArenaEntry? {
        let node = bottomNode(key, seek, inclusive: true)
        let order = node.order
        let prefix = node.prefix
        let head = SkipList.head(key, seek, prefix: prefix)
        let rank = rank(key, seek, head: head, in: node, order, inclusive: false)
        var following = node.high
        if rank < order.count {
            let slot = order.slot(rank)
            following = node.entry(slot)
            if prefix == SkipListNode.singleKey { return entry(following) }
            if node.head(slot) != head { return nil }
        }
        if following == 0 { return nil }
        let found = entry(following)
        return equalBytes(found.key, key) ? found : nil
    }

    func first() -> SkipListPosition? {
        let node = descend { _, _ in 0 }
        let order = node.order
        return order.count == 0 ? nil : SkipListPosition(node: node, order: order, rank: 0)
    }

    func last() -> SkipListPosition? {
        let node = descend { _, order in order.count &- 1 }
        let order = node.order
        return order.count == 0 ? nil : SkipListPosition(node: node, order: order, rank: order.count &- 1)
    }

    /// The first entry at or after (`key`, `trailer`).
    func seek(_ key: UnsafeRawBufferPointer, _ trailer: Trailer) -> SkipListPosition? {
        let node = bottomNode(key, trailer, inclusive: true)
        let order = node.order
        let head = SkipList.head(key, trailer, prefix: node.prefix)
        let rank = rank(key, trailer, head: head, in: node, order, inclusive: false)
        return rank < order.count ? SkipListPosition(node: node, order: order, rank: rank) : start(after: node)
    }

    /// The last entry before (`key`, `trailer`).
    func seekBefore(_ key: UnsafeRawBufferPointer, _ trailer: Trailer) -> SkipListPosition? {
        let node = bottomNode(key, trailer, inclusive: false)
        let order = node.order
        let head = SkipList.head(key, trailer, prefix: node.prefix)
        let rank = rank(key, trailer, head: head, in: node, order, inclusive: false)
        // A node begins with its `low` entry, which is before the target in every node but the first.
        return rank == 0 ? nil : SkipListPosition(node: node, order: order, rank: rank &- 1)
    }

    /// The first entry of the node that follows; nil at the end.
    @inline(__always)
    func start(after node: SkipListNode) -> SkipListPosition? {
        let link = node.link
        if link == 0 { return nil }
        let next = self.node(link)
        return SkipListPosition(node: next, order: next.order, rank: 0)
    }
}

extension UnsafeRawBufferPointer {
    /// The bytes from `count` on.
    @inline(__always)
    func dropping(_ count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: baseAddress.unsafelyUnwrapped + count, count: self.count &- count)
    }
}
