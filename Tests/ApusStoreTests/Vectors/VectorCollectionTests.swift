// Collections of vectors: definitions, limits, filters, budgets, recall, readers of every kind, and searches beside
// writers.

import Apus
import ApusSimulation
import Synchronization
import Testing

@testable import ApusStore

@Suite struct VectorCollectionTests {
    @Test func definitionsAreKept() throws {
        let store = try StoreFixture().open()
        let first = try store.vectors("v", dimension: 3, metric: .l2, element: .float16)
        #expect(try store.vectors("v", dimension: 3, metric: .l2, element: .float16) === first)
        for (dimension, metric, element) in [
            (4, VectorMetric.l2, VectorElement.float16), (3, .dot, .float16), (3, .l2, .int8),
        ] {
            let error = #expect(throws: StoreError.self) {
                try store.vectors("v", dimension: dimension, metric: metric, element: element)
            }
            #expect(error?.kind == .definitionMismatch && error?.collection == "vector:v")
        }
        for dimension in [0, -1, 8193] {
            #expect(throws: StoreError.self) { try store.vectors("w", dimension: dimension) }
        }
    }

    @Test func badVectorsAreRefused() throws {
        let store = try StoreFixture().open()
        let wide = try store.vectors("wide", dimension: 2)
        let half = try store.vectors("half", dimension: 2, element: .float16)
        for vector in [[], [1], [1, 2, 3], [.nan, 1], [.infinity, 1], [1, -.infinity]] as [[Float]] {
            let error = #expect(throws: StoreError.self) { try wide.upsert("k", vector) }
            #expect(error?.kind == .invalidArgument && error?.key == "k")
            #expect(throws: StoreError.self) { try wide.search(vector) }
        }
        #expect(throws: StoreError.self) { try wide.upsert("k", [.greatestFiniteMagnitude, .greatestFiniteMagnitude]) }
        #expect(throws: StoreError.self) { try half.upsert("k", [65_505, 0]) }
        #expect(throws: StoreError.self) { try wide.search([.greatestFiniteMagnitude, 1]) }
        let large = VectorMetadata(["text": .string(String(repeating: "x", count: VectorMetadata.byteLimit))])
        #expect(throws: StoreError.self) { try wide.upsert("k", [1, 2], metadata: large) }
        #expect(try wide.count(in: store) == 0 && wide.get("k") == nil)
        #expect(wide.statistics.indexedCount == 0)
        #expect(try wide.search([1, 2], count: 0).isEmpty && wide.search([1, 2]).isEmpty)
    }

    @Test func zeroVectorsAreVectors() throws {
        let store = try StoreFixture().open()
        for element in VectorElement.allCases {
            let vectors = try store.vectors("v\(element)", dimension: 2, metric: .cosine, element: element)
            try vectors.upsert("zero", [0, 0])
            try vectors.upsert("one", [1, 0])
            #expect(try vectors.search([1, 0], count: 2).map(\.name) == ["one", "zero"])
            #expect(try vectors.search([0, 0], count: 2).map(\.distance) == [1, 1])
            #expect(try vectors.get("zero")?.vector == [0, 0])
        }
    }

    @Test func readersSeeTheirOwnMoment() throws {
        let store = try StoreFixture().open()
        let vectors = try store.vectors("v", dimension: 2, metric: .l2)
        try vectors.upsert("a", [0, 0])
        let before = try store.snapshot()
        try store.transaction { transaction in
            try vectors.upsert("a", [5, 5], in: transaction)
            try vectors.upsert("b", [0, 0], in: transaction)
            #expect(try vectors.search([0, 0], count: 2, in: transaction).map(\.name) == ["b", "a"])
            #expect(try vectors.search([0, 0], count: 2).map(\.distance) == [0], "not committed yet")
        }
        #expect(try vectors.search([0, 0], count: 2).map(\.distance) == [0, 50])
        #expect(try vectors.search([0, 0], count: 2, in: before).map(\.name) == ["a"])
        try vectors.delete("b")
        #expect(try vectors.delete("b") == false)
        #expect(try vectors.search([0, 0], count: 2, in: store).map(\.name) == ["a"])
        // A collection that is opened later knows nothing of what was deleted before, and asks the database.
        before.release()
    }

    @Test func snapshotsOlderThanTheIndexAreAnswered() throws {
        let store = try StoreFixture().open()
        var old: StoreSnapshot?
        do {
            let vectors = try store.vectors("v", dimension: 2, metric: .l2)
            try vectors.upsert("a", [1, 0])
            try vectors.upsert("b", [3, 0])
            old = try store.snapshot()
            try vectors.delete("a")
        }
        let vectors = try store.vectors("v", dimension: 2, metric: .l2)
        #expect(try vectors.search([0, 0], in: #require(old)).map(\.distance) == [1, 9])
        #expect(try vectors.search([0, 0]).map(\.distance) == [9])
    }

    /// Vectors around topics, the same every time.
    private static func filled(
        _ vectors: VectorCollection, count: Int, seed: UInt64 = 5
    ) throws -> (random: VectorRandom, topics: [[Float]]) {
        var random = VectorRandom(seed: seed)
        let topics = (0..<20).map { _ in random.floats(vectors.dimension) }
        for start in stride(from: 0, to: count, by: 100) {
            try vectors.upsert(
                (start..<min(start + 100, count)).map { number in
                    VectorItem(
                        "\(number)", random.vector(near: topics),
                        metadata: ["number": .integer(Int64(number)), "even": .bool(number % 2 == 0)])
                })
        }
        return (random, topics)
    }

    @Test(arguments: [(VectorElement.float32, 0.97), (.float16, 0.97), (.int8, 0.97), (.compact, 0.97)])
    func recallDoesNotFallBelowItsFloor(element: VectorElement, floor: Double) throws {
        let store = try StoreFixture().open()
        var options = VectorOptions()
        options.smallCount = 0
        let vectors = try store.vectors("v", dimension: 24, metric: .cosine, element: element, options: options)
        var (random, topics) = try Self.filled(vectors, count: 1500)
        let queries = (0..<60).map { _ in random.vector(near: topics) }
        let narrow = try vectors.measureRecall(queries: queries, effort: .approximate(width: 16))
        let wide = try vectors.measureRecall(queries: queries, effort: .approximate(width: 64))
        #expect(wide.recall >= floor && narrow.recall >= 0.75 && wide.queryCount == 60)
        // Half of them are replaced; the graph repairs itself.
        for start in stride(from: 0, to: 1500, by: 50) {
            try vectors.upsert((start..<start + 25).map { VectorItem("\($0)", random.vector(near: topics)) })
        }
        let repaired = try vectors.measureRecall(queries: queries, effort: .approximate(width: 64))
        #expect(repaired.recall >= floor - 0.03)
        #expect(vectors.statistics.indexedCount == 1500)
        #expect(vectors.graph.slotCount.load(ordering: .relaxed) < 1500 + 750, "slots are used again")
    }

    @Test func selectiveFiltersReturnEverythingAskedFor() throws {
        let store = try StoreFixture().open()
        var options = VectorOptions()
        options.smallCount = 0
        let vectors = try store.vectors("v", dimension: 16, metric: .l2, options: options)
        var (random, topics) = try Self.filled(vectors, count: 800)
        for _ in 0..<10 {
            let query = random.vector(near: topics)
            for effort in [SearchEffort.exact, .approximate(width: 20)] {
                let rare = try vectors.search(
                    query, count: 10, filter: .less("number", 12), effort: effort)
                #expect(rare.count == 10 && rare.allSatisfy { Int($0.name)! < 12 })
                let half = try vectors.search(query, count: 10, filter: .equal("even", true), effort: effort)
                #expect(half.count == 10 && half.allSatisfy { Int($0.name)! % 2 == 0 })
                #expect(try vectors.search(query, filter: .exists("nothing"), effort: effort).isEmpty)
            }
        }
    }

    @Test func whatExceedsTheBudgetIsFoundAllTheSame() throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        var options = VectorOptions(memoryBudget: 60_000)
        options.smallCount = 0
        let vectors = try store.vectors("v", dimension: 16, metric: .l2, options: options)
        var (random, topics) = try Self.filled(vectors, count: 600)
        let statistics = vectors.statistics
        #expect(statistics.isOverBudget && statistics.memoryByteCount <= 60_000 && statistics.indexedCount < 600)
        for _ in 0..<10 {
            let query = random.vector(near: topics)
            let exact = try vectors.search(query, effort: .exact)
            let truth = try (0..<600).map { number in
                PlainDistance.between(query, try #require(try vectors.get("\(number)")).vector, .l2)
            }.sorted()
            for (match, distance) in zip(exact, truth) { #expect(abs(Double(match.distance) - distance) < 1e-3) }
        }
        // A slot that becomes free is used again.
        for number in 0..<600 { try vectors.delete("\(number)") }
        #expect(try vectors.search(topics[0]).isEmpty)
        #expect(vectors.statistics.memoryByteCount <= 60_000)
    }

    @Test func conflictsAreRunAgain() throws {
        let store = try StoreFixture().open()
        let vectors = try store.vectors("v", dimension: 2, metric: .l2)
        var attempts = 0
        try store.transaction { transaction in
            attempts += 1
            try vectors.upsert("k", [Float(attempts), 0], in: transaction)
            if attempts == 1 { try vectors.upsert("k", [9, 9]) }
        }
        #expect(attempts == 2)
        #expect(try vectors.search([0, 0]).map(\.distance) == [4], "the first attempt left nothing")
        #expect(vectors.statistics.indexedCount == 1)
    }
}
