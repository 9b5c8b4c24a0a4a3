// Searches: by the graph, and over every code. Both return what may be visible to somebody; the database decides what a
// reader really sees.

import ApusIO
import Synchronization

/// What a search of the index found.
struct IndexHit {
    var node: UInt64
    /// By the codes.
    var distance: Float
    /// How far the true distance may be from it: a bound after an exact search, three standard deviations after another.
    var margin: Float
}

extension VectorGraph {
    /// Whether a node in this state may be visible to a reader.
    @inline(__always)
    private func isCandidate(_ state: UInt32) -> Bool {
        state == NodeMemory.State.live || state == NodeMemory.State.dead || state == NodeMemory.State.pending
    }

    // MARK: Approximate

    /// The nearest nodes that a walk of that width finds, nearest first. nil if the filter lets so little through that
    /// looking at everything is cheaper.
    func approximate(_ query: QueryCode, width: Int, filter: VectorFilter?) -> [IndexHit]? {
        withScratch { scratch in
            query.elements.withUnsafeBufferPointer { elements in
                let graphQuery = GraphQuery(query, elements: elements.baseAddress!, metric: metric)
                guard let filter else {
                    walk(graphQuery, width: width, scratch) { _, _ in }
                    var hits: [IndexHit] = []
                    hits.reserveCapacity(scratch.count)
                    for index in 0..<scratch.count {
                        append(scratch.beam[index].slot, scratch.beam[index].distance, query, &hits)
                    }
                    return hits
                }
                guard let widened = widenedFor(filter, width) else { return nil }
                var hits: [IndexHit] = []
                walk(graphQuery, width: widened, scratch) { slot, distance in
                    if filter.matches(memory.metadata(slot)) { append(slot, distance, query, &hits) }
                }
                hits.sort { ($0.distance, $0.node) < ($1.distance, $1.node) }
                if hits.count > width { hits.removeSubrange(width...) }
                return hits
            }
        }
    }

    @inline(__always)
    private func append(_ slot: UInt32, _ distance: Float, _ query: QueryCode, _ hits: inout [IndexHit]) {
        guard isCandidate(memory.state(slot)) else { return }
        let spread = 3 * memory.error(atRow: memory.row(slot)) * query.norm / Float(memory.dimension).squareRoot()
        hits.append(IndexHit(node: memory.node(slot), distance: distance, margin: metric == .l2 ? 2 * spread : spread))
    }

    /// The width of a walk of which enough passes the filter, judged by a sample; nil if it would see so much of the
    /// graph that looking at everything, filter first, is cheaper (measured: a step of a walk costs about what the filter
    /// costs for twenty nodes).
    private func widenedFor(_ filter: VectorFilter, _ width: Int) -> Int? {
        let slotCount = slotCount.load(ordering: .acquiring)
        let sampleCount = min(slotCount, 256)
        var passed = 1
        for index in 0..<sampleCount {
            let slot = UInt32(index * slotCount / sampleCount)
            if memory.state(slot) == NodeMemory.State.live, filter.matches(memory.metadata(slot)) { passed += 1 }
        }
        let widened = width * (sampleCount + 1) / passed
        return widened * 20 > slotCount ? nil : widened
    }

    // MARK: Exact

    /// Every node that can be among the `count` nearest, by ascending lower bound of its distance, and the limit: what is
    /// not returned is farther away than that.
    ///
    /// Codes are compared first, and the bounds of what they lose tell which vectors need their originals: the VA-file
    /// (Weber, Schek and Blott, "A Quantitative Analysis and Performance Study for Similarity-Search Methods in
    /// High-Dimensional Spaces", VLDB 1998), with a quarter of the bytes to read.
    func exact(_ query: QueryCode, count: Int, filter: VectorFilter?) -> (hits: [IndexHit], limit: Float) {
        withScratch { scratch in
            query.elements.withUnsafeBufferPointer { elements in
                let graphQuery = GraphQuery(query, elements: elements.baseAddress!, metric: metric)
                let bounds = BoundedEstimate(graphQuery, query, metric: metric, dimension: memory.dimension)
                var nearest = NearestHeap(count: count)
                var hits: [IndexHit] = []
                let slotCount = slotCount.load(ordering: .acquiring)
                var next = 0
                while next < slotCount {
                    // Rows are adjacent within a chunk, and a chunk is a multiple of this.
                    let end = min(next + 128, slotCount)
                    scan(next..<end, bounds, filter, scratch, &nearest, &hits)
                    next = end
                }
                let limit = nearest.limit
                hits.removeAll { $0.distance - $0.margin > limit }
                hits.sort { ($0.distance - $0.margin, $0.node) < ($1.distance - $1.margin, $1.node) }
                return (hits, limit)
            }
        }
    }

    @inline(__always)
    private func scan(
        _ slots: Range<Int>, _ bounds: BoundedEstimate, _ filter: VectorFilter?, _ scratch: SearchScratch,
        _ nearest: inout NearestHeap, _ hits: inout [IndexHit]
    ) {
        var count = 0
        for slot in slots {
            let slot = UInt32(slot)
            guard isCandidate(memory.state(slot)), filter?.matches(memory.metadata(slot)) ?? true else { continue }
            scratch.slots[count] = slot
            scratch.rows[count] = UnsafePointer(memory.code(slot))
            count &+= 1
        }
        if count == slots.count {
            kernels.adjacentDots(
                bounds.query.elements, scratch.rows[0], memory.rowStride, count, memory.codeByteCount, scratch.dots)
        } else {
            kernels.dots(bounds.query.elements, scratch.rows, count, memory.codeByteCount, scratch.dots)
        }
        for index in 0..<count {
            let row = UnsafeRawPointer(scratch.rows[index].unsafelyUnwrapped)
            let (distance, margin) = bounds.estimate(
                scratch.dots[index], scale: memory.scale(atRow: row), bias: memory.bias(atRow: row),
                error: memory.error(atRow: row))
            if distance - margin > nearest.limit { continue }
            let node = memory.node(scratch.slots[index])
            nearest.add(distance + margin, node)
            hits.append(IndexHit(node: node, distance: distance, margin: margin))
        }
    }
}

/// Distances by codes, and how far off they can be.
struct BoundedEstimate {
    let query: GraphQuery
    let queryNorm: Float
    let queryError: Float
    /// No decoded vector is longer than this times its scale.
    let reachPerScale: Float
    let factor: Float

    init(_ query: GraphQuery, _ code: QueryCode, metric: VectorMetric, dimension: Int) {
        self.query = query
        queryNorm = code.norm
        queryError = code.error
        reachPerScale = 127 * Float(dimension).squareRoot()
        factor = metric == .l2 ? 2 : 1
    }

    /// The distance lies within `margin` of `distance`: Cauchy and Schwarz, once for what the codes have lost and once for
    /// what the query has; the last term covers the rounding of sums.
    @inline(__always)
    func estimate(_ dot: Int32, scale: Float, bias: Float, error: Float) -> (distance: Float, margin: Float) {
        let distance = query.constant + bias + query.factor * scale * Float(dot)
        let reach = scale * reachPerScale
        let margin =
            factor * (queryNorm * error + queryError * reach) + 4e-6 * (queryNorm * reach + distance.magnitude + bias)
        return (distance, margin)
    }
}
