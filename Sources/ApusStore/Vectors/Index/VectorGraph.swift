// The approximate index: a graph over codes in memory, searched by following links to whatever is nearer.
//
// One flat layer, as in Vamana (Subramanya et al., "DiskANN", NeurIPS 2019) and unlike HNSW (Malkov and Yashunin, TPAMI
// 2018), whose upper layers buy nothing here: a few dozen entry points spread over the slots do the same, and there is
// one list to keep for each node. A tree among the links keeps every node within reach (VectorGraph+Tree.swift). Links
// are chosen by HNSW's and Vamana's rule: nearest first, leaving out what is nearer to a neighbour already chosen. New
// nodes are linked both ways; a list that overflows is chosen anew.
//
// Searches take no lock (see NodeMemory for why they may). Changes take turns.

import ApusIO
import CApusCPU
import Synchronization

/// The shape of a graph.
struct GraphParameters: Sendable {
    /// Links a node can have.
    var linkCapacity = 32
    /// Links that a node chooses when it is added, and that are stored with it.
    var forwardLimit = 16
    /// Candidates that links are chosen from.
    var constructionWidth = 96
    /// How much nearer a chosen neighbour must be to leave a candidate out; 1 leaves out most. Applied to distances that
    /// are squares.
    var slack: Float = 1
    /// Links that a list keeps when it is chosen anew, if necessary by taking back the nearest of those left out: dropping
    /// many at once leaves some nodes with a single way in.
    var leastKept = 24
    /// Deleted nodes that a sweep is worth for, however small the graph.
    var leastSwept = 64
    /// Nodes where searches begin.
    var entryCount = 48
}

final class VectorGraph: Sendable {
    let metric: VectorMetric
    let memory: NodeMemory
    let parameters: GraphParameters
    let kernels: DistanceKernels
    let gate = ReclamationGate()
    /// Slots in use or free; searches ignore what lies above.
    let slotCount = Atomic<Int>(0)
    /// Those that a search may return: live ones, and those of transactions under way.
    let liveCount = Atomic<Int>(0)
    /// Where searches begin, slot + 1; 0 if there is nothing. See VectorGraph+Tree.swift.
    let root = Atomic<UInt32>(0)
    let writer = Monitor(Writer())
    private let scratches = Monitor<[SearchScratch]>([])

    /// What only changes touch.
    struct Writer {
        var table = SlotTable()
        /// Bytes of metadata in memory.
        var metadataByteCount = 0
        /// Ready to be written.
        var free: [UInt32] = []
        /// Deleted, each with the sequence number from which on nobody sees it.
        var dead: [(slot: UInt32, sequence: UInt64)] = []
        /// Being unlinked: see VectorGraph+Remove.swift.
        var leaving: [UInt32] = []
        /// Where the sweep that unlinks them has come to.
        var sweepPosition = 0
        /// Every node has a parent that stays, so that links to those that leave may go.
        var isUnlinking = false
        /// No longer linked; searches under way may still know them.
        var retired: [(slot: UInt32, mark: UInt64)] = []
        var candidates: [Candidate] = []
        var chosen: [UInt32] = []
    }

    init?(
        dimension: Int, metric: VectorMetric, parameters: GraphParameters = GraphParameters(),
        kernels: DistanceKernels = .best
    ) {
        guard let memory = NodeMemory(dimension: dimension, linkCapacity: parameters.linkCapacity) else { return nil }
        self.memory = memory
        self.metric = metric
        self.parameters = parameters
        self.kernels = kernels
    }

    /// Runs `body` with a scratch of its own, as a search that nothing is taken away from.
    func withScratch<Result, Failure: Error>(
        _ body: (SearchScratch) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let pooled = scratches.withLock { $0.popLast() }
        let scratch = pooled ?? SearchScratch(dimension: memory.dimension)
        let epoch = gate.enter()
        defer {
            gate.leave(epoch)
            scratches.withLock { $0.append(scratch) }
        }
        return try body(scratch)
    }

    // MARK: Distances

    /// A distance between stored vectors, from the inner product of their codes.
    @inline(__always)
    func distance(_ dot: Int32, _ a: UnsafeRawPointer, _ b: UnsafeRawPointer) -> Float {
        let product = Float(dot) * memory.scale(atRow: a) * memory.scale(atRow: b)
        switch metric {
        case .cosine: return 1 - product
        case .dot: return -product
        case .l2: return memory.bias(atRow: a) + memory.bias(atRow: b) - 2 * product
        }
    }

    /// The codes of a slot as a query, in `scratch.widened`.
    @inline(__always)
    func widen(_ slot: UInt32, _ scratch: SearchScratch) {
        let codes = memory.code(slot)
        for index in 0..<memory.codeByteCount { scratch.widened[index] = Int16(codes[index]) }
    }

    // MARK: Search

    /// Follows links from the entry points until the `width` nearest nodes seen have all been looked at; leaves them in
    /// the scratch's beam. `visit` sees every node whose distance was computed.
    @inline(__always)
    func walk(
        _ query: borrowing GraphQuery, width: Int, _ scratch: SearchScratch, visit: (UInt32, Float) -> Void
    ) {
        let slotCount = slotCount.load(ordering: .acquiring)
        scratch.prepare(beamWidth: width, slotCount: slotCount)
        var count = 0
        let first = root.load(ordering: .acquiring)
        if first != 0, scratch.visit(first &- 1) {
            scratch.slots[0] = first &- 1
            count = 1
        }
        let entryCount = min(parameters.entryCount, slotCount)
        for entry in 0..<entryCount {
            let slot = UInt32(entry * slotCount / entryCount)
            if memory.state(slot) != NodeMemory.State.free, scratch.visit(slot) {
                scratch.slots[count] = slot
                count += 1
            }
        }
        _ = offerBatch(count, query, width, scratch, visit)
        var position = 0
        while position < scratch.count {
            let candidate = scratch.beam[position]
            if candidate.isExpanded {
                position &+= 1
                continue
            }
            scratch.beam[position].tagged |= Candidate.expandedBit
            count = 0
            memory.forEachLink(candidate.slot) { link in
                if scratch.visit(link) {
                    scratch.slots[count] = link
                    count &+= 1
                }
            }
            let nearest = offerBatch(count, query, width, scratch, visit)
            position = min(position &+ 1, nearest)
        }
    }

    /// Computes the distances of the first `count` slots of the batch. Returns the first position of the beam changed.
    @inline(__always)
    private func offerBatch(
        _ count: Int, _ query: borrowing GraphQuery, _ width: Int, _ scratch: SearchScratch,
        _ visit: (UInt32, Float) -> Void
    ) -> Int {
        for index in 0..<count {
            scratch.rows[index] = UnsafePointer(memory.code(scratch.slots[index]))
        }
        kernels.dots(query.elements, scratch.rows, count, memory.codeByteCount, scratch.dots)
        var first = Int.max
        for index in 0..<count {
            let row = UnsafeRawPointer(scratch.rows[index].unsafelyUnwrapped)
            let distance =
                query.constant + memory.bias(atRow: row) + query.factor * memory.scale(atRow: row)
                * Float(scratch.dots[index])
            visit(scratch.slots[index], distance)
            if let position = scratch.offer(scratch.slots[index], distance, width: width) {
                first = min(first, position)
            }
        }
        return first
    }
}

/// A query as the graph computes with it: distance = constant + bias(x) + factor · scale(x) · dot(x).
struct GraphQuery {
    /// 16-bit elements, padded as codes are. Valid as long as whoever made the query says.
    let elements: UnsafePointer<Int16>
    let constant: Float
    let factor: Float

    init(_ code: QueryCode, elements: UnsafePointer<Int16>, metric: VectorMetric) {
        self.elements = elements
        switch metric {
        case .cosine:
            constant = 1
            factor = -code.scale
        case .dot:
            constant = 0
            factor = -code.scale
        case .l2:
            constant = code.norm * code.norm
            factor = -2 * code.scale
        }
    }
}
