// Adding a node: find its neighbourhood, choose links, link back.

import ApusIO
import Synchronization

/// What the index keeps of a vector.
struct IndexedVector {
    var node: UInt64
    var code: VectorCode
    /// See `NodeMemory`.
    var bias: Float
    var error: Float
    /// Encoded.
    var metadata: [UInt8] = []
}

extension VectorGraph {
    /// The links that a new vector should have, nearest first; found without a lock.
    func chooseLinks(for vector: IndexedVector) -> [(slot: UInt32, node: UInt64)] {
        withScratch { scratch in
            let padded = memory.codeByteCount
            return withUnsafeTemporaryAllocation(of: Int16.self, capacity: padded) { elements in
                let codes = vector.code.codes
                for index in 0..<padded { elements[index] = index < codes.count ? Int16(codes[index]) : 0 }
                let query = GraphQuery(
                    elements: elements.baseAddress!, scale: vector.code.scale, squaredNorm: vector.bias,
                    metric: metric)
                walk(query, width: parameters.constructionWidth, scratch) { _, _ in }
                var candidates: [Candidate] = []
                candidates.reserveCapacity(scratch.count)
                for index in 0..<scratch.count {
                    let candidate = scratch.beam[index]
                    if isLinkable(candidate.slot) { candidates.append(candidate) }
                }
                var chosen: [UInt32] = []
                choose(from: candidates, limit: parameters.forwardLimit, least: 0, scratch, into: &chosen)
                return chosen.map { ($0, memory.node($0)) }
            }
        }
    }

    /// Bytes in use.
    var byteCount: Int {
        writer.withLock { writer in
            slotCount.load(ordering: .relaxed) * memory.bytesPerSlot + writer.table.byteCount
                + writer.metadataByteCount
        }
    }

    /// Bytes in use after the next vector without metadata was added.
    var byteCountWithOneMore: Int {
        writer.withLock { writer in
            let slots = slotCount.load(ordering: .relaxed) + (writer.free.isEmpty ? 1 : 0)
            return slots * memory.bytesPerSlot + writer.table.byteCount + writer.metadataByteCount
        }
    }

    func isLinkable(_ slot: UInt32) -> Bool {
        let state = memory.state(slot)
        return state == NodeMemory.State.live || state == NodeMemory.State.pending
    }

    /// Adds a vector and its links. Searches find it from then on. False if there is no memory.
    func insert(_ vector: IndexedVector, links: [(slot: UInt32, node: UInt64)], state: UInt32) -> Bool {
        withScratch { scratch in
            writer.withLock { writer in
                guard let slot = place(vector, &writer) else { return false }
                // What was chosen without the lock may have been deleted since, and another may be in its place.
                let links = links.filter { isLinkable($0.slot) && memory.node($0.slot) == $0.node }.map(\.slot)
                memory.setLinks(slot, links)
                memory.setState(slot, state)
                liveCount.add(1, ordering: .relaxed)
                if Int(slot) == slotCount.load(ordering: .relaxed) {
                    slotCount.store(Int(slot) + 1, ordering: .releasing)
                }
                for link in links { linkBack(from: link, to: slot, &writer, scratch) }
                findParent(of: slot)
                return true
            }
        }
    }

    /// Writes a row that nothing leads to yet.
    func place(_ vector: IndexedVector, _ writer: inout Writer) -> UInt32? {
        let slot: UInt32
        if let free = writer.free.popLast() {
            slot = free
        } else {
            let next = slotCount.load(ordering: .relaxed)
            guard memory.reserve(slot: next) else { return nil }
            slot = UInt32(next)
        }
        let codes = memory.code(slot)
        vector.code.codes.withUnsafeBufferPointer { codes.update(from: $0.baseAddress!, count: $0.count) }
        memory.describe(
            slot, scale: vector.code.scale, bias: vector.bias, error: vector.error, node: vector.node)
        memory.setMetadata(slot, vector.metadata)
        memory.setParent(slot, nil)
        writer.metadataByteCount += vector.metadata.isEmpty ? 0 : 8 + vector.metadata.count
        writer.table.insert(slot, in: memory)
        return slot
    }

    /// Adds a link to a list; chooses the list anew if it is full.
    func linkBack(from slot: UInt32, to target: UInt32, _ writer: inout Writer, _ scratch: SearchScratch) {
        if memory.appendLink(slot, to: target) { return }
        var count = 0
        scratch.slots[0] = target
        count = 1
        memory.forEachLink(slot) { link in
            scratch.slots[count] = link
            count += 1
        }
        chooseAnew(slot, candidateCount: count, &writer, scratch)
    }

    /// Replaces the links of `slot` by the best among the first slots of the batch.
    func chooseAnew(_ slot: UInt32, candidateCount: Int, _ writer: inout Writer, _ scratch: SearchScratch) {
        widen(slot, scratch)
        for index in 0..<candidateCount {
            scratch.rows[index] = UnsafePointer(memory.code(scratch.slots[index]))
        }
        kernels.dots(scratch.widened, scratch.rows, candidateCount, memory.codeByteCount, scratch.dots)
        let row = UnsafeRawPointer(memory.row(slot))
        writer.candidates.removeAll(keepingCapacity: true)
        for index in 0..<candidateCount {
            let distance = distance(scratch.dots[index], row, UnsafeRawPointer(scratch.rows[index]!))
            writer.candidates.append(Candidate(distance: distance, tagged: scratch.slots[index]))
        }
        writer.candidates.sort { ($0.distance, $0.tagged) < ($1.distance, $1.tagged) }
        writer.chosen.removeAll(keepingCapacity: true)
        choose(
            from: writer.candidates, limit: parameters.linkCapacity, least: parameters.leastKept, scratch,
            into: &writer.chosen)
        memory.setLinks(slot, writer.chosen)
        // What was dropped may have had no other parent.
        for candidate in writer.candidates where memory.parent(candidate.slot) == slot {
            if !memory.hasLink(slot, to: candidate.slot) { findParent(of: candidate.slot) }
        }
    }

    /// Chooses from candidates in order of distance, leaving out those that are nearer to one chosen already; if that
    /// leaves fewer than `least`, the nearest of those left out come last.
    func choose(
        from candidates: [Candidate], limit: Int, least: Int, _ scratch: SearchScratch, into chosen: inout [UInt32]
    ) {
        let slack = metric == .dot ? 1 : parameters.slack
        var leftOut: [UInt32] = []
        for candidate in candidates {
            if chosen.count == limit { return }
            let slot = candidate.slot
            widen(slot, scratch)
            let row = UnsafeRawPointer(memory.row(slot))
            for index in 0..<chosen.count { scratch.rows[index] = UnsafePointer(memory.code(chosen[index])) }
            kernels.dots(scratch.widened, scratch.rows, chosen.count, memory.codeByteCount, scratch.dots)
            var isCovered = false
            for index in 0..<chosen.count {
                let between = distance(scratch.dots[index], row, UnsafeRawPointer(scratch.rows[index]!))
                if slack * between < candidate.distance {
                    isCovered = true
                    break
                }
            }
            if isCovered { leftOut.append(slot) } else { chosen.append(slot) }
        }
        let missing = min(limit, least) - chosen.count
        if missing > 0 { chosen.append(contentsOf: leftOut.prefix(missing)) }
    }
}

extension GraphQuery {
    /// A stored vector as a query; `squaredNorm` is its bias.
    init(elements: UnsafePointer<Int16>, scale: Float, squaredNorm: Float, metric: VectorMetric) {
        self.elements = elements
        switch metric {
        case .cosine:
            constant = 1
            factor = -scale
        case .dot:
            constant = 0
            factor = -scale
        case .l2:
            constant = squaredNorm
            factor = -2 * scale
        }
    }
}
