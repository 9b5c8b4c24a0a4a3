// The store: the same operations on the agent's own types. Rows whose enumerations no type can hold go in as documents
// without a type, under the same rules.

import ApusStore
import Foundation

@testable import agent

/// One collection behind a form that has no type.
struct StoreTable {
    var insert: (Fields, StoreTransaction) throws -> Void
    var update: (Fields, StoreTransaction) throws -> Void
    var delete: (String, StoreTransaction) throws -> Bool
    /// Every document, decoded into its type.
    var all: () throws -> [Fields]

    init<Root: Document>(_ documents: Documents<Root>, key: @escaping (String) -> Root.ID) throws {
        let plan = Tables.named(documents.name)
        let untyped = try documents.store.documents(named: documents.name)
        insert = { fields, transaction in
            if let typed = try? Rows.decode(Root.self, fields, plan) {
                try documents.insert(typed, in: transaction)
            } else {
                try untyped.insert(Rows.json(fields, plan), in: transaction)
            }
        }
        update = { fields, transaction in
            if let typed = try? Rows.decode(Root.self, fields, plan) {
                try documents.update(typed, in: transaction)
            } else {
                try untyped.update(Rows.json(fields, plan), in: transaction)
            }
        }
        delete = { try documents.delete(key($0), in: $1) }
        all = { try documents.query().sorted(byField: "id").all().map { try Rows.fields($0, plan) } }
    }
}

struct StorePeer {
    let storage: AgentStorage
    private var tables: [String: StoreTable] = [:]

    init(_ storage: AgentStorage) throws {
        self.storage = storage
        try add(storage.conversations)
        try add(storage.messages)
        try add(storage.toolCalls)
        try add(storage.attachments)
        try add(storage.compactions)
        try add(storage.components)
        try add(storage.documentation)
        try add(storage.decisions)
        try add(storage.patterns)
        try add(storage.effectiveness)
        try add(storage.files)
        try add(storage.relationships)
        try add(storage.changes)
        try add(storage.accesses)
        try add(storage.scores)
        try add(storage.relevance)
        try add(storage.snippets)
        tables["SearchIndex"] = try StoreTable(storage.searchIndexes) { $0 }
        try add(storage.embeddings)
    }

    private mutating func add<Root: Document>(_ documents: Documents<Root>) throws where Root.ID == DocumentID {
        tables[documents.name] = try StoreTable(documents) { DocumentID($0)! }
    }

    /// Runs the changes in one transaction, until one fails.
    func run(_ changes: [Change]) throws -> [Outcome] {
        struct Failed: Error {}
        var outcomes: [Outcome] = []
        do {
            try storage.store.transaction { transaction in
                outcomes = []
                for change in changes {
                    let outcome = try apply(change, transaction)
                    outcomes.append(outcome)
                    if case .violated = outcome { throw Failed() }
                }
            }
        } catch is Failed {}
        return outcomes
    }

    private func apply(_ change: Change, _ transaction: StoreTransaction) throws -> Outcome {
        do {
            switch change {
            case .insert(let table, let fields): try tables[table.name]!.insert(fields, transaction)
            case .update(let table, let fields): try tables[table.name]!.update(fields, transaction)
            case .delete(let table, let key): return try tables[table.name]!.delete(key, transaction) ? .done : .absent
            }
            return .done
        } catch let error as StoreError {
            if error.kind == .notFound { return .absent }
            guard let constraint = error.constraint else { throw error }
            switch constraint {
            case .primaryKey: return .violated(.primaryKey)
            case .unique: return .violated(.unique)
            case .check: return .violated(.check)
            case .reference: return .violated(.reference)
            case .restriction: return .violated(.restriction)
            }
        }
    }

    func rows(of table: TablePlan) throws -> [Fields] { try tables[table.name]!.all() }
}

/// Rows as documents, and back.
enum Rows {
    static func decode<Root: Document>(_ type: Root.Type, _ fields: Fields, _ plan: TablePlan) throws -> Root {
        var object: [String: Any] = [:]
        for column in plan.columns {
            switch (column.kind, fields[column.name] ?? .null) {
            case (_, .null): continue
            case (.bool, .integer(let value)): object[column.name] = value != 0
            case (.strings, .text(let text)):
                object[column.name] = try JSONSerialization.jsonObject(with: Data(text.utf8))
            case (_, .integer(let value)): object[column.name] = value
            case (_, .real(let value)): object[column.name] = value
            case (_, .text(let value)): object[column.name] = value
            }
        }
        return try JSONDecoder().decode(type, from: JSONSerialization.data(withJSONObject: object))
    }

    static func fields(_ document: some Document, _ plan: TablePlan) throws -> Fields {
        fields(try JSONValue(parsing: String(decoding: JSONEncoder().encode(document), as: UTF8.self)), plan)
    }

    static func fields(_ json: JSONValue, _ plan: TablePlan) -> Fields {
        Fields(uniqueKeysWithValues: plan.columns.map { ($0.name, field(json[$0.name] ?? .null, $0.kind)) })
    }

    static func field(_ json: JSONValue, _ kind: ColumnKind) -> Field {
        switch (kind, json) {
        case (.fraction, _): json.doubleValue.map { .real($0) } ?? .null
        case (_, .null), (_, .object): .null
        case (_, .bool(let value)): .integer(value ? 1 : 0)
        case (_, .integer(let value)): .integer(value)
        case (_, .unsigned(let value)): .integer(Int64(clamping: value))
        case (_, .double(let value)): .real(value)
        case (_, .date(let value)): .integer(value.milliseconds)
        case (_, .string(let value)): .text(value)
        case (_, .id(let value)): .text(value.description)
        case (_, .bytes), (_, .array): .text(json.jsonText)
        }
    }

    static func json(_ fields: Fields, _ plan: TablePlan) -> JSONValue {
        var object: JSONValue = [:]
        for column in plan.columns { object[column.name] = constant(fields[column.name] ?? .null, column.kind) }
        return object
    }

    /// The value that a field is in the store.
    static func constant(_ field: Field, _ kind: ColumnKind) -> JSONValue {
        switch (kind, field) {
        case (_, .null): .null
        case (.time, .integer(let value)): .date(Timestamp(milliseconds: value))
        case (.bool, .integer(let value)): .bool(value != 0)
        case (.id, .text(let text)): DocumentID(text).map { .id($0) } ?? .null
        case (.reference(let table, _), .text(let text)) where !Tables.named(table).hasNamedKey:
            DocumentID(text).map { .id($0) } ?? .null
        case (.strings, .text(let text)): (try? JSONValue(parsing: text)) ?? .null
        case (_, .integer(let value)): .integer(value)
        case (_, .real(let value)): .double(value)
        case (_, .text(let text)): .string(text)
        }
    }
}
