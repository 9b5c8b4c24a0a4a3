// apus vector: embeddings by key. Searching and measuring recall are in VectorSearchCommands.swift.

import Apus
import ApusStore
import ArgumentParser

struct VectorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vector",
        abstract: "Embeddings by key, and the nearest ones to a query.",
        discussion: """
            Example: apus vector put --create my.apus pages sea "[0.9, 0.1, 0.2]" --metadata '{"year": 2021}'
                     apus vector search my.apus pages "[1, 0.2, 0.2]" --count 3 --filter 'year > 2020'
            """,
        subcommands: [
            VectorCreate.self, VectorPut.self, VectorGet.self, VectorDelete.self, VectorSearchCommand.self,
            VectorRecallCommand.self, VectorList.self, VectorStats.self, VectorVerify.self,
        ]
    )
}

struct VectorArguments: ParsableArguments {
    @OptionGroup var database: DatabaseArgument
    @Argument(help: "The collection.")
    var collection: String

    func openForReading() throws -> VectorCollection { try existing(database.openStoreForReading()) }
    func openForChanging() throws -> VectorCollection { try existing(database.openStoreForChanging()) }

    private func existing(_ store: Store) throws -> VectorCollection {
        try store.require(.vectors, collection)
        return try store.vectors(named: collection)
    }

    func missing(_ key: String) -> Failure {
        Failure("there is no vector \"\(shortened(displayed(key.utf8)))\" in collection \"\(collection)\"")
    }
}

/// The metrics by name.
enum MetricName: String, CaseIterable, ExpressibleByArgument {
    case cosine, dot, l2

    init(_ metric: VectorMetric) {
        self =
            switch metric {
            case .cosine: .cosine
            case .dot: .dot
            case .l2: .l2
            }
    }

    var metric: VectorMetric {
        switch self {
        case .cosine: .cosine
        case .dot: .dot
        case .l2: .l2
        }
    }
}

/// The forms of elements by name.
enum ElementName: String, CaseIterable, ExpressibleByArgument {
    case float32, float16, int8, compact

    init(_ element: VectorElement) {
        self =
            switch element {
            case .float32: .float32
            case .float16: .float16
            case .int8: .int8
            case .compact: .compact
            }
    }

    var element: VectorElement {
        switch self {
        case .float32: .float32
        case .float16: .float16
        case .int8: .int8
        case .compact: .compact
        }
    }
}

/// What a new collection of vectors is to be, and one that exists has to be.
struct VectorShapeOptions: ParsableArguments {
    @Option(help: "What makes vectors near; cosine in a new collection.")
    var metric: MetricName?
    @Option(help: "The form in which elements are kept; float32 in a new collection.")
    var element: ElementName?

    /// The collection that is there, or one that begins here.
    func collection(_ name: String, dimension: Int, in store: Store) throws -> VectorCollection {
        guard try store.listCollections().contains(where: { $0.kind == .vectors && $0.name == name }) else {
            return try store.vectors(
                name, dimension: dimension, metric: metric?.metric ?? .cosine, element: element?.element ?? .float32)
        }
        let existing = try store.vectors(named: name)
        let (metric, element) = (MetricName(existing.metric), ElementName(existing.element))
        // What is not said is as it is.
        guard self.metric ?? metric == metric, self.element ?? element == element else {
            throw Failure("the collection \"\(name)\" exists with metric \(metric) and element \(element)")
        }
        return existing
    }
}

/// A vector from text: a JSON array, or numbers separated by commas or spaces.
func vector(_ text: String, _ name: String) throws -> [Float] {
    let trimmed = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    if trimmed.hasPrefix("[") || trimmed.hasPrefix("{") { return try vector(JSONValue(argument: trimmed, name), name) }
    // Of "1, 2" the comma separates, of "1 2" the space; of "1,,2" something is missing.
    let numbers = trimmed.split(separator: ",", omittingEmptySubsequences: false)
        .flatMap { part in part.allSatisfy { $0 == " " } ? [nil] : part.split(separator: " ").map { Float($0) } }
    guard !numbers.isEmpty, numbers.allSatisfy({ $0 != nil }) else {
        throw Failure("\(name) is no vector: a JSON array of numbers, or numbers separated by commas", code: 64)
    }
    return numbers.compactMap { $0 }
}

func vector(_ json: JSONValue, _ name: String) throws -> [Float] {
    let numbers = json.arrayValue?.map(\.doubleValue) ?? []
    guard !numbers.isEmpty, numbers.allSatisfy({ $0 != nil }) else {
        throw Failure("\(name) is no vector: a JSON array of numbers", code: 64)
    }
    return numbers.map { Float($0 ?? 0) }
}

extension VectorMetadata {
    init(_ json: JSONValue, _ name: String) throws {
        guard let fields = json.objectValue else {
            throw Failure("\(name) has metadata that is no JSON object", code: 64)
        }
        self.init()
        for (field, value) in fields {
            guard let value = MetadataValue(value) else {
                throw Failure(
                    "\(name) has metadata \"\(field)\" that is neither null, a truth value, a number, text nor an array of "
                        + "text", code: 64)
            }
            self[field] = value
        }
    }

    var json: JSONValue { .object(fields.mapValues(\.json)) }
}

extension MetadataValue {
    init?(_ json: JSONValue) {
        switch json {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .integer(let value): self = .integer(value)
        case .double(let value): self = .double(value)
        case .string(let value): self = .string(value)
        case .array(let elements):
            let texts = elements.compactMap(\.stringValue)
            guard texts.count == elements.count else { return nil }
            self = .strings(texts)
        default: return nil
        }
    }

    var json: JSONValue {
        switch self {
        case .null: .null
        case .bool(let value): .bool(value)
        case .integer(let value): .integer(value)
        case .double(let value): .double(value)
        case .string(let value): .string(value)
        case .strings(let values): .array(values.map { .string($0) })
        }
    }
}

extension [Float] {
    var json: JSONValue {
        // Through text, so that 0.1 does not become 0.10000000149011612.
        .array(map { .double(Double("\($0)") ?? Double($0)) })
    }
}

struct VectorCreate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Creates a collection of vectors.",
        discussion: "If there is one already it has to be the same."
    )

    @OptionGroup var vectors: VectorArguments
    @Option(help: "How many elements a vector has.")
    var dimension: Int
    @OptionGroup var shape: VectorShapeOptions
    @Flag(help: "Create the database if there is none.")
    var create = false

    func run() throws {
        let store = try vectors.database.openStoreForWriting(create: create)
        let collection = try shape.collection(vectors.collection, dimension: dimension, in: store)
        guard collection.dimension == dimension else {
            throw Failure(
                "the collection \"\(vectors.collection)\" exists with another dimension: \(collection.dimension)")
        }
        try store.close()
    }
}

struct VectorPut: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "put",
        abstract: "Adds or replaces vectors, durably.",
        discussion: """
            VECTOR is a JSON array, or numbers separated by commas; - reads it from standard input, @FILE from a file. \
            With - or @FILE in place of KEY, and no vector, lines such as {"key": "sea", "vector": [0.9, 0.1], \
            "metadata": {"year": 2021}} are read and committed a thousand at a time.

            The collection is created on first use, with the dimension of the first vector, the database only with \
            --create. A vector of another dimension is refused, as are another metric and another element.
            """
    )

    @OptionGroup var vectors: VectorArguments
    @Argument(help: "The vector's key; - or @FILE for lines of JSON.")
    var key: String
    @Argument(help: "The vector; - for standard input, @FILE for a file.")
    var vector: String?
    @Option(help: "A JSON object of names and values that filters look at.")
    var metadata: String?
    @OptionGroup var shape: VectorShapeOptions
    @Flag(help: "Create the database if there is none.")
    var create = false
    @OptionGroup var json: JSONFlag

    private static let vectorsPerCommit = 1000

    func validate() throws {
        guard vector != nil || key == "-" || key.hasPrefix("@") else { throw ValidationError("Give a vector.") }
        guard vector != nil || metadata == nil else { throw ValidationError("Lines have metadata of their own.") }
    }

    func run() throws {
        if let vector {
            let content = try Content(vector)
            let metadata = try metadata.map {
                try VectorMetadata(JSONValue(argument: $0, "the metadata"), "the vector")
            }
            let item = try VectorItem(
                key, apus_tool.vector(content.text(), content.name), metadata: metadata ?? VectorMetadata())
            let store = try vectors.database.openStoreForWriting(create: create)
            try shape.collection(vectors.collection, dimension: item.vector.count, in: store).upsert([item])
            return try store.close()
        }
        let content = try Content(key)
        let store = try vectors.database.openStoreForWriting(create: create)
        var count = 0
        var waiting: [VectorItem] = []
        // Opened once: opening reads the index.
        var opened: VectorCollection?
        func commit() throws {
            guard let first = waiting.first else { return }
            let collection =
                try opened ?? shape.collection(vectors.collection, dimension: first.vector.count, in: store)
            opened = collection
            try collection.upsert(waiting)
            count += waiting.count
            waiting = []
        }
        try content.forEachJSONLine { line, place in
            waiting.append(try item(line, place))
            if waiting.count == Self.vectorsPerCommit { try commit() }
        }
        try commit()
        try store.close()
        try printLines([json.isOn ? "{\"vectors\":\(count)}" : counted(count, "vector")])
    }

    private func item(_ line: JSONValue, _ place: String) throws -> VectorItem {
        guard let key = line["key"]?.stringValue, let vector = line["vector"] else {
            throw Failure("\(place) is no JSON object with \"key\", a string, and \"vector\", an array", code: 64)
        }
        return try VectorItem(
            key, apus_tool.vector(vector, place),
            metadata: line["metadata"].map { try VectorMetadata($0, place) } ?? VectorMetadata())
    }
}

struct VectorGet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Prints a vector as a JSON array.",
        discussion: "Exits with 1 if there is no vector of that key."
    )

    @OptionGroup var vectors: VectorArguments
    @Argument(help: "The vector's key.")
    var key: String
    @Flag(name: .customLong("json"), help: "Print one JSON object with key, vector and metadata.")
    var json = false

    func run() throws {
        guard let found = try vectors.openForReading().get(key) else { throw vectors.missing(key) }
        let object: JSONValue = [
            "key": .string(found.name), "vector": found.vector.json, "metadata": found.metadata.json,
        ]
        try printLines([json ? object.jsonText : found.vector.json.jsonText])
    }
}

struct VectorDelete: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Deletes vectors, all at once. A key that is absent is no error."
    )

    @OptionGroup var vectors: VectorArguments
    @Argument(help: "Keys of vectors.")
    var keys: [String]
    @OptionGroup var json: JSONFlag

    func run() throws {
        let collection = try vectors.openForChanging()
        let count = try collection.store.transaction { transaction in
            try keys.count { try collection.delete($0, in: transaction) }
        }
        try collection.store.close()
        try printLines([json.isOn ? "{\"deleted\":\(count)}" : counted(count, "vector")])
    }
}

struct VectorList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists the keys of the vectors, in order; apus collections lists collections."
    )

    @OptionGroup var vectors: VectorArguments
    @OptionGroup var limit: LimitOption
    @OptionGroup var json: JSONFlag

    func run() throws {
        let collection = try vectors.openForReading()
        let output = ByteOutput()
        var left = limit.count
        if left > 0 {
            try collection.scanKeys(in: collection.store) { key in
                var line: [UInt8] = []
                if json.isOn {
                    line.append(UInt8(ascii: "{"))
                    appendJSONField("key", key, hex: false, to: &line)
                    line.append(UInt8(ascii: "}"))
                } else {
                    line = Array(displayed(key).utf8)
                }
                try output.write(line + [0x0A])
                left -= 1
                return left > 0 ? .next : .stop
            }
        }
        try output.flush()
    }
}
