// Building the graph again from what is stored: every node with the links that it was given when it was written. Links
// back come from all of those at once, so that a list is chosen anew at most once, however often it overflowed when the
// nodes came one by one. No search is needed, but for nodes that have lost most of what they were linked to.
//
// Only the thread that opens a collection does this, before anyone else knows the graph.

import ApusIO
import Synchronization

/// Nodes that lost more links than they kept while the graph was being read.
struct ThinNodes {
    fileprivate var slots: [UInt32] = []
}

extension VectorGraph {
    /// Adds a stored vector and its links to nodes added before. False if there is no memory.
    func load(_ vector: IndexedVector, links: [UInt64], thin: inout ThinNodes) -> Bool {
        writer.withLock { writer in
            guard let slot = place(vector, &writer) else { return false }
            var found: [UInt32] = []
            for node in links {
                if let link = writer.table.slot(of: node, in: memory), link != slot { found.append(link) }
            }
            if 2 * found.count <= links.count { thin.slots.append(slot) }
            memory.setLinks(slot, found)
            memory.setState(slot, NodeMemory.State.live)
            liveCount.add(1, ordering: .relaxed)
            slotCount.store(Int(slot) + 1, ordering: .releasing)
            return true
        }
    }

    /// Adds the links back and what keeps every node within reach.
    func finishLoading(_ thin: ThinNodes) {
        linkBack()
        plantTree()
        for slot in thin.slots where memory.linkCount(slot) < parameters.forwardLimit / 2 { linkBetter(slot) }
    }

    private func linkBack() {
        withScratch { scratch in
            writer.withLock { writer in
                let count = slotCount.load(ordering: .relaxed)
                // Who links to each slot: sources[starts[slot]..<starts[slot + 1]].
                var starts = [Int](repeating: 0, count: count + 1)
                for slot in 0..<count { memory.forEachLink(UInt32(slot)) { starts[Int($0) + 1] += 1 } }
                for slot in 0..<count { starts[slot + 1] += starts[slot] }
                var sources = [UInt32](repeating: 0, count: starts[count])
                var next = starts
                for slot in 0..<count {
                    memory.forEachLink(UInt32(slot)) { link in
                        sources[next[Int(link)]] = UInt32(slot)
                        next[Int(link)] += 1
                    }
                }
                for slot in 0..<count {
                    linkBack(UInt32(slot), sources[starts[slot]..<starts[slot + 1]], &writer, scratch)
                }
            }
        }
    }

    private func linkBack(
        _ slot: UInt32, _ sources: ArraySlice<UInt32>, _ writer: inout Writer, _ scratch: SearchScratch
    ) {
        let linkCount = memory.linkCount(slot)
        if linkCount + sources.count <= memory.linkCapacity {
            for source in sources { _ = memory.appendLink(slot, to: source) }
            return
        }
        var count = 0
        memory.forEachLink(slot) { link in
            scratch.slots[count] = link
            count += 1
        }
        // Of very many, some from all over.
        let taken = min(sources.count, SearchScratch.batchCapacity - count)
        for index in 0..<taken {
            scratch.slots[count] = sources[sources.startIndex + index * sources.count / taken]
            count += 1
        }
        chooseAnew(slot, candidateCount: count, &writer, scratch)
    }

    /// Gives every node a parent: who is nearest to the root by the number of links between them.
    private func plantTree() {
        writer.withLock { _ in
            let count = slotCount.load(ordering: .relaxed)
            guard count > 0 else { return }
            root.store(1, ordering: .releasing)
            var reached: [UInt32] = [0]
            reached.reserveCapacity(count)
            var position = 0
            while position < reached.count {
                let slot = reached[position]
                position += 1
                memory.forEachLink(slot) { link in
                    guard link != 0, memory.parent(link) == nil else { return }
                    memory.setParent(link, slot)
                    reached.append(link)
                }
            }
            if reached.count == count { return }
            for slot in 1..<UInt32(count) where memory.parent(slot) == nil { findParent(of: slot) }
        }
    }

    /// Looks for neighbours as for a new node.
    private func linkBetter(_ slot: UInt32) {
        let codes = Array(UnsafeBufferPointer(start: memory.code(slot), count: memory.dimension))
        let row = UnsafeRawPointer(memory.row(slot))
        let vector = IndexedVector(
            node: memory.node(slot), code: VectorCode(codes: codes, scale: memory.scale(atRow: row)),
            bias: memory.bias(atRow: row), error: memory.error(atRow: row))
        let links = chooseLinks(for: vector)
        withScratch { scratch in
            writer.withLock { writer in
                for link in links where link.slot != slot {
                    linkBack(from: slot, to: link.slot, &writer, scratch)
                    linkBack(from: link.slot, to: slot, &writer, scratch)
                }
            }
        }
    }
}
