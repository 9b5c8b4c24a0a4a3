// One random history of a collection of vectors, and the model beside it.

import Apus
import ApusSimulation

@testable import ApusStore

struct VectorHistoryFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

final class VectorHistory {
    struct Entry {
        var vector: [Float]
        var metadata: VectorMetadata
    }

    typealias Model = [String: Entry]

    /// Thrown by transactions that are given up.
    struct Refusal: Error {}

    var random: VectorRandom
    var fixture: StoreFixture
    let shape: VectorShape
    let topics: [[Float]]
    var options = VectorOptions()
    var store: Store!
    var vectors: VectorCollection!
    var model: Model = [:]
    /// What a transaction that was under way would have made of it.
    var modelUnderWay: Model?
    var snapshots: [(snapshot: StoreSnapshot, model: Model)] = []
    /// Of the true neighbours that approximate searches could have found, those that they found.
    var found = 0
    var wanted = 0

    init(seed: UInt64) throws {
        random = VectorRandom(seed: seed)
        fixture = StoreFixture(seed: seed)
        let metrics = VectorMetric.allCases
        let elements = VectorElement.allCases
        shape = VectorShape(
            dimension: 2 + random.below(30), metric: metrics[random.below(metrics.count)],
            element: elements[random.below(elements.count)])
        var generator = VectorRandom(seed: seed &+ 1)
        let dimension = shape.dimension
        topics = (0..<6).map { _ in generator.floats(dimension) }
        // Every path is to be taken with few vectors.
        options.smallCount = random.below(3) * 20
        options.graphParameters.leastSwept = 3 + random.below(10)
        options.graphParameters.entryCount = 4
        options.graphParameters.linkCapacity = 6 + random.below(12)
        options.graphParameters.forwardLimit = 4 + random.below(4)
        // Sometimes not all of them have room in the index.
        if random.below(4) == 0 { options.memoryBudget = 20_000 }
        try open()
    }

    private func open() throws {
        store = try fixture.open()
        vectors = try store.vectors(
            "v", dimension: shape.dimension, metric: shape.metric, element: shape.element, options: options)
    }

    func run(stepCount: Int) throws {
        for _ in 0..<stepCount {
            do {
                try step()
            } catch let error as VectorHistoryFailure {
                throw error
            } catch  where fixture.machine.disk.isStopped {
                try recover()
            }
        }
        try recover()
        try close()
        // Few of them may be missed, whatever the graph went through.
        if wanted > 200, shape.metric != .dot, found * 100 < wanted * 80 {
            throw VectorHistoryFailure("approximate searches found \(found) of \(wanted)")
        }
    }

    private func step() throws {
        switch random.below(100) {
        case ..<45: try change()
        case ..<50: try giveUp()
        case ..<65: try search(in: nil, model)
        case ..<72: try searchInTransaction()
        case ..<76: snapshots.append((try store.snapshot(), model))
        case ..<84: try searchSnapshot()
        case ..<88: try read()
        case ..<92: try recover(cleanly: true)
        case ..<95: try recover()
        case ..<98: fixture.machine.disk.inject(Fault(.stop, skipping: random.below(30)) { $0.isMutation })
        default: try verify()
        }
    }

    // MARK: Changes

    private func key() -> String { "key \(random.below(150))" }

    private func metadata() -> VectorMetadata {
        random.below(4) == 0
            ? [:] : ["tenth": .integer(Int64(random.below(10))), "kind": random.below(2) == 0 ? "a" : "b"]
    }

    /// Some random changes in a transaction, and what the model becomes.
    private func change(_ transaction: StoreTransaction, _ next: inout Model) throws {
        for _ in 0...random.below(12) {
            let key = key()
            if random.below(4) == 0 {
                let wasThere = try vectors.delete(key, in: transaction)
                try expect(wasThere == (next.removeValue(forKey: key) != nil), "delete of \(key)")
            } else {
                let vector = random.vector(near: topics)
                let metadata = metadata()
                try vectors.upsert(key, vector, metadata: metadata, in: transaction)
                next[key] = Entry(vector: stored(vector), metadata: metadata)
            }
        }
    }

    /// The vector as the collection gives it back.
    private func stored(_ vector: [Float]) -> [Float] {
        let encoded = shape.encode(vector)
        let record = VectorRecord(
            key: [], metadata: [], scale: encoded.code.scale, norm: encoded.norm, error: encoded.error, links: [],
            codes: encoded.code.codes)
        return shape.decode(record, original: encoded.original)!
    }

    private func change() throws {
        var next = model
        try store.transaction { transaction in
            next = model
            try change(transaction, &next)
            modelUnderWay = next
            if random.below(5) == 0 {
                let savepoint = transaction.savepoint()
                var undone = next
                try change(transaction, &undone)
                try transaction.rollBack(to: savepoint)
            }
        }
        model = next
        modelUnderWay = nil
    }

    private func giveUp() throws {
        do {
            try store.transaction { transaction in
                var next = model
                try change(transaction, &next)
                throw Refusal()
            }
        } catch is Refusal {}
    }

    // MARK: Searches

    private func searchInTransaction() throws {
        do {
            try store.transaction { transaction in
                var next = model
                try change(transaction, &next)
                try search(in: transaction, next)
                throw Refusal()
            }
        } catch is Refusal {}
    }

    private func searchSnapshot() throws {
        guard !snapshots.isEmpty else { return }
        let index = random.below(snapshots.count)
        try search(in: snapshots[index].snapshot, snapshots[index].model)
        if random.below(3) == 0 { snapshots.remove(at: index).snapshot.release() }
    }

    private func search(in reader: (any StoreReader)?, _ model: Model) throws {
        let query = random.vector(near: topics)
        let count = 1 + random.below(12)
        let filters: [VectorFilter?] = [
            nil, .equal("tenth", .integer(Int64(random.below(10)))), .less("tenth", 5) && !.equal("kind", "a"),
            .matching { $0.isEmpty },
        ]
        let filter = filters[random.below(filters.count)]
        let isExact = random.below(2) == 0
        let effort: SearchEffort = isExact ? .exact : .approximate(width: 32)
        let matches: [VectorMatch]
        if let reader {
            matches = try search(query, count, filter, effort, in: reader)
        } else {
            matches = try vectors.search(query, count: count, filter: filter, effort: effort)
        }
        let truth = model.filter { filter?.matches($0.value.metadata) ?? true }
            .map { PlainDistance.between(query, $0.value.vector, shape.metric) }.sorted()
        try expect(matches.count == min(count, truth.count), "\(matches.count) results of \(truth.count) for \(count)")
        try expect(Set(matches.map(\.name)).count == matches.count, "a result comes twice")
        for (rank, match) in matches.enumerated() {
            guard let entry = model[match.name] else { throw VectorHistoryFailure("\(match.name) does not exist") }
            try expect(entry.metadata == match.metadata, "metadata of \(match.name)")
            try expect(filter?.matches(match.metadata) ?? true, "\(match.name) does not pass the filter")
            let distance = PlainDistance.between(query, entry.vector, shape.metric)
            let tolerance = 1e-3 * (1 + distance.magnitude)
            try expect(abs(Double(match.distance) - distance) < tolerance, "\(match) is \(distance) away")
            if isExact { try expect(abs(distance - truth[rank]) < tolerance, "\(match) is not number \(rank)") }
        }
        if !isExact, let last = truth.prefix(count).last {
            wanted += matches.count
            found += matches.filter { Double($0.distance) <= last + 1e-3 * (1 + last.magnitude) }.count
        }
    }

    private func search(
        _ query: [Float], _ count: Int, _ filter: VectorFilter?, _ effort: SearchEffort, in reader: some StoreReader
    ) throws -> [VectorMatch] {
        try vectors.search(query, count: count, filter: filter, effort: effort, in: reader)
    }

    // MARK: Comparison

    private func read() throws {
        for _ in 0..<10 {
            let key = key()
            let got = try vectors.get(key)
            try expect(got?.vector == model[key]?.vector && got?.metadata == model[key]?.metadata, "get of \(key)")
            try expect(vectors.contains(key) == (model[key] != nil), "contains of \(key)")
        }
    }

    private func difference(from model: Model) throws -> String? {
        var keys: [String] = []
        try vectors.scanKeys(in: store) { key in
            keys.append(String(decoding: key, as: UTF8.self))
            return .next
        }
        if keys != model.keys.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
            return "\(keys.count) keys, \(model.count) expected"
        }
        for (key, entry) in model {
            let got = try vectors.get(key)
            if got?.vector != entry.vector || got?.metadata != entry.metadata { return "\(key) differs" }
        }
        return nil
    }

    private func verify() throws {
        let report = try store.verify()
        try expect(report.isSound, "verify: \(report.problems) \(report.database)")
        try expect(vectors.graph.unreachableCount() == 0, "vectors out of reach")
    }

    private func expect(_ condition: Bool, _ message: @autoclosure () -> String) throws {
        if !condition { throw VectorHistoryFailure(message()) }
    }

    // MARK: Ends

    private func close() throws {
        for (snapshot, _) in snapshots { snapshot.release() }
        snapshots = []
        vectors = nil
        try store.close()
        store = nil
    }

    /// Ends the process, cleanly or not, and compares what the next one finds.
    private func recover(cleanly: Bool = false) throws {
        if cleanly, !fixture.machine.disk.isStopped {
            fixture.machine.disk.removeFaults()
            try close()
            fixture.machine.restart()
        } else {
            if !fixture.machine.disk.isStopped {
                fixture.machine.disk.removeFaults()
                fixture.machine.disk.inject(Fault(.stop))
            }
            try? close()
            vectors = nil
            store = nil
            snapshots = []
            fixture.machine.disk.removeFaults()
            let modes = CrashMode.allCases
            fixture.machine.crash(modes[random.below(modes.count)])
        }
        try open()
        if let message = try difference(from: model) {
            guard let modelUnderWay, try difference(from: modelUnderWay) == nil else {
                throw VectorHistoryFailure("after the end of a process: \(message)")
            }
            model = modelUnderWay
        }
        modelUnderWay = nil
        try verify()
    }
}
