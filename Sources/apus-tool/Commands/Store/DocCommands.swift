// apus doc: documents as JSON, by key. Queries are in DocQueryCommands.swift, schemas in DocSchemaCommands.swift.

import Apus
import ApusStore
import ArgumentParser

struct DocCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doc",
        abstract: "JSON documents with keys, indexes and rules, found again by queries.",
        discussion: """
            Collections that a program has made from Swift types are read and written by the same commands, under the \
            same rules.

            Example: apus doc put --create my.apus notes '{"id": 1, "text": "hello"}'
                     apus doc query my.apus notes 'text starts with "h" order by id desc limit 5'
            """,
        subcommands: [
            DocCreate.self, DocPut.self, DocGet.self, DocDelete.self, DocQuery.self, DocExplain.self, DocList.self,
            DocStats.self, DocSchema.self, DocVerify.self,
        ]
    )
}

struct DocArguments: ParsableArguments {
    @OptionGroup var database: DatabaseArgument
    @Argument(help: "The collection.")
    var collection: String

    func openForReading() throws -> JSONDocuments { try existing(database.openStoreForReading()) }
    func openForChanging() throws -> JSONDocuments { try existing(database.openStoreForChanging()) }

    private func existing(_ store: Store) throws -> JSONDocuments {
        try store.require(.documents, collection)
        return try store.documents(named: collection)
    }
}

extension JSONDocuments {
    private var schema: JSONValue { (try? JSONValue(parsing: schemaText)) ?? .null }

    /// The name of the field that is the primary key.
    var keyField: String { schema["key"]?.stringValue ?? "id" }

    /// The keys that an argument may mean: 7 is a number where keys may be numbers, and text where there is no such
    /// number.
    func keys(_ argument: String) -> [JSONValue] {
        let text = JSONValue.string(argument)
        switch schema["keyKind"]?.stringValue {
        case "string", "id", "date": return [text]
        case "any":
            if let id = DocumentID(argument) { return [.id(id), text] }
            return [try? JSONValue(parsing: argument), text].compactMap { $0 }.filter { !$0.isContainer }
        default: return [(try? JSONValue(parsing: argument)) ?? text]
        }
    }

    /// The key of a document in the collection that an argument names; nil if there is none.
    func existingKey(_ argument: String, in reader: any StoreReader) throws -> JSONValue? {
        try keys(argument).first { try contains($0, in: reader) }
    }
}

extension JSONValue {
    fileprivate var isContainer: Bool { isNull || arrayValue != nil || objectValue != nil }

    /// For a line of text: strings, identifiers and times as they are.
    var plainLine: String {
        switch self {
        case .id(let id): id.description
        case .date(let time): time.description
        default: displayed((stringValue ?? jsonText).utf8)
        }
    }
}

struct DocPut: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "put",
        abstract: "Adds or replaces documents, durably.",
        discussion: """
            DOCUMENT is a JSON object; - reads one per line from standard input, @FILE from a file. A document without \
            a key gets a new one. Keys are printed for a document given as argument, their number for lines. Lines are \
            committed a thousand at a time: if one is refused, those of its thousand are not written either.

            The collection is created on first use, the database only with --create.
            """
    )

    @OptionGroup var docs: DocArguments
    @Argument(help: "A JSON object; - for standard input, @FILE for a file.")
    var document: String
    @Flag(help: "Create the database if there is none.")
    var create = false
    @Flag(help: "Refuse documents whose key is there already.")
    var insert = false
    @OptionGroup var json: JSONFlag

    private static let documentsPerCommit = 1000

    private struct Report: Encodable {
        var documents: Int
    }

    func run() throws {
        let content = try Content(document)
        let store = try docs.database.openStoreForWriting(create: create)
        let collection =
            try store.listCollections().contains { $0.kind == .documents && $0.name == docs.collection }
            ? store.documents(named: docs.collection) : store.documents(named: docs.collection, schema: Schema())
        var count = 0
        var keys: [JSONValue] = []
        var waiting: [(document: JSONValue, place: String)] = []
        func commit() throws {
            keys = try store.transaction { transaction in
                try waiting.map { try put($0.document, $0.place, collection, transaction) }
            }
            count += keys.count
            waiting = []
        }
        try content.forEachJSONLine { document, place in
            guard document.objectValue != nil else { throw Failure("\(place) is no JSON object", code: 64) }
            waiting.append((document, place))
            if waiting.count == Self.documentsPerCommit { try commit() }
        }
        if !waiting.isEmpty { try commit() }
        try store.close()
        if case .literal = content {
            try printLines(keys.map { json.isOn ? "{\"key\":\($0.jsonText)}" : $0.plainLine })
        } else {
            try printLines([json.isOn ? jsonLine(Report(documents: count)) : counted(count, "document")])
        }
    }

    private func put(
        _ document: JSONValue, _ place: String, _ collection: JSONDocuments, _ transaction: StoreTransaction
    ) throws -> JSONValue {
        do {
            let key = collection.keyField.split(separator: ".").reduce(document) { $0[String($1)] ?? .null }
            if insert || key.isNull { return try collection.insert(document, in: transaction) }
            try collection.put(document, in: transaction)
            return key
        } catch let error as StoreError where error.kind != .corruption {
            throw Failure(place == "the argument" ? "\(error)" : "\(place): \(error)")
        }
    }
}

struct DocGet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Prints a document as JSON, in one line.",
        discussion: "Exits with 1 if there is no document with that key."
    )

    @OptionGroup var docs: DocArguments
    @Argument(help: "The document's key.")
    var key: String
    @Flag(name: .customLong("json"), help: "Print an object with the document, its version and expiry.")
    var json = false

    func run() throws {
        let collection = try docs.openForReading()
        guard let key = try collection.existingKey(key, in: collection.store),
            let found = try collection.getVersioned(key)
        else {
            throw Failure(
                "there is no document \"\(shortened(displayed(key.utf8)))\" in collection \"\(docs.collection)\"")
        }
        guard json else { return try printLines([found.document.jsonText]) }
        let object: JSONValue = [
            "document": found.document, "version": JSONValue(found.version),
            "expires": found.expiry.map { .string(readableTime($0)) } ?? .null,
        ]
        try printLines([object.jsonText])
    }
}

struct DocDelete: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Deletes documents, and does what references to them demand: all at once.",
        discussion: """
            Give keys, or a condition by --where, or --all. A key that is absent is no error. Prints how many documents \
            there were, not counting those that a reference has taken along.
            """
    )

    @OptionGroup var docs: DocArguments
    @Argument(help: "Keys of documents.")
    var keys: [String] = []
    @Option(name: .customLong("where"), help: "Delete the documents that satisfy this condition.")
    var condition: String?
    @Flag(help: "Delete every document.")
    var all = false
    @OptionGroup var json: JSONFlag

    func validate() throws {
        guard [!keys.isEmpty, condition != nil, all].count(where: { $0 }) == 1 else {
            throw ValidationError("Give either keys, or a condition (--where), or --all.")
        }
    }

    func run() throws {
        let collection = try docs.openForChanging()
        let store = collection.store
        let condition = try condition.map { try Condition<JSONValue>($0) }
        let count = try store.transaction { transaction in
            if keys.isEmpty {
                return try collection.query(in: transaction).filter(condition ?? .always).delete()
            }
            return try keys.count { key in
                try collection.existingKey(key, in: transaction).map {
                    try collection.delete($0, in: transaction)
                } ?? false
            }
        }
        try store.close()
        try printLines([json.isOn ? "{\"deleted\":\(count)}" : counted(count, "document")])
    }
}
