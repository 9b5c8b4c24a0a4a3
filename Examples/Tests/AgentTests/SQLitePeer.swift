// SQLite, through GRDB: runs the operations, says which rules they break, and answers queries.

import GRDB

/// Which rule an operation breaks.
enum Violation: String, Hashable {
    case primaryKey, unique, check, reference, restriction
}

/// A change of one row.
enum Change {
    case insert(TablePlan, Fields)
    case update(TablePlan, Fields)
    case delete(TablePlan, key: String)
}

/// What came of it.
enum Outcome: Equatable {
    case done
    /// There is nothing with that key.
    case absent
    case violated(Violation)
}

final class SQLitePeer {
    private let queue: DatabaseQueue
    /// Column lists of the unique indexes, and the references, of each table: from SQLite's own catalogue.
    private var uniques: [String: [[String]]] = [:]
    private var references: [String: [(column: String, table: String)]] = [:]

    init() throws {
        queue = try DatabaseQueue()
        try queue.write { db in
            try db.execute(sql: SQLiteSchema.text)
            for table in Tables.all.map(\.name) {
                let indexes = try Row.fetchAll(db, sql: "PRAGMA index_list(\"\(table)\")")
                uniques[table] = try indexes.filter { $0["unique"] && $0["origin"] == "u" }.map { index in
                    let name: String = index["name"]
                    return try String.fetchAll(db, sql: "SELECT name FROM pragma_index_info('\(name)') ORDER BY seqno")
                }
                references[table] = try Row.fetchAll(db, sql: "PRAGMA foreign_key_list(\"\(table)\")")
                    .map { ($0["from"], $0["table"]) }
            }
        }
    }

    // MARK: Changing

    /// Runs the changes in one transaction, until one fails. Every rule that the failing one breaks is in `violations`.
    func run(_ changes: [Change]) throws -> (outcomes: [Outcome], violations: Set<Violation>) {
        var outcomes: [Outcome] = []
        var violations: Set<Violation> = []
        try queue.inTransaction { db in
            for change in changes {
                violations = try broken(by: change, db)
                let outcome = try apply(change, db)
                outcomes.append(outcome)
                if case .violated(let violation) = outcome {
                    violations.insert(violation)
                    return .rollback
                }
            }
            return .commit
        }
        return (outcomes, violations)
    }

    private func apply(_ change: Change, _ db: Database) throws -> Outcome {
        do {
            switch change {
            case .insert(let table, let fields):
                let names = table.columns.map { "\"\($0.name)\"" }.joined(separator: ", ")
                let marks = table.columns.map { _ in "?" }.joined(separator: ", ")
                try db.execute(
                    sql: "INSERT INTO \"\(table.name)\" (\(names)) VALUES (\(marks))",
                    arguments: arguments(table, fields))
            case .update(let table, let fields):
                let sets = table.columns.map { "\"\($0.name)\" = ?" }.joined(separator: ", ")
                try db.execute(
                    sql: "UPDATE \"\(table.name)\" SET \(sets) WHERE id = ?",
                    arguments: arguments(table, fields) + [value(fields["id"] ?? .null)])
            case .delete(let table, let key):
                try db.execute(sql: "DELETE FROM \"\(table.name)\" WHERE id = ?", arguments: [key])
            }
            return db.changesCount > 0 ? .done : .absent
        } catch let error as DatabaseError where error.resultCode == .SQLITE_CONSTRAINT {
            switch error.extendedResultCode {
            case .SQLITE_CONSTRAINT_CHECK: return .violated(.check)
            case .SQLITE_CONSTRAINT_PRIMARYKEY: return .violated(.primaryKey)
            case .SQLITE_CONSTRAINT_UNIQUE: return .violated(.unique)
            case .SQLITE_CONSTRAINT_FOREIGNKEY:
                if case .delete = change { return .violated(.restriction) }
                return .violated(.reference)
            default: throw error
            }
        }
    }

    /// What SQLite would complain of beside the first thing: it reports only that.
    private func broken(by change: Change, _ db: Database) throws -> Set<Violation> {
        let table: TablePlan
        let fields: Fields
        let isInsert: Bool
        switch change {
        case .insert(let some, let values): (table, fields, isInsert) = (some, values, true)
        case .update(let some, let values): (table, fields, isInsert) = (some, values, false)
        case .delete: return []
        }
        var broken: Set<Violation> = []
        let key = value(fields["id"] ?? .null)
        let exists = try exists(db, "\"\(table.name)\" WHERE id = ?", [key])
        if isInsert && exists { broken.insert(.primaryKey) }
        if !isInsert && !exists { return [] }
        for columns in uniques[table.name] ?? [] {
            let values = columns.map { value(fields[$0] ?? .null) }
            let equal = columns.map { "\"\($0)\" = ?" }.joined(separator: " AND ")
            if try self.exists(db, "\"\(table.name)\" WHERE \(equal) AND id <> ?", StatementArguments(values + [key])) {
                broken.insert(.unique)
            }
        }
        for (column, target) in references[table.name] ?? [] {
            let value = value(fields[column] ?? .null)
            if value.isNull || target == table.name && value == key { continue }
            if try !self.exists(db, "\"\(target)\" WHERE id = ?", [value]) { broken.insert(.reference) }
        }
        return broken
    }

    private func exists(_ db: Database, _ from: String, _ arguments: StatementArguments) throws -> Bool {
        try Bool.fetchOne(db, sql: "SELECT EXISTS (SELECT 1 FROM \(from))", arguments: arguments) ?? false
    }

    private func arguments(_ table: TablePlan, _ fields: Fields) -> StatementArguments {
        StatementArguments(table.columns.map { value(fields[$0.name] ?? .null) })
    }

    private func value(_ field: Field) -> DatabaseValue {
        switch field {
        case .null: .null
        case .integer(let value): value.databaseValue
        case .real(let value): value.databaseValue
        case .text(let value): value.databaseValue
        }
    }

    // MARK: Reading

    func keys(of table: String) throws -> [String] {
        try queue.read { try String.fetchAll($0, sql: "SELECT id FROM \"\(table)\" ORDER BY id") }
    }

    func rows(of table: TablePlan) throws -> [Fields] {
        try rows("SELECT * FROM \"\(table.name)\" ORDER BY id", [])
    }

    func rows(_ sql: String, _ arguments: [Field]) throws -> [Fields] {
        try queue.read { db in
            try Row.fetchAll(db, sql: sql, arguments: StatementArguments(arguments.map(value))).map { row in
                Fields(row.map { ($0.0, Self.field($0.1)) }) { first, _ in first }
            }
        }
    }

    /// The columns of each row, in their order.
    func lines(_ sql: String, _ arguments: [Field]) throws -> [[Field]] {
        try queue.read { db in
            try Row.fetchAll(db, sql: sql, arguments: StatementArguments(arguments.map(value))).map { row in
                row.map { Self.field($0.1) }
            }
        }
    }

    func execute(_ sql: String, _ arguments: [Field]) throws {
        try queue.write { try $0.execute(sql: sql, arguments: StatementArguments(arguments.map(value))) }
    }

    private static func field(_ value: DatabaseValue) -> Field {
        switch value.storage {
        case .null: .null
        case .int64(let value): .integer(value)
        case .double(let value): .real(value)
        case .string(let value): .text(value)
        case .blob: .null
        }
    }
}
