// Measuring recall: how many of the true neighbours approximate searches find, on the collection's own data.

import Apus
import ApusIO

/// What approximate searches find of what exact ones do.
public struct VectorRecall: Sendable {
    /// Of the true neighbours, the share that was found: 1 is all of them. A neighbour that is as near as the farthest
    /// true one counts.
    public var recall: Double
    public var queryCount: Int
    /// Per search, by the environment's clock.
    public var approximateTime: Duration
    public var exactTime: Duration
}

extension VectorCollection {
    /// Compares approximate searches with exact ones.
    ///
    /// - Parameters:
    ///   - queries: vectors such as will be searched for; nil for stored vectors, evenly spread over the keys, each of
    ///     which then counts as its own neighbour.
    ///   - sampleCount: how many stored vectors to take.
    ///   - count: neighbours per query.
    public func measureRecall(
        queries: [[Float]]? = nil, sampleCount: Int = 100, count: Int = 10, filter: VectorFilter? = nil,
        effort: SearchEffort = .balanced
    ) throws -> VectorRecall {
        let snapshot = try store.snapshot()
        defer { snapshot.release() }
        let queries = try queries ?? sample(sampleCount, in: snapshot)
        let clock = store.database.environment.clock
        var found = 0
        var wanted = 0
        var nanoseconds: (approximate: UInt64, exact: UInt64) = (0, 0)
        for query in queries {
            let start = clock.monotonicNanoseconds()
            let approximate = try search(query, count: count, filter: filter, effort: effort, in: snapshot)
            let middle = clock.monotonicNanoseconds()
            let exact = try search(query, count: count, filter: filter, effort: .exact, in: snapshot)
            nanoseconds.approximate += middle - start
            nanoseconds.exact += clock.monotonicNanoseconds() - middle
            wanted += exact.count
            if let farthest = exact.last?.distance {
                found += min(exact.count, approximate.filter { $0.distance <= farthest }.count)
            }
        }
        let divisor = UInt64(max(queries.count, 1))
        return VectorRecall(
            recall: wanted == 0 ? 1 : Double(found) / Double(wanted), queryCount: queries.count,
            approximateTime: .nanoseconds(Int64(nanoseconds.approximate / divisor)),
            exactTime: .nanoseconds(Int64(nanoseconds.exact / divisor)))
    }

    private func sample(_ sampleCount: Int, in snapshot: StoreSnapshot) throws -> [[Float]] {
        let total = try count(in: snapshot)
        let step = max(total / max(sampleCount, 1), 1)
        var keys: [[UInt8]] = []
        var position = 0
        try scanKeys(in: snapshot) { key in
            if position % step == 0 { keys.append(key) }
            position += 1
            return keys.count < sampleCount ? .next : .stop
        }
        return try keys.compactMap { try get($0, in: snapshot)?.vector }
    }
}
