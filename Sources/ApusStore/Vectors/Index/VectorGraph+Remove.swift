// Taking nodes away. A deleted node stays where it is, so that searches find their way through it and older snapshots
// find it, until nobody can see it any more. Then, a few lists at a time, a sweep goes over all nodes twice: first those
// whose parent leaves find another, then links to leaving nodes are replaced by links to what they led to (as FreshDiskANN
// does: Singh et al., arXiv:2105.09613, algorithm 4). When the sweep has seen every list, nothing leads to them, and once the searches under way have ended their slots are used again.

import ApusIO
import Synchronization

extension VectorGraph {
    /// A sweep begins when one node in so many has been deleted; until then they cost a little time in searches.
    static let deadShare = 16
    /// Lists that one step of a sweep looks at, and parents that one step of what comes before it does.
    static let sweepStep = 64
    static let parentStep = 1024

    /// The transaction that added the node was committed.
    func confirm(node: UInt64) {
        writer.withLock { writer in
            guard let slot = writer.table.slot(of: node, in: memory) else { return }
            memory.setState(slot, NodeMemory.State.live)
        }
    }

    /// The node was deleted, or the transaction that added it was not committed. From `sequence` on nobody sees it. False
    /// if it is not in the index.
    @discardableResult
    func remove(node: UInt64, unseenFrom sequence: UInt64) -> Bool {
        writer.withLock { writer in
            guard let slot = writer.table.slot(of: node, in: memory) else { return false }
            let state = memory.state(slot)
            guard state == NodeMemory.State.live || state == NodeMemory.State.pending else { return true }
            memory.setState(slot, NodeMemory.State.dead)
            liveCount.add(-1, ordering: .relaxed)
            writer.dead.append((slot, sequence))
            return true
        }
    }

    /// Does a little of what deletions have left to do. `oldest` is the sequence number of the oldest reader.
    func maintain(oldest: UInt64) {
        withScratch { scratch in
            writer.withLock { writer in
                gate.advance()
                reuseRetired(&writer)
                if writer.leaving.isEmpty {
                    beginSweep(oldest, &writer)
                } else {
                    continueSweep(&writer, scratch)
                }
            }
        }
    }

    private func reuseRetired(_ writer: inout Writer) {
        var count = 0
        while count < writer.retired.count, gate.hasPassed(writer.retired[count].mark) {
            let slot = writer.retired[count].slot
            let metadataByteCount = memory.metadata(slot).count
            writer.metadataByteCount -= metadataByteCount == 0 ? 0 : 8 + metadataByteCount
            memory.setMetadata(slot, [])
            writer.free.append(slot)
            count += 1
        }
        writer.retired.removeFirst(count)
    }

    private func beginSweep(_ oldest: UInt64, _ writer: inout Writer) {
        let slotCount = slotCount.load(ordering: .relaxed)
        // They come nearly in the order of their sequence numbers, so enough of them can go if this one can.
        let due = max(parameters.leastSwept, slotCount / VectorGraph.deadShare)
        guard writer.dead.count >= due, writer.dead[due - 1].sequence <= oldest else { return }
        var kept: [(slot: UInt32, sequence: UInt64)] = []
        for entry in writer.dead {
            if entry.sequence <= oldest {
                memory.setState(entry.slot, NodeMemory.State.leaving)
                writer.leaving.append(entry.slot)
                writer.table.remove(memory.node(entry.slot), in: memory)
            } else {
                kept.append(entry)
            }
        }
        writer.dead = kept
        writer.sweepPosition = 0
        writer.isUnlinking = false
        replaceLeavingRoot()
    }

    private func continueSweep(_ writer: inout Writer, _ scratch: SearchScratch) {
        let slotCount = slotCount.load(ordering: .relaxed)
        let step = writer.isUnlinking ? VectorGraph.sweepStep : VectorGraph.parentStep
        let end = min(writer.sweepPosition + step, slotCount)
        for slot in writer.sweepPosition..<end {
            if writer.isUnlinking { relink(UInt32(slot), &writer, scratch) } else { leaveParent(UInt32(slot)) }
        }
        writer.sweepPosition = end
        guard end == slotCount else { return }
        guard writer.isUnlinking else {
            writer.isUnlinking = true
            writer.sweepPosition = 0
            return
        }
        // No list leads to them, and none will: links are only ever chosen among the living, and from lists swept.
        for slot in writer.leaving {
            memory.setState(slot, NodeMemory.State.free)
            memory.setLinks(slot, [])
            memory.setParent(slot, nil)
        }
        let mark = gate.mark
        writer.retired.append(contentsOf: writer.leaving.map { ($0, mark) })
        writer.leaving.removeAll()
    }

    /// Replaces the links of a list that lead to leaving nodes.
    private func relink(_ slot: UInt32, _ writer: inout Writer, _ scratch: SearchScratch) {
        let state = memory.state(slot)
        if state == NodeMemory.State.free || state == NodeMemory.State.leaving { return }
        scratch.prepare(beamWidth: 1, slotCount: slotCount.load(ordering: .relaxed))
        _ = scratch.visit(slot)
        var count = 0
        var lost: [UInt32] = []
        memory.forEachLink(slot) { link in
            guard scratch.visit(link) else { return }
            if memory.state(link) == NodeMemory.State.leaving {
                lost.append(link)
            } else {
                scratch.slots[count] = link
                count += 1
            }
        }
        if lost.isEmpty { return }
        for neighbour in lost {
            memory.forEachLink(neighbour) { link in
                guard count < SearchScratch.batchCapacity, scratch.visit(link) else { return }
                let state = memory.state(link)
                guard state != NodeMemory.State.leaving, state != NodeMemory.State.free else { return }
                scratch.slots[count] = link
                count += 1
            }
        }
        chooseAnew(slot, candidateCount: count, &writer, scratch)
    }
}
