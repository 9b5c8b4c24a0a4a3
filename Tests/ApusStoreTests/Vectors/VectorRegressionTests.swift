// What went wrong once: each case by what it did.

import Apus
import Testing

@testable import ApusStore

@Suite struct VectorRegressionTests {
    private static func vectors(
        _ store: Store, _ name: String = "v", metric: VectorMetric = .cosine, element: VectorElement = .float32
    ) throws -> VectorCollection {
        var options = VectorOptions()
        options.smallCount = 0
        return try store.vectors(name, dimension: 4, metric: metric, element: element, options: options)
    }

    @Test func anyNumberOfResultsCanBeAskedFor() throws {
        let store = try StoreFixture().open()
        let vectors = try Self.vectors(store)
        var random = VectorRandom(seed: 1)
        for number in 0..<40 {
            try vectors.upsert("\(number)", random.floats(4), metadata: ["even": .bool(number % 2 == 0)])
        }
        let efforts: [SearchEffort] = [
            .exact, .approximate(width: 4), .approximate(width: .max), .approximate(width: -1),
        ]
        for count in [41, 1_000_000, Int.max] {
            for effort in efforts {
                #expect(try vectors.search([1, 2, 3, 4], count: count, effort: effort).count == 40)
                let even = try vectors.search(
                    [1, 2, 3, 4], count: count, filter: .equal("even", true), effort: effort)
                #expect(even.count == 20)
            }
        }
        #expect(try vectors.search([1, 2, 3, 4], count: -1).isEmpty)
    }

    /// Their squares are too small for a float, and a division by the root of nothing made distances that are no numbers.
    @Test func vectorsWithoutALengthWorthNamingHaveNoDirection() throws {
        let store = try StoreFixture().open()
        for element in VectorElement.allCases {
            let vectors = try Self.vectors(store, "v\(element)", element: element)
            try vectors.upsert("tiny", [1e-25, 0, 0, 0])
            try vectors.upsert("smallest", [0, .leastNonzeroMagnitude, 0, 0])
            try vectors.upsert("one", [1, 0, 0, 0])
            for effort in [SearchEffort.exact, .approximate(width: 8)] {
                let found = try vectors.search([1, 0, 0, 0], count: 3, effort: effort)
                #expect(found.map(\.distance) == [0, 1, 1] && found.first?.name == "one")
                #expect(try vectors.search([1e-30, 0, 0, 0], count: 3, effort: effort).map(\.distance) == [1, 1, 1])
            }
        }
    }

    /// Their squares are too large for a float.
    @Test(arguments: VectorMetric.allCases)
    func vectorsTooLongAreRefused(metric: VectorMetric) throws {
        let store = try StoreFixture().open()
        let vectors = try Self.vectors(store, metric: metric)
        #expect(throws: StoreError.self) { try vectors.upsert("k", [1e19, 1, 1, 1]) }
        #expect(throws: StoreError.self) { try vectors.search([1e19, 1, 1, 1]) }
        try vectors.upsert("a", [9e17, 0, 0, 0])
        try vectors.upsert("b", [0, 9e17, 0, 0])
        let found = try vectors.search([9e17, 1, 0, 0], count: 2, effort: .exact)
        #expect(found.map(\.name) == ["a", "b"] && found.allSatisfy { $0.distance.isFinite })
    }

    @Test func manyEqualVectorsAreAllFound() throws {
        let store = try StoreFixture().open()
        let vectors = try Self.vectors(store)
        try vectors.upsert((0..<300).map { VectorItem("\($0)", [1, 2, 3, 4]) })
        try vectors.upsert("other", [-1, 2, 3, 4])
        for effort in [SearchEffort.exact, .approximate(width: 16)] {
            #expect(try vectors.search([1, 2, 3, 4], count: 301, effort: effort).count == 301)
        }
        #expect(try vectors.search([-1, 2, 3, 4], count: 1, effort: .exact).map(\.name) == ["other"])
        #expect(vectors.graph.unreachableCount() == 0)
    }

    /// A collection that was opened before another use of it began and ended knew nothing of what that had written, and
    /// gave its numbers away again.
    @Test func aCollectionOpenedTwiceAtOnceKnowsEverything() throws {
        let store = try StoreFixture().open()
        let shape = VectorShape(dimension: 4, metric: .cosine, element: .float32)
        var openings = 0
        _ = try Self.vectors(store)
        let opened = try store.collection(.vectors, "v", definition: shape.definition) { _ in
            let made = try VectorCollection(CollectionName(.vectors, "v"), shape, VectorOptions(), in: store)
            openings += 1
            if openings == 1 { try Self.vectors(store).upsert("between", [1, 0, 0, 0]) }
            return made
        }
        try opened.upsert("after", [0, 1, 0, 0])
        #expect(openings == 2)
        #expect(try opened.search([1, 0, 0, 0]).map(\.name) == ["between", "after"])
        #expect(try store.verify().isSound)
    }

    // MARK: Damage

    /// Puts a value in place of one of a stored vector's.
    private static func damage(_ store: Store, _ change: (VectorCollection, StoreTransaction) throws -> Void) throws {
        let vectors = try vectors(store)
        try vectors.upsert([VectorItem("a", [1, 2, 3, 4]), VectorItem("b", [4, 3, 2, 1])])
        try store.transaction { try change(vectors, $0) }
    }

    private static let damages: [@Sendable (VectorCollection, StoreTransaction) throws -> Void] = [
        { $1.put(VectorKey.node(1), [UInt8](repeating: 0xFF, count: 40), in: $0.nodes) },
        { $1.put(VectorKey.node(1), [UInt8](), in: $0.nodes) },
        { $1.put(VectorKey.node(.max), try $1.get(VectorKey.node(1), in: $0.nodes)!, in: $0.nodes) },
        { $1.put([VectorKey.nodeTag, 7], [1], in: $0.nodes) },
        {
            // Links twice to the same node.
            let record = VectorRecord(
                key: [97], metadata: [], scale: 1, norm: 1, error: 0, links: [5, 5], codes: [1, 2, 3, 4])
            $1.put(VectorKey.node(1), record.encoded, in: $0.nodes)
        },
        {
            let record = VectorRecord(
                key: [97], metadata: [], scale: .greatestFiniteMagnitude, norm: 1, error: 0, links: [],
                codes: [1, 2, 3, 4])
            $1.put(VectorKey.node(1), record.encoded, in: $0.nodes)
        },
    ]

    @Test(arguments: 0..<6)
    func aDamagedRecordIsAnErrorAndNoTrap(number: Int) throws {
        let store = try StoreFixture().open()
        try Self.damage(store, Self.damages[number])
        // Reported by verification, which goes on with the rest, and thrown when the index is read.
        let report = try store.verify()
        #expect(!report.isSound && report.checks > 3, "\(report.problems)")
        let error = #expect(throws: StoreError.self) { try Self.vectors(store) }
        #expect(error?.kind == .corruption && error?.collection == "vector:v")
    }

    @Test func aDamagedEntryOrOriginalIsAnError() throws {
        let store = try StoreFixture().open()
        let vectors = try Self.vectors(store)
        try vectors.upsert([VectorItem("a", [1, 2, 3, 4]), VectorItem("b", [4, 3, 2, 1])])
        try store.transaction { transaction in
            transaction.put(VectorKey.entry("a"), [0x80], in: vectors.nodes)
            transaction.put(VectorKey.original(2), [1, 2, 3], in: vectors.originals!)
        }
        #expect(throws: StoreError.self) { try vectors.get("a") }
        #expect(throws: StoreError.self) { try vectors.upsert("a", [1, 2, 3, 4]) }
        #expect(throws: StoreError.self) { try vectors.delete("a") }
        #expect(throws: StoreError.self) { try vectors.get("b") }
        #expect(throws: StoreError.self) { try vectors.search([4, 3, 2, 1]) }
        #expect(try store.verify().problemCount >= 2)
    }

    @Test func linksToNodesThatAreNotThereMeanNothing() throws {
        let store = try StoreFixture().open()
        try Self.damage(store) { vectors, transaction in
            let record = VectorRecord(
                key: [97], metadata: [], scale: 1, norm: 1, error: 0, links: [1, 2, 77, 1 << 61, .max],
                codes: [1, 2, 3, 4])
            transaction.put(VectorKey.node(1), record.encoded, in: vectors.nodes)
        }
        let vectors = try Self.vectors(store)
        #expect(try vectors.search([4, 3, 2, 1], count: 2, effort: .approximate(width: 8)).map(\.name) == ["b", "a"])
        #expect(vectors.graph.unreachableCount() == 0)
    }
}
