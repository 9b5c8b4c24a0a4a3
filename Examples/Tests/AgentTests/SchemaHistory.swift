// A random history of changes to every table, run by the store and by SQLite at once: what succeeds in one succeeds in
// the other, what fails breaks a rule that SQLite names too, and what is left is the same.

import Apus
import ApusSimulation
import ApusStore
import Testing

@testable import agent

final class SchemaHistory {
    let seed: UInt64
    let store: StorePeer
    let sqlite: SQLitePeer
    var random: TestRandom
    /// How often each rule was broken: a history in which nothing fails tests no rule.
    private(set) var violations: [Violation: Int] = [:]
    private(set) var cascades = 0

    init(seed: UInt64) throws {
        self.seed = seed
        random = TestRandom(seed: seed)
        let options = Options(memoryBudget: 4 << 20)
        store = try StorePeer(
            AgentStorage(Store.open(at: "/agent", options: options, environment: Simulation(seed: seed).environment)))
        sqlite = try SQLitePeer()
    }

    // MARK: Changing

    func step() throws {
        let changes = try (0...(random.chance(20) ? random.below(4) : 0)).map { _ in try change() }
        let before = try sqlite.count()
        let expected = try sqlite.run(changes)
        let found = try store.run(changes)
        guard found.count == expected.outcomes.count else {
            return fail("\(expected.outcomes) in SQLite, \(found) in the store", changes)
        }
        for (index, (ours, theirs)) in zip(found, expected.outcomes).enumerated() {
            switch (ours, theirs) {
            case (.violated(let violation), .violated(let first)):
                // Of several rules that are broken either may be named first.
                if !expected.violations.contains(violation) {
                    fail("change \(index): \(violation), but SQLite has \(expected.violations)", changes)
                }
                violations[first, default: 0] += 1
            default:
                if ours != theirs { fail("change \(index): \(theirs) in SQLite, \(ours) in the store", changes) }
            }
        }
        if case .delete? = changes.first, changes.count == 1, try before - sqlite.count() > 1 { cascades += 1 }
    }

    private func fail(_ message: String, _ changes: [Change]) {
        Issue.record("seed \(seed): \(message), for \(changes)")
    }

    private func change() throws -> Change {
        let table = random.element(Tables.all)
        let keys = try sqlite.keys(of: table.name)
        // Tables stay small, so that values collide and references hit.
        let deletes = keys.count > 25 ? 60 : 12
        if !keys.isEmpty, random.chance(deletes) { return .delete(table, key: random.element(keys)) }
        if !keys.isEmpty, random.chance(35) {
            return .update(table, try fields(of: table, key: random.element(keys)))
        }
        return .insert(table, try fields(of: table, key: random.chance(4) ? keys.first : nil))
    }

    private func fields(of table: TablePlan, key: String?) throws -> Fields {
        var fields: Fields = [:]
        for column in table.columns { fields[column.name] = try field(column.kind) }
        if let key { fields["id"] = .text(key) }
        return fields
    }

    private func field(_ kind: ColumnKind) throws -> Field {
        switch kind {
        case .id: return .text(DocumentID(UInt128(random.next()) << 64 | UInt128(random.next())).description)
        case .reference(let table, let isOptional):
            if isOptional, random.chance(40) { return .null }
            let keys = try sqlite.keys(of: table)
            if keys.isEmpty || random.chance(3) {
                return Tables.named(table).hasNamedKey ? .text("nobody") : try field(.id)
            }
            return .text(random.element(keys))
        case .text(let words, let isOptional):
            return isOptional && random.chance(30) ? .null : .text(random.element(words))
        case .choice(let values): return .text(random.chance(2) ? "none of them" : random.element(values))
        case .integer(let range, let isOptional):
            if isOptional, random.chance(30) { return .null }
            // The ends, which may be forbidden, are rare, as long as the range is not small.
            if range.count > 100 {
                return .integer(random.element([range.lowerBound, 1, 384, 768, 8192, range.upperBound]))
            }
            let value = range.lowerBound + Int64(random.below(range.count))
            return .integer(value < 0 && random.chance(80) ? 0 : value)
        case .fraction:
            return .real(
                random.element([0, 0.125, 0.25, 0.5, 0.75, 1, 0.5, 0, 0.25, 1, random.chance(30) ? 1.5 : 0.5]))
        case .bool: return .integer(Int64(random.below(2)))
        case .time(let isOptional):
            return isOptional && random.chance(30) ? .null : .integer(Int64(random.below(50)) * 1000)
        case .strings: return .text(random.element(["[]", "[\"x\"]", "[\"x\",\"y\"]", "[\"y\",\"z\"]"]))
        }
    }

    // MARK: Comparing

    func compareRows() throws {
        for table in Tables.all {
            let (ours, theirs) = (try store.rows(of: table), try sqlite.rows(of: table))
            // SQLite keeps a fraction without digits behind the point as it was given: as a fraction.
            if ours != theirs { Issue.record("seed \(seed): \(table.name) has \(ours), in SQLite \(theirs)") }
        }
    }

    func compareQuery() throws {
        let table = random.element(Tables.all)
        var query = QueryPair(table)
        for _ in 0..<random.below(3) {
            let column = random.element(table.columns)
            let keys = try sqlite.keys(of: table.name)
            let value = column.name == "id" && !keys.isEmpty ? .text(random.element(keys)) : try field(column.kind)
            query.add(column, value, &random)
        }
        let documents = try store.storage.store.documents(named: table.name)
        switch random.below(4) {
        case 0:
            let answer = try documents.query(query.text("count")).answer()
            let expected = try sqlite.lines("SELECT COUNT(*) \(query.sql)", query.arguments)
            #expect(answer == .count(query.integer(expected)), "seed \(seed): \(query.text("count"))")
        case 1:
            let column = random.element(
                table.columns.filter { if case .strings = $0.kind { false } else { true } })
            let (clause, sql) = query.groups(column)
            guard case .groups(let groups) = try documents.query(query.text(clause)).answer() else {
                Issue.record("seed \(seed): \(clause) gave no groups")
                return
            }
            let ours = groups.map { group in
                group.keys.map { Rows.field($0, column.kind) } + group.values.map { Rows.field($0, .time) }
            }
            #expect(try ours == sqlite.lines(sql, query.arguments), "seed \(seed): \(query.text(clause))")
        default:
            let (clause, sql) = query.ordered(&random)
            let text = query.text(clause)
            let ours = try documents.query(text).all().map { Rows.fields($0, table) }
            let theirs = try sqlite.rows(sql, query.arguments)
            #expect(ours == theirs, "seed \(seed): \(text)")
        }
    }
}

extension SQLitePeer {
    /// Of all rows.
    func count() throws -> Int {
        try Tables.all.reduce(0) { try $0 + keys(of: $1.name).count }
    }
}
