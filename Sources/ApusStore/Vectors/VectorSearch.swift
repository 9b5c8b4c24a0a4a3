// One search under way: candidates are looked up in the database, which knows what the reader sees and how far away it
// really is.

import Apus

/// One search: the nearest vectors found so far that the reader sees.
struct VectorSearch<Reader: StoreReader> {
    private let collection: VectorCollection
    private let reader: Reader
    private let query: [Float]
    let code: QueryCode
    private let count: Int
    private let filter: VectorFilter?
    private var floats: [Float] = []
    /// The nearest that the reader sees.
    private var found: NearestHeap
    /// Nodes asked for already, whether the reader sees them or not.
    private var asked: Set<UInt64> = []
    /// Keys and metadata of what was found, where the database was asked for them already.
    private var headers: [UInt64: VectorRecord.Header] = [:]

    init(
        _ query: [Float], count: Int, filter: VectorFilter?, collection: VectorCollection, reader: Reader
    ) throws(StoreError) {
        self.collection = collection
        self.reader = reader
        self.query = collection.shape.prepared(query)
        self.count = count
        found = NearestHeap(count: count)
        self.filter = filter
        code = self.query.withUnsafeBufferPointer { QueryCode($0) }
    }

    var isFull: Bool { found.isFull }

    /// The distance of a node that the reader sees; nil if it does not see it.
    private mutating func distance(_ hit: IndexHit) throws -> Float? {
        guard let originals = collection.originals else {
            guard let header = try header(hit.node) else { return nil }
            headers[hit.node] = header
            return hit.distance
        }
        return try reader.withValue(for: VectorKey.original(hit.node), in: originals) { value in
            let distance = value.withUnsafeBytes { original in
                query.withUnsafeBufferPointer {
                    collection.shape.distance($0.baseAddress!, original, &floats)
                }
            }
            guard let distance else { throw collection.damaged("the original of node \(hit.node) is damaged") }
            return distance
        }
    }

    /// Key and metadata of a node; nil if the reader does not see it.
    private func header(_ node: UInt64) throws -> VectorRecord.Header? {
        try reader.withValue(for: VectorKey.node(node), in: collection.nodes) { value in
            guard let header = value.withUnsafeBytes({ VectorRecord.header($0) }) else {
                throw collection.damaged("the record of node \(node) is damaged")
            }
            return header
        }
    }

    private mutating func consider(_ hit: IndexHit) throws {
        guard asked.insert(hit.node).inserted, let distance = try distance(hit) else { return }
        found.add(distance, hit.node)
    }

    /// Looks at hits, nearest first, as long as one may still belong to the nearest.
    mutating func considerApproximate(_ hits: [IndexHit]) throws {
        for hit in hits {
            if hit.distance - hit.margin > found.limit { return }
            try consider(hit)
        }
    }

    /// The same for the result of an exact search. False if more hits are needed to be sure.
    mutating func considerExact(_ hits: [IndexHit], limit: Float) throws -> Bool {
        for hit in hits {
            if hit.distance - hit.margin > found.limit { return true }
            try consider(hit)
        }
        return limit == .infinity || found.limit <= limit
    }

    /// Looks at every vector in the database whose node is one of those.
    mutating func scanDatabase(_ numbers: ClosedRange<UInt64>) throws {
        let shape = collection.shape
        let elements = code.elements
        let queryCode = code
        let filter = filter
        var nearest = NearestHeap(count: count)
        var hits: [IndexHit] = []
        let range = KeyRange(
            lower: VectorKey.node(numbers.lowerBound), upper: VectorKey.node(numbers.upperBound + 1))
        try reader.scan(range, in: collection.nodes) { key, value in
            guard let node = VectorKey.number(key) else { throw collection.damaged("a node's key is damaged") }
            let record = try collection.record(value, node)
            if let filter, !record.metadata.withUnsafeBytes({ filter.matches($0) }) { return .next }
            let vector = shape.indexed(node: node, record)
            let (distance, margin) = elements.withUnsafeBufferPointer { elements in
                var dot: Int32 = 0
                record.codes.withUnsafeBufferPointer { codes in
                    DistanceKernels.best.adjacentDots(
                        elements.baseAddress, codes.baseAddress, codes.count, 1, codes.count, &dot)
                }
                let query = GraphQuery(queryCode, elements: elements.baseAddress!, metric: shape.metric)
                return BoundedEstimate(query, queryCode, metric: shape.metric, dimension: shape.dimension)
                    .estimate(dot, scale: vector.code.scale, bias: vector.bias, error: vector.error)
            }
            if distance - margin <= nearest.limit {
                nearest.add(distance + margin, node)
                hits.append(IndexHit(node: node, distance: distance, margin: margin))
            }
            return .next
        }
        hits.removeAll { $0.distance - $0.margin > nearest.limit }
        hits.sort { ($0.distance - $0.margin, $0.node) < ($1.distance - $1.margin, $1.node) }
        _ = try considerExact(hits, limit: nearest.limit)
    }

    /// What was found, with keys and metadata.
    func results() throws -> [VectorMatch] {
        try found.sorted().map { distance, node in
            guard let header = try headers[node] ?? header(node) else {
                throw collection.damaged("node \(node) has an original and no record")
            }
            return VectorMatch(
                key: header.key, distance: distance, metadata: try collection.metadata(header.metadata, key: header.key)
            )
        }
    }
}
