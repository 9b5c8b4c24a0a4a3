// Vectors beside hnswlib and faiss: text in 384 dimensions, the ten nearest, one thread. Times are processor time: of
// the searching thread for searches, of the whole process, flushes and compactions included, for building.

import Apus
import ApusStore

func runVectors(_ bench: Bench) throws {
    try VectorSuite(bench).run()
}

final class VectorSuite {
    let bench: Bench
    let data: VectorData
    /// The ten nearest of each query.
    var truth: [Set<Int>]
    let peers: PeerProcess?
    var turnover: VectorTurnover
    var store: Store!
    var vectors: VectorCollection!
    /// Where the store is.
    private(set) var path = ""

    init(_ bench: Bench) throws {
        self.bench = bench
        data = try VectorData(count: bench.scaled(98_523))
        truth = data.nearest(among: Array(0..<data.count))
        turnover = VectorTurnover(data)
        peers = try PeerProcess(folder: VectorData.folder, dimension: VectorData.dimension, count: data.count)
    }

    func run() throws {
        try build()
        try exact()
        try approximate()
        try duringUpdates()
        try reopen()
        try duringTurnover()
        try onDisk(.compact, "without originals")
        try onDisk(.int8, "int8")
    }

    // MARK: Contenders

    func compare(_ work: String, _ own: Contender, peer: String, target: Double, _ command: String) throws {
        let peers = peers.map { peers in
            Contender(peer, target: target, measure: { _ in [try peers.run(command)] })
        }
        try bench.compare(work, [own] + (peers.map { [$0] } ?? []))
    }

    /// Searches for all or some queries.
    func search(
        _ vectors: VectorCollection, _ effort: SearchEffort, queryCount: Int = .max
    ) throws -> Sample {
        var found = 0
        let count = min(queryCount, data.queries.count)
        let begin = processorSeconds(ofThread: true)
        for index in 0..<count {
            let matches = try vectors.search(data.queries[index], count: 10, effort: effort)
            for match in matches where truth[index].contains(Int(match.name) ?? -1) { found += 1 }
        }
        let seconds = processorSeconds(ofThread: true) - begin
        return Sample(
            operations: count, seconds: seconds,
            figures: ["recall": Double(found) / Double(10 * count)])
    }

    // MARK: Works

    /// Where a copy of a store may be made.
    func copyPath() throws -> String {
        path = try bench.folder.subfolder("kept").path + "/store"
        return path
    }

    func open(_ element: VectorElement) throws {
        store = try Store.open(at: path, options: Options(memoryBudget: 512 << 20, durability: .relaxed))
        vectors = try store.vectors("v", dimension: VectorData.dimension, metric: .cosine, element: element)
    }

    private func fill(_ name: String, _ element: VectorElement) throws -> Sample {
        vectors = nil
        try store?.close()
        path = try bench.folder.subfolder(name).path
        try open(element)
        let begin = processorSeconds(ofThread: false)
        for start in stride(from: 0, to: data.count, by: 100) {
            try vectors.upsert((start..<min(start + 100, data.count)).map { VectorItem("\($0)", data[$0]) })
        }
        let seconds = processorSeconds(ofThread: false) - begin
        return Sample(
            operations: data.count, seconds: seconds,
            figures: ["bytes": Double(vectors.statistics.memoryByteCount)])
    }

    private func build() throws {
        if !bench.wants("build") { _ = try peers?.run("build") }
        let own = Contender("ApusStore", measure: { _ in [try self.fill("float32", .float32)] })
        try compare("build", own, peer: "hnswlib", target: 2, "build")
        if vectors == nil {
            if try openKept() { return }
            _ = try fill("float32", .float32)
        }
        try store.database.compact()
        try keep()
    }

    private func exact() throws {
        let own = Contender("ApusStore", measure: { _ in [try self.search(self.vectors, .exact, queryCount: 200)] })
        try compare("exact, from codes with bounds and originals", own, peer: "faiss flat", target: 3, "flat 200")
    }

    /// The narrowest search that reaches the recall.
    func width(_ recall: Double, _ measure: (Int) throws -> Sample) throws -> Int {
        for width in [16, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 224, 256, 320, 400, 512, 640] {
            if try measure(width).figures["recall", default: 0] >= recall { return width }
        }
        return 800
    }

    private func approximate() throws {
        for recall in [0.95, 0.99] where bench.wants("approximate, recall \(recall)") {
            let own = try width(recall) { try search(vectors, .approximate(width: $0)) }
            let peer = try peers.map { peers in try width(recall) { try peers.run("hnsw \($0)") } } ?? 0
            try compare(
                "approximate, recall \(recall)",
                Contender("ApusStore", measure: { _ in [try self.search(self.vectors, .approximate(width: own))] }),
                peer: "hnswlib", target: 1, "hnsw \(peer)")
        }
    }

    private func onDisk(_ element: VectorElement, _ title: String) throws {
        guard bench.wants("disk, \(title)") else { return }
        let own = Contender(
            "ApusStore",
            measure: { _ in
                let built = try self.fill("\(element)", element)
                try self.store.database.compact()
                let used = self.store.database.statistics.keyspaces.reduce(0) {
                    $0 + $1.tableByteCount + $1.blobByteCount
                }
                let exact = try self.search(self.vectors, .exact, queryCount: 300)
                let wide = try self.search(self.vectors, .approximate(width: 256))
                return [
                    Sample(
                        operations: built.operations, seconds: built.seconds,
                        figures: [
                            "float32 ÷ bytes": Double(4 * VectorData.dimension * self.data.count) / Double(used),
                            "recall": exact.figures["recall"] ?? 0, "recall at width 256": wide.figures["recall"] ?? 0,
                        ])
                ]
            })
        try bench.compare("disk, \(title)", [own])
    }
}
