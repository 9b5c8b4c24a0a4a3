// Queries of a history: random conditions, orders, limits and groups, against every document of the model looked at.

import Apus

@testable import ApusStore

extension DocumentHistory {
    private func constant(_ path: FieldPath) -> JSONValue {
        switch path.description {
        case "id", "owner", "parent", "n": JSONValue(random.below(12))
        case "kind": .string(random.pick(["a", "b", "c"]))
        case "name": .string("name \(random.below(20))")
        default: random.pick([1, 2, 2.5, -1, 0, 3.0, .null, "x", true, JSONValue(random.below(50))])
        }
    }

    private func condition(_ depth: Int) -> Expression {
        let path: FieldPath = random.pick(["id", "owner", "parent", "n", "kind", "kind", "rank", "rank", "name"])
        switch random.below(depth > 2 ? 7 : 14) {
        case 0..<3: return .compare(path, .equal, constant(path))
        case 3..<5: return .compare(path, random.pick(Comparison.allCases), constant(path))
        case 5: return .contains("tags", .string(random.pick(["p", "q", "r"])))
        case 6:
            return random.chance(50)
                ? .among(path, (0..<random.below(4)).map { _ in constant(path) })
                : .text("name", random.pick(TextMatch.allCases), random.pick(["name", "name 1", "1", ""]))
        case 7..<11: return .conjunction([condition(depth + 1), condition(depth + 1)])
        case 11, 12: return .disjunction([condition(depth + 1), condition(depth + 1)])
        default: return .not(condition(depth + 1))
        }
    }

    func query() throws {
        var specification = QuerySpecification()
        if random.chance(90) { specification.condition = condition(0) }
        let paths: [FieldPath] = ["id", "owner", "n", "kind", "rank", "name"]
        for _ in 0..<random.below(3) {
            specification.order.append(
                SortKey(path: random.pick(paths), order: random.chance(50) ? .ascending : .descending))
        }
        if random.chance(40) { specification.limit = random.below(10) }
        if random.chance(20) { specification.offset = random.below(10) }
        note("query \(specification.condition) by \(specification.order)")
        let live = model.items.live(at: store.time)
        let expected = live.filter { specification.condition.holds($0.value) }
        var query = items.query()
        query.specification = specification
        let plan = try query.explain(running: false)
        do {
            try compareDocuments(query, expected)
            try compareAnswers(query, expected)
        } catch let failure as HistoryFailure {
            throw HistoryFailure("\(failure) (\(plan))")
        }
        if random.chance(20) {
            // The text of the condition asks the same.
            let text = "count where \(specification.condition)"
            guard try items.query(text).answer() == .count(expected.count) else {
                throw HistoryFailure("\(text): not \(expected.count)")
            }
        }
    }

    private func compareDocuments(_ query: DocumentQuery<JSONValue>, _ expected: ModelCollection) throws {
        let specification = query.specification
        let found = try query.all().map { ModelDocument(fields: $0.objectValue ?? [:], version: 0, expiry: 0) }
        let keys = found.compactMap { $0.fields["id"]?.integerValue.map { Int($0) } }
        guard Set(keys).count == found.count else { throw HistoryFailure("a document was found twice: \(keys)") }
        for (key, document) in zip(keys, found) where expected[key]?.fields != document.fields {
            throw HistoryFailure("found \(document.fields), not \(expected[key]?.fields ?? [:])")
        }
        func order(_ document: ModelDocument) -> [JSONValue] { specification.order.map { document.value($0.path) } }
        func isBefore(_ a: [JSONValue], _ b: [JSONValue]) -> Bool {
            for (index, key) in specification.order.enumerated() {
                let order = ModelOrder.compare(a[index], b[index])
                if order != 0 { return key.order == .ascending ? order < 0 : order > 0 }
            }
            return false
        }
        let sorted = expected.values.map(order).sorted(by: isBefore)
        let wanted = Array(sorted.dropFirst(specification.offset).prefix(specification.limit ?? .max))
        // Among equals any order is right.
        guard found.count == wanted.count,
            zip(found.map(order), wanted).allSatisfy({ !isBefore($0, $1) && !isBefore($1, $0) })
        else { throw HistoryFailure("found in the order \(found.map(order)), not \(wanted)") }
    }

    private func compareAnswers(_ query: DocumentQuery<JSONValue>, _ expected: ModelCollection) throws {
        let limit = query.specification.limit ?? .max
        let count = min(max(0, expected.count - query.specification.offset), limit)
        guard try query.count() == count else { throw HistoryFailure("counts \(try query.count()), not \(count)") }
        guard random.chance(40) else { return }
        var all = query
        all.specification.limit = nil
        all.specification.offset = 0
        let isDescending = random.chance(50)
        all.specification.order = isDescending ? [SortKey(path: "kind", order: .descending)] : []
        let groups = try all.grouped(
            byFields: "kind", computing: .count, .sum("n"), .min("n"), .max("n"), .average("n"))
        let kinds = Set(expected.values.map { $0.value("kind") })
        let sorted = kinds.sorted { ModelOrder.compare($0, $1) < 0 }
        guard groups.map(\.key) == (isDescending ? sorted.reversed() : sorted) else {
            throw HistoryFailure("groups \(groups.map(\.key)), not \(kinds)")
        }
        for group in groups {
            let numbers = expected.values.filter { $0.value("kind") == group.key }.compactMap {
                $0.value("n").integerValue
            }
            let sum = numbers.reduce(0, +)
            let values: [JSONValue] = [
                JSONValue(numbers.count), JSONValue(sum), JSONValue(numbers.min()!), JSONValue(numbers.max()!),
                .double(Double(sum) / Double(numbers.count)),
            ]
            guard group.values == values else { throw HistoryFailure("group \(group), not \(values)") }
        }
        guard try all.distinct(byField: "kind") == groups.map(\.key) else {
            throw HistoryFailure("distinct values are not those grouped by")
        }
    }
}
