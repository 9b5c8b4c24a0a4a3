// Writes of a history: what the rules of the schema allow, by the model, the store has to allow too, and nothing else.

import Apus

@testable import ApusStore

extension DocumentHistory {
    private struct Refused: Error {}

    /// Does `change` to the store, in a transaction, and `expected` to the model, if the model allows it.
    private func attempt(
        _ what: String, _ expected: (inout ModelState, UInt64) -> Bool, _ change: (StoreTransaction) throws -> Void
    ) throws {
        var after = model
        let isAllowed = expected(&after, store.time)
        note("\(what)\(isAllowed ? "" : ", which is refused")")
        underWay = isAllowed ? after : model
        do {
            try store.transaction { try change($0) }
        } catch let error as StoreError {
            if isAllowed { throw HistoryFailure("\(what): refused: \(error)") }
            return
        }
        guard isAllowed else { throw HistoryFailure("\(what): should have been refused") }
        model = after
    }

    private func randomExpiry() -> UInt64 {
        random.chance(15) ? store.time + UInt64(random.pick([1, 400, 2_000])) : 0
    }

    private func expiry(_ time: UInt64) -> Expiry { time == 0 ? .never : .at(milliseconds: time) }

    // MARK: Owners

    func writeOwner() throws {
        let key = random.below(8)
        let fields: [String: JSONValue] = ["id": JSONValue(key), "title": JSONValue("title \(random.below(3))")]
        let until = randomExpiry()
        let owners = owners!
        try attempt("put owner \(key) until \(until)") { state, time in
            Self.put(owner: key, fields, until, in: &state, at: time)
        } _: { transaction in
            try owners.put(.object(fields), expiry: expiry(until), in: transaction)
        }
    }

    private static func put(
        owner key: Int, _ fields: [String: JSONValue], _ until: UInt64, in state: inout ModelState, at time: UInt64
    ) -> Bool {
        let old = state.owners.live(at: time)[key]
        if let old, until != 0, old.expiry == 0 || until < old.expiry {
            if state.items.live(at: time).values.contains(where: { $0.fields["owner"] == JSONValue(key) }) {
                return false
            }
        }
        state.owners[key] = ModelDocument(fields: fields, version: (old?.version ?? 0) + 1, expiry: until)
        return true
    }

    // MARK: Items

    private func randomItem(_ key: Int) -> [String: JSONValue] {
        var fields: [String: JSONValue] = [
            "id": JSONValue(key), "n": JSONValue(random.below(12) - (random.chance(3) ? 12 : 0)),
        ]
        if random.chance(70) { fields["owner"] = JSONValue(random.below(8)) }
        if random.chance(30) { fields["parent"] = JSONValue(random.below(30)) }
        if random.chance(80) { fields["kind"] = .string(random.pick(["a", "b", "c"])) }
        if random.chance(85) {
            fields["rank"] = random.pick([1, 2, 2.5, -1, 0, 3.0, .null, "x", "xy", true, JSONValue(random.below(50))])
        }
        if random.chance(60) { fields["name"] = .string("name \(random.below(20))") }
        if random.chance(50) {
            fields["tags"] = .array((0..<random.below(4)).map { _ in .string(random.pick(["p", "q", "r"])) })
        }
        return fields
    }

    func writeItem() throws {
        let key = random.below(30)
        let fields = randomItem(key)
        let until = randomExpiry()
        let items = items!
        switch random.below(5) {
        case 0:
            try attempt("insert item \(key) \(fields) until \(until)") { state, time in
                state.items.live(at: time)[key] == nil && Self.put(item: key, fields, until, in: &state, at: time)
            } _: { transaction in
                try items.insert(.object(fields), expiry: expiry(until), in: transaction)
            }
        case 1:
            let expected: UInt64? = random.chance(50) ? UInt64(random.below(3)) : nil
            try attempt("update item \(key) \(fields) until \(until) from \(expected.map(String.init) ?? "any")") {
                state, time in
                guard let old = state.items.live(at: time)[key], expected == nil || expected == old.version else {
                    return false
                }
                return Self.put(item: key, fields, until, in: &state, at: time)
            } _: { transaction in
                try items.update(.object(fields), expecting: expected, expiry: expiry(until), in: transaction)
            }
        case 2:
            try attempt("change item \(key)") { state, time in
                guard let old = state.items.live(at: time)[key] else { return true }
                var changed = old.fields
                changed["rank"] = fields["rank"]
                changed["tags"] = fields["tags"]
                return Self.put(item: key, changed, old.expiry, in: &state, at: time)
            } _: { transaction in
                try items.update(JSONValue(key), in: transaction) { document in
                    document["rank"] = fields["rank"]
                    document["tags"] = fields["tags"]
                }
            }
        case 3:
            let name = random.pick(["rank", "kind", "name", "owner", "n", "tags"])
            guard let value = fields[name] else { return }
            try attempt("set \(name) of item \(key) to \(value)") { state, time in
                guard let old = state.items.live(at: time)[key] else { return true }
                var changed = old.fields
                changed[name] = value
                return Self.put(item: key, changed, old.expiry, in: &state, at: time)
            } _: { transaction in
                try items.set(FieldPath(name), to: value, of: JSONValue(key), in: transaction)
            }
        default:
            try attempt("put item \(key) \(fields) until \(until)") { state, time in
                Self.put(item: key, fields, until, in: &state, at: time)
            } _: { transaction in
                try items.put(.object(fields), expiry: expiry(until), in: transaction)
            }
        }
    }

    private static func put(
        item key: Int, _ fields: [String: JSONValue], _ until: UInt64, in state: inout ModelState, at time: UInt64
    ) -> Bool {
        let live = state.live(at: time)
        let old = live.items[key]
        guard (fields["n"]?.integerValue ?? -1) >= 0 else { return false }
        if let name = fields["name"], live.items.contains(where: { $0.key != key && $0.value.fields["name"] == name }) {
            return false
        }
        for (field, targets) in [("owner", live.owners), ("parent", live.items)] {
            guard let target = fields[field]?.integerValue.map({ Int($0) }) else { continue }
            if field == "parent", target == key { continue }
            if old?.fields[field] == fields[field], old?.expiry == until { continue }
            guard let found = targets[target] else { return false }
            if found.expiry != 0, until == 0 || until > found.expiry { return false }
        }
        if let old, until != 0, old.expiry == 0 || until < old.expiry {
            let isReferred = live.items.contains { $0.key != key && $0.value.fields["parent"] == JSONValue(key) }
            if isReferred { return false }
        }
        state.items[key] = ModelDocument(fields: fields, version: (old?.version ?? 0) + 1, expiry: until)
        return true
    }

    // MARK: Deletions

    func deleteItem() throws {
        let key = random.below(30)
        let items = items!
        try attempt("delete item \(key)") { state, time in
            self.delete(item: key, in: &state, at: time)
        } _: { transaction in
            try items.delete(JSONValue(key), in: transaction)
        }
    }

    func deleteOwner() throws {
        let key = random.below(8)
        let owners = owners!
        try attempt("delete owner \(key)") { state, time in
            guard state.owners.live(at: time)[key] != nil else { return true }
            state.owners[key] = nil
            return self.forget("owner", key, self.ownerAction, in: &state, at: time)
        } _: { transaction in
            try owners.delete(JSONValue(key), in: transaction)
        }
    }

    private func delete(item key: Int, in state: inout ModelState, at time: UInt64) -> Bool {
        guard state.items.live(at: time)[key] != nil else { return true }
        state.items[key] = nil
        return forget("parent", key, parentAction, in: &state, at: time)
    }

    /// What happens to the items whose `field` was the key. False if one is left that refers to what is gone.
    private func forget(
        _ field: String, _ key: Int, _ action: ReferenceAction, in state: inout ModelState, at time: UInt64
    ) -> Bool {
        var gone = [(field, key, action)]
        var restrictions: [(String, Int)] = []
        while let (field, key, action) = gone.popLast() {
            for (referrer, item) in state.items.live(at: time) where item.fields[field] == JSONValue(key) {
                switch action {
                case .restrict: break
                case .setNull:
                    var changed = item
                    changed.fields[field] = .null
                    changed.version += 1
                    state.items[referrer] = changed
                case .cascade:
                    state.items[referrer] = nil
                    gone.append(("parent", referrer, parentAction))
                }
            }
            if action == .restrict { restrictions.append((field, key)) }
        }
        return restrictions.allSatisfy { field, key in
            !state.items.live(at: time).values.contains { $0.fields[field] == JSONValue(key) }
        }
    }

    // MARK: Transactions

    /// Several writes that are committed together, or given up.
    func runTransaction() throws {
        let keys = (0..<5).map { _ in random.below(30) }
        let contents = keys.map { key in
            var fields = randomItem(key)
            fields["name"] = nil
            fields["parent"] = nil
            fields["owner"] = nil
            fields["n"] = 1
            return fields
        }
        let removed = random.below(30)
        let isGivenUp = random.chance(30)
        let items = items!
        note("transaction: put items \(keys), delete \(removed)\(isGivenUp ? ", given up" : "")")
        var after = model
        let time = store.time
        var isAllowed = zip(keys, contents).allSatisfy { Self.put(item: $0, $1, 0, in: &after, at: time) }
        isAllowed = isAllowed && delete(item: removed, in: &after, at: time)
        underWay = isAllowed && !isGivenUp ? after : model
        do {
            try store.transaction { transaction in
                for fields in contents { try items.put(.object(fields), in: transaction) }
                try items.delete(JSONValue(removed), in: transaction)
                let count = try items.query(in: transaction).count()
                guard count == after.items.live(at: time).count else {
                    throw HistoryFailure("a transaction counts \(count) items, not \(after.items.live(at: time).count)")
                }
                if isGivenUp { throw Refused() }
            }
        } catch is Refused {
            return
        } catch let error as StoreError {
            if isAllowed { throw HistoryFailure("the transaction was refused: \(error)") }
            return
        }
        guard isAllowed else { throw HistoryFailure("the transaction should have been refused") }
        model = after
    }
}
