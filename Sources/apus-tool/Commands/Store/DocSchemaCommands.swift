// apus doc create, schema, stats, verify: what a collection of documents keeps to.

import Apus
import ApusStore
import ArgumentParser

struct DocCreate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Creates a collection with indexes and rules, or gives it others.",
        discussion: """
            An index is written as explain names it: "owner, time desc", "each tags", "email where active == true". \
            What is declared replaces what was declared before; indexes that are new are built before the command \
            returns. --schema takes everything as one JSON object, in the form that apus doc schema prints.

            Example: apus doc create --create my.apus messages --index "conversation, time" \\
                       --check 'role in ["user", "assistant", "tool"]' --reference conversation=conversations:cascade
            """
    )

    @OptionGroup var docs: DocArguments
    @Option(help: "The whole schema as JSON; - for standard input, @FILE for a file.")
    var schema: String?
    @Option(help: "The field that is the primary key (default: id).")
    var key: String?
    @Option(help: "An index over these fields.")
    var index: [String] = []
    @Option(help: "An index in which no two documents may have the same values.")
    var unique: [String] = []
    @Option(help: "A condition that every document satisfies.")
    var check: [String] = []
    @Option(help: "FIELD=COLLECTION, maybe with :cascade, :restrict or :setNull: the document referred to exists.")
    var reference: [String] = []
    @Flag(help: "Create the database if there is none.")
    var create = false

    func validate() throws {
        guard schema == nil || (key == nil && index.isEmpty && unique.isEmpty && check.isEmpty && reference.isEmpty)
        else {
            throw ValidationError("--schema is all of it; --key, --index, --unique, --check and --reference are parts.")
        }
    }

    func run() throws {
        let text = try schema.map { try Content($0).text() } ?? declared().jsonText
        let parsed: Schema<JSONValue>
        do {
            parsed = try Schema(parsing: text)
        } catch {
            throw Failure("\(error)", code: 64)
        }
        let store = try docs.database.openStoreForWriting(create: create)
        try store.documents(named: docs.collection, schema: parsed).buildIndexes()
        try store.close()
    }

    /// The parts as one schema.
    private func declared() throws -> JSONValue {
        var schema: JSONValue = ["key": .string(key ?? "id")]
        let indexes = try index.map { try Self.index($0, false) } + unique.map { try Self.index($0, true) }
        schema["indexes"] = .array(indexes)
        schema["checks"] = .array(check.map { ["name": .string($0), "condition": .string($0)] })
        schema["references"] = .array(try reference.map(Self.reference))
        return schema
    }

    private static func index(_ text: String, _ isUnique: Bool) throws -> JSONValue {
        var fields = Substring(text)
        var index: JSONValue = ["unique": .bool(isUnique)]
        if let range = text.firstRange(of: " where ") {
            index["where"] = .string(String(text[range.upperBound...]))
            fields = text[..<range.lowerBound]
        }
        index["fields"] = .array(
            try fields.split(separator: ",", omittingEmptySubsequences: false).map { part in
                var words = part.split(separator: " ").map(String.init)
                var field: JSONValue = [:]
                if words.count > 1, words[0] == "each" {
                    field["each"] = true
                    words.removeFirst()
                }
                if words.count > 1, let last = words.last, ["asc", "desc"].contains(last) {
                    if last == "desc" { field["descending"] = true }
                    words.removeLast()
                }
                guard words.count == 1 else {
                    throw Failure(
                        "\"\(text)\" is no index: fields with commas between them, each maybe with desc", code: 64)
                }
                field["path"] = .string(words[0])
                return field
            })
        return index
    }

    private static func reference(_ text: String) throws -> JSONValue {
        let sides = text.split(separator: "=", maxSplits: 1).map(String.init)
        let target = sides.count == 2 ? sides[1].split(separator: ":").map(String.init) : []
        let actions = ["cascade", "restrict", "setNull"]
        guard (1...2).contains(target.count), target.count == 1 || actions.contains(target[1]) else {
            throw Failure(
                "\"\(text)\" is no reference: FIELD=COLLECTION:cascade, :restrict or :setNull", code: 64)
        }
        return [
            "field": .string(sides[0]), "collection": .string(target[0]),
            "onDelete": .string(target.count == 2 ? target[1] : "restrict"),
        ]
    }
}

struct DocSchema: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema",
        abstract: "Prints the schema of a collection as JSON, which create --schema takes."
    )

    @OptionGroup var docs: DocArguments
    @Flag(name: .customLong("json"), help: "Accepted because every command has it: the schema is JSON anyway.")
    var json = false

    func run() throws {
        try printLines([docs.openForReading().schemaText])
    }
}

struct DocStats: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "Shows how many documents a collection has, and its indexes.",
        discussion: "Walks over the keys of the documents."
    )

    @OptionGroup var docs: DocArguments
    @OptionGroup var json: JSONFlag

    private struct Report: Encodable {
        struct Index: Encodable {
            var name: String
            var status: String
        }
        var documents: Int
        var bytes: UInt64
        var indexes: [Index]
    }

    func run() throws {
        let collection = try docs.openForReading()
        let report = Report(
            documents: try collection.query().count(), bytes: collection.store.byteCount(.documents, docs.collection),
            indexes: collection.indexes.map { index in
                let status =
                    switch index.status {
                    case .ready: "ready"
                    case .building: "building"
                    case .failed(let message): "failed: \(message)"
                    }
                return Report.Index(name: index.name, status: status)
            })
        if json.isOn { return try printLines([jsonText(report)]) }
        try printLines(
            ["documents  \(grouped(report.documents))", "on disk    \(byteSize(report.bytes))"]
                + report.indexes.map { "index      \(displayed($0.name.utf8)): \(displayed($0.status.utf8))" })
    }
}

struct DocVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Checks that documents, indexes, rules and references agree.",
        discussion: """
            Reads every byte of the database, as apus verify does, and reports what concerns the collection. \
            Exits with 0 if all is sound and with 2 if something is damaged.
            """
    )

    @OptionGroup var docs: DocArguments
    @OptionGroup var json: JSONFlag

    func run() throws {
        let store = try docs.database.openStoreForReading()
        try store.require(.documents, docs.collection)
        try reportVerification(of: store, .documents, docs.collection, json)
    }
}
