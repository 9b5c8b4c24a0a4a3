// Every node of the graph is within reach of a search, whatever was added, replaced and deleted, and after reading the
// graph again from the database.

import Apus
import Synchronization
import Testing

@testable import ApusStore

@Suite struct VectorReachabilityTests {
    /// A graph of very short lists, which overflow all the time.
    private static func graph(_ metric: VectorMetric) throws -> VectorGraph {
        var parameters = GraphParameters()
        parameters.linkCapacity = 5
        parameters.forwardLimit = 4
        parameters.constructionWidth = 12
        parameters.entryCount = 0
        parameters.leastSwept = 16
        return try #require(VectorGraph(dimension: 16, metric: metric, parameters: parameters))
    }

    private static func add(_ node: UInt64, _ vector: [Float], to graph: VectorGraph) -> [UInt64] {
        let shape = VectorShape(dimension: 16, metric: graph.metric, element: .float32)
        let encoded = shape.encode(vector)
        let indexed = IndexedVector(
            node: node, code: encoded.code, bias: shape.bias(encoded.code, norm: encoded.norm), error: encoded.error)
        let links = graph.chooseLinks(for: indexed)
        #expect(graph.insert(indexed, links: links, state: NodeMemory.State.live))
        return links.map(\.node)
    }

    @Test(arguments: VectorMetric.allCases)
    func everyNodeStaysWithinReach(metric: VectorMetric) throws {
        var random = VectorRandom(seed: 77)
        let topics = (0..<12).map { _ in random.floats(16) }
        let graph = try Self.graph(metric)
        for node in 1...1200 as ClosedRange<UInt64> { _ = Self.add(node, random.vector(near: topics), to: graph) }
        #expect(graph.unreachableCount() == 0)
        // Most of them go, the root among them, while others come.
        var next: UInt64 = 1201
        for node in 1...1200 as ClosedRange<UInt64> where node % 8 != 7 {
            graph.remove(node: node, unseenFrom: 0)
            graph.maintain(oldest: 1)
            if node % 10 == 0 {
                _ = Self.add(next, random.vector(near: topics), to: graph)
                next += 1
            }
            if node % 100 == 0 { #expect(graph.unreachableCount() == 0, "after the deletion of \(node)") }
        }
        for _ in 0..<100 { graph.maintain(oldest: 1) }
        #expect(graph.unreachableCount() == 0)
        // Then all, and new ones in their place.
        for node in 1..<next { graph.remove(node: node, unseenFrom: 0) }
        for _ in 0..<200 { graph.maintain(oldest: 1) }
        for node in next..<next + 300 {
            _ = Self.add(node, random.vector(near: topics), to: graph)
            graph.maintain(oldest: 1)
        }
        #expect(graph.unreachableCount() == 0 && graph.liveCount.load(ordering: .relaxed) == 300)
    }

    @Test func everyNodeIsWithinReachAfterReading() throws {
        var random = VectorRandom(seed: 78)
        let topics = (0..<12).map { _ in random.floats(16) }
        let vectors = (0..<1500).map { _ in random.vector(near: topics) }
        let grown = try Self.graph(.l2)
        var links: [[UInt64]] = []
        for (index, vector) in vectors.enumerated() { links.append(Self.add(UInt64(index + 1), vector, to: grown)) }
        let read = try Self.graph(.l2)
        let shape = VectorShape(dimension: 16, metric: .l2, element: .float32)
        var thin = ThinNodes()
        // Two thirds are there no more, and a link names a node that never was.
        for (index, vector) in vectors.enumerated() where index % 3 == 0 || index > 1200 {
            let encoded = shape.encode(vector)
            let indexed = IndexedVector(
                node: UInt64(index + 1), code: encoded.code, bias: shape.bias(encoded.code, norm: encoded.norm),
                error: encoded.error)
            #expect(read.load(indexed, links: links[index].sorted() + [UInt64(1 << 60)], thin: &thin))
        }
        read.finishLoading(thin)
        #expect(read.unreachableCount() == 0)
        _ = Self.add(5000, vectors[1], to: read)
        #expect(read.unreachableCount() == 0)
    }
}
