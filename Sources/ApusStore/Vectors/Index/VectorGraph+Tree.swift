// Reachability: every node can be found, whatever happens to the lists of links. A list that overflows is chosen anew,
// and what it drops may have been linked from nowhere else: in a graph without care for it, six nodes in a thousand can
// be reached no more. So every node but one has a parent, a node whose list leads to it, and a list drops a child only
// when the child has another parent. Parents form a tree; the root of it is where every search begins.
//
// Invariants, whenever the writer's lock is free:
// 1. A node that is in use (not free, not leaving, not retired) is the root, or the list of its parent leads to it.
// 2. Following parents never comes back to where it began, and ends at the root. Leaving nodes are in the tree until
//    every node in use has a parent that is in use.

import ApusIO
import Synchronization

extension VectorGraph {
    /// A chain of parents longer than this is not followed: it counts as leading through every node.
    private static let chainLimit = 512

    /// Whether `node` may be a parent of `child` without closing a circle.
    private func isOutside(_ node: UInt32, _ child: UInt32) -> Bool {
        var current = node
        for _ in 0..<VectorGraph.chainLimit {
            if current == child { return false }
            guard let parent = memory.parent(current) else { return true }
            current = parent
        }
        return false
    }

    private func canBeParent(_ slot: UInt32) -> Bool {
        let state = memory.state(slot)
        return state != NodeMemory.State.free && state != NodeMemory.State.leaving
    }

    /// Gives a node that is linked already a parent, the first of its own neighbours that can be one. If none leads to
    /// it yet, one is made to.
    func findParent(of child: UInt32) {
        var neighbours = [UInt32]()
        memory.forEachLink(child) { if $0 != child, canBeParent($0) { neighbours.append($0) } }
        for neighbour in neighbours where memory.hasLink(neighbour, to: child) && isOutside(neighbour, child) {
            memory.setParent(child, neighbour)
            return
        }
        for neighbour in neighbours where isOutside(neighbour, child) && adopt(child, by: neighbour) { return }
        adoptAnywhere(child)
    }

    /// Links `parent` to `child`, in place of a link that is no child's if the list is full. False if all are children.
    private func adopt(_ child: UInt32, by parent: UInt32) -> Bool {
        if !memory.appendLink(parent, to: child) {
            var index = 0
            var last: Int?
            memory.forEachLink(parent) { link in
                if memory.parent(link) != parent { last = index }
                index += 1
            }
            guard let last else { return false }
            memory.replaceLink(parent, at: last, by: child)
        }
        memory.setParent(child, parent)
        return true
    }

    /// Makes the first node of the tree that has room the parent, beginning at the root; the root itself if there is none.
    private func adoptAnywhere(_ child: UInt32) {
        let cell = root.load(ordering: .relaxed)
        guard cell != 0, cell - 1 != child else {
            memory.setParent(child, nil)
            root.store(child + 1, ordering: .releasing)
            return
        }
        // A list of children alone leads on to them; the child's own subtree is not entered, for it hangs below no node
        // of the tree now.
        memory.setParent(child, nil)
        var waiting = [cell - 1]
        var position = 0
        while position < waiting.count {
            let node = waiting[position]
            position += 1
            if canBeParent(node), adopt(child, by: node) { return }
            memory.forEachLink(node) { if memory.parent($0) == node, $0 != child { waiting.append($0) } }
        }
        // All others are leaving, and nothing that stays is lost with them.
        memory.replaceLink(cell - 1, at: 0, by: child)
        memory.setParent(child, cell - 1)
    }

    /// Finds another parent for a node in use whose parent is leaving.
    func leaveParent(_ slot: UInt32) {
        guard canBeParent(slot), let parent = memory.parent(slot), !canBeParent(parent) else { return }
        findParent(of: slot)
    }

    /// Chooses another root if this one is leaving, and hangs the old one below it for as long as it is there.
    func replaceLeavingRoot() {
        let cell = root.load(ordering: .relaxed)
        guard cell != 0, !canBeParent(cell - 1) else { return }
        let slotCount = UInt32(slotCount.load(ordering: .relaxed))
        for slot in 0..<slotCount where canBeParent(slot) && adopt(cell - 1, by: slot) {
            memory.setParent(slot, nil)
            root.store(slot + 1, ordering: .releasing)
            return
        }
        // Nothing stays.
        root.store(0, ordering: .releasing)
    }

    /// How many nodes in use no search can come to, whatever it looks for: none, if the invariants hold.
    func unreachableCount() -> Int {
        writer.withLock { _ in
            let slotCount = slotCount.load(ordering: .relaxed)
            var isSeen = [Bool](repeating: false, count: slotCount)
            var waiting: [UInt32] = []
            let cell = root.load(ordering: .relaxed)
            if cell != 0 {
                waiting.append(cell - 1)
                isSeen[Int(cell - 1)] = true
            }
            while let slot = waiting.popLast() {
                memory.forEachLink(slot) { link in
                    if isSeen[Int(link)] { return }
                    isSeen[Int(link)] = true
                    waiting.append(link)
                }
            }
            return (0..<slotCount).count { !isSeen[$0] && canBeParent(UInt32($0)) }
        }
    }
}
