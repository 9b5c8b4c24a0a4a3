// apus vector search, recall, stats, verify: the nearest vectors, and how many of them approximate searches find.

import Apus
import ApusStore
import ArgumentParser
import Foundation

struct VectorFilterOption: ParsableArguments {
    @Option(help: "Only vectors whose metadata satisfies this, as in 'year > 2020 and labels contains \"sea\"'.")
    var filter: String?

    func parsed() throws -> VectorFilter? {
        try filter.map { try VectorFilter($0) }
    }
}

struct VectorSearchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "search",
        abstract: "Prints the nearest vectors, nearest first: distance, key, metadata.",
        discussion: """
            The query is a JSON array, or numbers separated by commas; - reads it from standard input, @FILE from a \
            file; --like takes a stored vector. Searches are approximate unless --exact is given; a greater --width \
            finds more of the true neighbours and takes longer.
            """
    )

    @OptionGroup var vectors: VectorArguments
    @Argument(help: "The query; - for standard input, @FILE for a file.")
    var query: String?
    @Option(help: "Search for what is near this stored vector, which is left out.")
    var like: String?
    @Option(name: [.customShort("n"), .long], help: "How many.")
    var count = 10
    @OptionGroup var filter: VectorFilterOption
    @Flag(help: "Compare with every vector.")
    var exact = false
    @Option(help: "How many candidates an approximate search keeps.")
    var width = 96
    @OptionGroup var json: JSONFlag

    func validate() throws {
        guard (query == nil) != (like == nil) else { throw ValidationError("Give either a query or --like.") }
        guard count > 0 else { throw ValidationError("--count must be at least 1.") }
        guard width > 0 else { throw ValidationError("--width must be at least 1.") }
    }

    func run() throws {
        let filter = try filter.parsed()
        let given = try query.map { query in
            let content = try Content(query)
            return try vector(content.text(), content.name)
        }
        let collection = try vectors.openForReading()
        let query = try given ?? stored(collection)
        let found = try collection.search(
            query, count: like == nil || count == .max ? count : count + 1, filter: filter,
            effort: exact ? .exact : .approximate(width: width))
        let others = found.filter { $0.name != like }.prefix(count)
        try printLines(others.map(line))
    }

    private func stored(_ collection: VectorCollection) throws -> [Float] {
        let key = like ?? ""
        guard let found = try collection.get(key) else { throw vectors.missing(key) }
        return found.vector
    }

    private func line(_ match: VectorMatch) -> String {
        let metadata = match.metadata.json
        if json.isOn {
            let object: JSONValue = [
                "key": .string(match.name), "distance": [match.distance].json[0] ?? .null, "metadata": metadata,
            ]
            return object.jsonText
        }
        let cells = [String(format: "%.6f", match.distance), displayed(match.key)]
        return (match.metadata.isEmpty ? cells : cells + [metadata.jsonText]).joined(separator: "\t")
    }
}

struct VectorRecallCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recall",
        abstract: "Reports how many of the true neighbours approximate searches find, on the collection's own data.",
        discussion: """
            Asks for the neighbours of stored vectors, each of which counts as its own neighbour, or of the queries \
            that --queries gives, one JSON array per line: approximately and exactly. Several widths make a table.

            Example: apus vector recall my.apus pages --width 32 --width 96 --width 256
            """
    )

    @OptionGroup var vectors: VectorArguments
    @Option(help: "Queries, one JSON array per line; - for standard input, @FILE for a file.")
    var queries: String?
    @Option(help: "How many stored vectors to ask for.")
    var samples = 100
    @Option(name: [.customShort("n"), .long], help: "Neighbours per query.")
    var count = 10
    @Option(help: "How many candidates a search keeps; may be given several times.")
    var width: [Int] = []
    @OptionGroup var filter: VectorFilterOption
    @OptionGroup var json: JSONFlag

    private struct Line: Encodable {
        var width: Int
        var recall: Double
        var queries: Int
        var count: Int
        var approximateMicroseconds: Double
        var exactMicroseconds: Double
    }

    func validate() throws {
        guard samples > 0, count > 0, width.allSatisfy({ $0 > 0 }) else {
            throw ValidationError("--samples, --count and --width must be at least 1.")
        }
    }

    func run() throws {
        let filter = try filter.parsed()
        var given: [[Float]]?
        if let queries {
            given = []
            try Content(queries).forEachJSONLine { given?.append(try vector($0, $1)) }
        }
        let collection = try vectors.openForReading()
        let lines = try (width.isEmpty ? [96] : width).map { width in
            let measured = try collection.measureRecall(
                queries: given, sampleCount: samples, count: count, filter: filter, effort: .approximate(width: width))
            return Line(
                width: width, recall: measured.recall, queries: measured.queryCount, count: count,
                approximateMicroseconds: measured.approximateTime.seconds * 1e6,
                exactMicroseconds: measured.exactTime.seconds * 1e6)
        }
        if json.isOn { return try printLines(lines.map { try jsonLine($0) }) }
        var table = AlignedTable(["width", "recall", "queries", "approximate", "exact"], left: [])
        for line in lines {
            table.add([
                "\(line.width)", String(format: "%.4f", line.recall), grouped(line.queries),
                Duration.microseconds(line.approximateMicroseconds).readable,
                Duration.microseconds(line.exactMicroseconds).readable,
            ])
        }
        try printLines(table.lines)
    }
}

struct VectorStats: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "Shows how many vectors a collection has, of what kind, and what its index takes."
    )

    @OptionGroup var vectors: VectorArguments
    @OptionGroup var json: JSONFlag

    private struct Report: Encodable {
        var vectors: Int
        var dimension: Int
        var metric: String
        var element: String
        var bytes: UInt64
        var indexed: Int
        var indexMemoryBytes: Int
        var instructions: String
    }

    func run() throws {
        let collection = try vectors.openForReading()
        let statistics = collection.statistics
        let report = Report(
            vectors: try collection.count(in: collection.store), dimension: collection.dimension,
            metric: MetricName(collection.metric).rawValue, element: ElementName(collection.element).rawValue,
            bytes: collection.store.byteCount(.vectors, vectors.collection), indexed: statistics.indexedCount,
            indexMemoryBytes: statistics.memoryByteCount, instructions: statistics.instructions)
        if json.isOn { return try printLines([jsonText(report)]) }
        try printLines([
            "vectors    \(grouped(report.vectors)) of \(grouped(report.dimension)) elements, \(report.element), by "
                + report.metric,
            "on disk    \(byteSize(report.bytes))",
            "index      \(counted(report.indexed, "vector")), \(byteSize(report.indexMemoryBytes)) of memory",
            "processor  \(report.instructions)",
        ])
    }
}

struct VectorVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Checks that keys, vectors, metadata and originals agree.",
        discussion: """
            Reads every byte of the database, as apus verify does, and reports what concerns the collection. \
            Exits with 0 if all is sound and with 2 if something is damaged.
            """
    )

    @OptionGroup var vectors: VectorArguments
    @OptionGroup var json: JSONFlag

    func run() throws {
        let store = try vectors.database.openStoreForReading()
        try store.require(.vectors, vectors.collection)
        try reportVerification(of: store, .vectors, vectors.collection, json)
    }
}
