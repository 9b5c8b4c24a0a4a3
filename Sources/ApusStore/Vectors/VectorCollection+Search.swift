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

    /// What searches take that say nothing else.
    public static let balanced = SearchEffort.approximate(width: 96)
    /// Finds more, and takes about twice as long.
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
        guard VectorShape.norm(query) <= VectorShape.normLimit else { throw invalid("the query is too long") }
        guard count > 0 else { return [] }
        if reader is Store { return try search(query, count: count, filter: filter, effort: effort) }
        var search = try VectorSearch(query, count: count, filter: filter, collection: self, reader: reader)
        if let sequence = VectorCollection.sequence(of: reader), sequence < indexedSince {
            try search.scanDatabase(0...VectorKey.nodeLimit)
            return try search.results()
        }
        for range in unindexed.ranges { try search.scanDatabase(range) }
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
            // There was a limit, so there are more vectors than were wanted.
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
}
