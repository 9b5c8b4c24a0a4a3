// Searching: candidates from the index, what they are from the database.

import Apus
import Synchronization

/// A vector that a search found.
public struct VectorMatch: Sendable, Equatable {
    public var key: [UInt8]
    /// By the collection's metric: smaller is nearer.
    public var distance: Float
    public var metadata: VectorMetadata

    /// The key as text.
    public var name: String { String(decoding: key, as: UTF8.self) }
}

/// How thoroughly a search looks.
public enum SearchEffort: Sendable, Hashable {
    /// Follows the graph, keeping the best candidates: the more, the more of the true neighbours are found, and the
    /// longer it takes. At least `count` are kept.
    case approximate(width: Int)
    /// Looks at every vector. Nothing is missed.
    case exact

    public static let balanced = SearchEffort.approximate(width: 96)
    public static let thorough = SearchEffort.approximate(width: 256)
}

extension VectorCollection {
    /// The nearest vectors, nearest first.
    ///
    /// - Parameters:
    ///   - query: as many elements as the collection's vectors have.
    ///   - count: how many. Fewer are returned only if there are no more, or fewer that pass the filter.
    ///   - filter: which vectors count, applied while searching. If few vectors pass it, all of them are compared.
    ///   - effort: how thoroughly to look.
    /// - Throws: `StoreError` with `invalidArgument` for a query of another dimension or with elements that are no
    ///   numbers; `corruption`; what the database throws.
    public func search(
        _ query: [Float], count: Int = 10, filter: VectorFilter? = nil, effort: SearchEffort = .balanced
    ) throws -> [VectorMatch] {
        let snapshot = try store.snapshot()
        defer { snapshot.release() }
        return try search(query, count: count, filter: filter, effort: effort, in: snapshot)
    }

    /// The same in a snapshot or transaction. What a transaction has written itself it finds; of what it finds, nobody
    /// else may change anything before it commits.
    public func search(
        _ query: [Float], count: Int = 10, filter: VectorFilter? = nil, effort: SearchEffort = .balanced,
        in reader: some StoreReader
    ) throws -> [VectorMatch] {
        try check(query)
        guard VectorShape.norm(query).isFinite else { throw invalid("the elements of the query are too large") }
        guard count > 0 else { return [] }
        if reader is Store { return try search(query, count: count, filter: filter, effort: effort) }
        var search = try VectorSearch(query, count: count, filter: filter, collection: self, reader: reader)
        if let sequence = VectorCollection.sequence(of: reader), sequence < indexedSince {
            try search.scanDatabase(from: 0)
            return try search.results()
        }
        let firstUnindexed = firstUnindexed.load(ordering: .sequentiallyConsistent)
        if firstUnindexed != .max { try search.scanDatabase(from: firstUnindexed) }
        if case .approximate(let width) = effort, graph.liveCount.load(ordering: .relaxed) > options.smallCount {
            var width = max(width, count)
            // What the reader cannot see, and what the filter holds back, makes results fewer: look further then.
            while width < graph.slotCount.load(ordering: .relaxed) {
                guard let hits = graph.approximate(search.code, width: width, filter: filter) else { break }
                try search.considerApproximate(hits)
                if search.isFull { return try search.results() }
                width *= 4
            }
        }
        var wanted = count
        while true {
            let (hits, limit) = graph.exact(search.code, count: wanted, filter: filter)
            let isComplete = try search.considerExact(hits, limit: limit)
            if isComplete { return try search.results() }
            wanted *= 2
        }
    }

    private static func sequence(of reader: some StoreReader) -> UInt64? {
        switch reader {
        case let snapshot as StoreSnapshot: snapshot.snapshot.sequence
        case let transaction as StoreTransaction: transaction.transaction.sequence
        default: nil
        }
    }

    /// Suspends instead of blocking; see the synchronous form.
    public func search(
        _ query: [Float], count: Int = 10, filter: VectorFilter? = nil, effort: SearchEffort = .balanced
    ) async throws -> [VectorMatch] {
        try await store.onWorker { try self.search(query, count: count, filter: filter, effort: effort) }
    }
}

/// One search: the nearest vectors found so far that the reader sees.
struct VectorSearch<Reader: StoreReader> {
    private let collection: VectorCollection
    private let reader: Reader
    private let query: [Float]
    let code: QueryCode
    private let count: Int
    private let filter: VectorFilter?
    private var floats: [Float] = []
    /// Nearest first, at most `count`.
    private var found: [(distance: Float, node: UInt64)] = []
    /// Nodes asked for already, whether the reader sees them or not.
    private var asked: Set<UInt64> = []

    init(
        _ query: [Float], count: Int, filter: VectorFilter?, collection: VectorCollection, reader: Reader
    ) throws(StoreError) {
        self.collection = collection
        self.reader = reader
        self.query = collection.shape.prepared(query)
        self.count = count
        self.filter = filter
        code = self.query.withUnsafeBufferPointer { QueryCode($0) }
    }

    var isFull: Bool { found.count == count }
    private var worst: Float { isFull ? found[count - 1].distance : .infinity }

    private mutating func add(_ distance: Float, _ node: UInt64) {
        var low = 0
        var high = found.count
        while low < high {
            let middle = (low + high) / 2
            if (found[middle].distance, found[middle].node) < (distance, node) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        if low == count { return }
        if found.count == count { found.removeLast() }
        found.insert((distance, node), at: low)
    }

    /// The distance of a node that the reader sees; nil if it does not see it.
    private mutating func distance(_ hit: IndexHit) throws -> Float? {
        guard let originals = collection.originals else {
            return try reader.contains(VectorKey.node(hit.node), in: collection.nodes) ? hit.distance : nil
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

    private mutating func consider(_ hit: IndexHit) throws {
        guard asked.insert(hit.node).inserted, let distance = try distance(hit) else { return }
        add(distance, hit.node)
    }

    /// Looks at hits, nearest first, as long as one may still belong to the nearest.
    mutating func considerApproximate(_ hits: [IndexHit]) throws {
        for hit in hits {
            if hit.distance - hit.margin > worst { return }
            try consider(hit)
        }
    }

    /// The same for the result of an exact search. False if more hits are needed to be sure.
    mutating func considerExact(_ hits: [IndexHit], limit: Float) throws -> Bool {
        for hit in hits {
            if hit.distance - hit.margin > worst { return true }
            try consider(hit)
        }
        return limit == .infinity || worst <= limit
    }

    /// Looks at every vector in the database from that node on.
    mutating func scanDatabase(from node: UInt64) throws {
        let shape = collection.shape
        let elements = code.elements
        let queryCode = code
        let filter = filter
        var nearest = NearestBounds(count: count)
        var hits: [IndexHit] = []
        let range = KeyRange(lower: VectorKey.node(node), upper: VectorKey.nodes.upper)
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
                    .estimate(dot, scale: vector.code.scale, bias: vector.bias, error: record.error)
            }
            if distance - margin <= nearest.limit {
                nearest.add(distance + margin)
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
        try found.map { distance, node in
            let header = try reader.withValue(for: VectorKey.node(node), in: collection.nodes) { value in
                value.withUnsafeBytes { VectorRecord.header($0) }
            }
            guard let header = header ?? nil else { throw collection.damaged("the record of node \(node) is damaged") }
            return VectorMatch(
                key: header.key, distance: distance, metadata: try collection.metadata(header.metadata, key: header.key)
            )
        }
    }
}
