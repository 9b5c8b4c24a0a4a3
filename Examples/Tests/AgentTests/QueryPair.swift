// One question in both languages.

import ApusStore

struct QueryPair {
    let table: TablePlan
    private var conditions: [String] = []
    private var sqlConditions: [String] = []
    private(set) var arguments: [Field] = []

    init(_ table: TablePlan) { self.table = table }

    /// Adds a comparison of a column with a value.
    mutating func add(_ column: ColumnPlan, _ value: Field, _ random: inout TestRandom) {
        let name = "`\(column.name)`"
        let sqlName = "\"\(column.name)\""
        if case .strings = column.kind {
            conditions.append("\(name) contains \"y\"")
            sqlConditions.append("EXISTS (SELECT 1 FROM json_each(\(sqlName)) WHERE value = 'y')")
            return
        }
        guard value != .null else {
            conditions.append("\(name) is null")
            sqlConditions.append("\(sqlName) IS NULL")
            return
        }
        let constant = text(of: value, column.kind)
        let isOrdered = if case .bool = column.kind { false } else { true }
        // A field that is null equals nothing, so it is unequal to everything: what SQLite calls IS NOT.
        let operators = [
            ("==", "="), ("==", "="), ("!=", "IS NOT"), ("<", "<"), ("<=", "<="), (">", ">"), (">=", ">="),
        ]
        let (ours, theirs) = operators[random.below(isOrdered ? operators.count : 3)]
        if ours == "==", random.chance(20) {
            conditions.append("not (\(name) == \(constant))")
            sqlConditions.append("\(sqlName) IS NOT ?")
        } else {
            conditions.append("\(name) \(ours) \(constant)")
            sqlConditions.append("\(sqlName) \(theirs) ?")
        }
        arguments.append(value)
    }

    private func text(of value: Field, _ kind: ColumnKind) -> String {
        switch Rows.constant(value, kind) {
        case .date(let time): "date(\"\(time)\")"
        case .id(let id): "id(\"\(id)\")"
        case let other: other.jsonText
        }
    }

    func text(_ clause: String) -> String {
        conditions.isEmpty ? clause : "\(conditions.joined(separator: " and ")) \(clause)"
    }

    var sql: String {
        let condition = sqlConditions.isEmpty ? "" : " WHERE \(sqlConditions.joined(separator: " AND "))"
        return "FROM \"\(table.name)\"\(condition)"
    }

    /// Groups by a column, with the number, and the least and greatest time or key of each.
    func groups(_ column: ColumnPlan) -> (text: String, sql: String) {
        let sqlName = "\"\(column.name)\""
        let integers = table.columns.filter { if case .integer = $0.kind { true } else { false } }
        let other = (integers.first ?? table.columns[0]).name
        let sum = integers.isEmpty ? "" : ", sum(`\(other)`)"
        let sqlSum = integers.isEmpty ? "" : ", SUM(\"\(other)\")"
        return (
            "group by `\(column.name)`: count, min(`\(other)`), max(`\(other)`)\(sum)",
            "SELECT \(sqlName), COUNT(*), MIN(\"\(other)\"), MAX(\"\(other)\")\(sqlSum) \(sql) GROUP BY \(sqlName) "
                + "ORDER BY \(sqlName)"
        )
    }

    /// An order that leaves nothing open, and a part of the answer.
    func ordered(_ random: inout TestRandom) -> (text: String, sql: String) {
        var order: [String] = []
        var sqlOrder: [String] = []
        for _ in 0..<random.below(3) {
            let column = random.element(table.columns)
            if case .strings = column.kind { continue }
            let direction = random.chance(50) ? " desc" : ""
            order.append("`\(column.name)`\(direction)")
            sqlOrder.append("\"\(column.name)\"\(direction)")
        }
        var text = "order by \((order + ["id"]).joined(separator: ", "))"
        var end = " ORDER BY \((sqlOrder + ["id"]).joined(separator: ", "))"
        if random.chance(50) {
            let (limit, offset) = (random.below(10), random.below(4))
            text += " limit \(limit) offset \(offset)"
            end += " LIMIT \(limit) OFFSET \(offset)"
        }
        return (text, "SELECT * \(sql)\(end)")
    }

    func integer(_ lines: [[Field]]) -> Int {
        if case .integer(let value)? = lines.first?.first { Int(value) } else { -1 }
    }
}
