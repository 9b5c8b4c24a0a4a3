// Choosing how a query is answered: for each index (and the primary key, which is one) it is asked how many of the
// query's conditions it answers by its order, and whether it has the documents in the order wanted. The best one is
// walked; what it does not answer is asked of each document.
//
// 1. The leading fields of an index that are compared for equality form prefixes (several for `in`).
// 2. The next field may be compared in any way that is a range.
// 3. The fields after the equal ones give the order, in one direction or the other.
// 4. A partial index serves only queries that demand its own condition, word for word.

import Apus

struct QueryPlan {
    enum Access {
        /// Every document, or a range of primary keys.
        case documents
        case index(DocumentIndex)
    }

    var access: Access
    /// Walked one after the other.
    var ranges: [KeyRange]
    var isReversed = false
    /// What is still asked of each document.
    var residual: Expression
    /// The walk has the order that the query wants.
    var isSorted: Bool
    /// What the index answers, for people.
    var answered: [Expression] = []

    /// Entries alone answer how many documents there are.
    var countsEntries: Bool { residual == .always }
}

struct QueryPlanner {
    let schema: SchemaDefinition
    let specification: QuerySpecification
    private let conjuncts: [Expression]
    /// More ranges than this are not worth it.
    private static let rangeLimit = 512

    init(_ schema: SchemaDefinition, _ specification: QuerySpecification) {
        self.schema = schema
        self.specification = specification
        conjuncts = specification.condition.conjuncts
    }

    func plan(_ indexes: [DocumentIndex]) -> QueryPlan {
        let key = IndexDefinition(components: [IndexComponent(path: schema.key, kind: schema.keyKind)])
        var best = candidate(key, .documents, prefix: DocumentCollection.documentPrefix)!
        for index in indexes where index.isReady && mayServe(index.definition) {
            guard let other = candidate(index.definition, .index(index), prefix: index.prefix) else { continue }
            if other.score > best.score { best = other }
        }
        return best.plan
    }

    /// False for an index that answers nothing, and whose order is not wanted: what most indexes are to most queries.
    private func mayServe(_ index: IndexDefinition) -> Bool {
        if index.isCovering || index.condition != .always || specification.output == .count { return true }
        let first = index.components[0].path
        return specification.order.contains { $0.path == first }
            || conjuncts.contains { conjunct in
                switch conjunct {
                case .compare(let path, _, _), .among(let path, _), .contains(let path, _), .text(let path, _, _):
                    path == first
                default: false
                }
            }
    }

    private struct Candidate {
        var plan: QueryPlan
        var score: Int
    }

    // MARK: One index

    private func candidate(_ index: IndexDefinition, _ access: QueryPlan.Access, prefix: [UInt8]) -> Candidate? {
        let demanded = index.condition.conjuncts
        // By the places of the conjuncts.
        var isAnswered = conjuncts.map { _ in false }
        for condition in demanded {
            guard conjuncts.contains(condition) else { return nil }
            mark(condition, in: &isAnswered)
        }
        var prefixes = [prefix]
        var position = 0
        var isEachBound = !index.components.contains(where: \.isEach)
        while position < index.components.count {
            let component = index.components[position]
            guard let (conjunct, values) = equality(component), prefixes.count * values.count <= Self.rangeLimit,
                let extended = extend(prefixes, by: values, component)
            else { break }
            prefixes = extended
            mark(conjunct, in: &isAnswered)
            if component.isEach { isEachBound = true }
            position += 1
        }
        let equalCount = position
        var ranges = prefixes.map { KeyRange.prefix($0) }
        var hasRange = false
        if position < index.components.count, let bounds = bounds(index.components[position]) {
            let component = index.components[position]
            ranges = prefixes.map { bounds.range(after: $0, isDescending: component.isDescending) }
            for conjunct in bounds.answered { mark(conjunct, in: &isAnswered) }
            hasRange = true
        }
        guard isEachBound else { return nil }
        let order = order(index, after: equalCount, isSingle: prefixes.count == 1)
        let isUnsorted = specification.order.isEmpty
        var score = 10 * equalCount + (hasRange ? 5 : 0)
        if index.isUnique, equalCount == index.components.count { score += 100 }
        if !isUnsorted, order != nil { score += specification.limit == nil ? 3 : 8 }
        if index.isCovering { score += 1 }
        // What a partial index demands is answered by it as by an equal field, and with fewer entries.
        score += 11 * demanded.count
        if score == 0, case .index = access {
            // Entries are shorter than documents.
            guard specification.output == .count, isAnswered.allSatisfy({ $0 }) else { return nil }
            score = 1
        }
        if case .documents = access, equalCount == 1 { score += 101 }
        let residual = conjuncts.indices.filter { !isAnswered[$0] }.map { conjuncts[$0] }
        let plan = QueryPlan(
            access: access, ranges: ranges, isReversed: order ?? false,
            residual: residual.isEmpty ? .always : residual.count == 1 ? residual[0] : .and(residual),
            isSorted: isUnsorted || order != nil,
            answered: conjuncts.indices.filter { isAnswered[$0] }.map { conjuncts[$0] })
        return Candidate(plan: plan, score: score)
    }

    private func mark(_ conjunct: Expression, in isAnswered: inout [Bool]) {
        for position in conjuncts.indices where conjuncts[position] == conjunct { isAnswered[position] = true }
    }

    /// Whether the walk has the order wanted: false forward, true backward; nil if it has not.
    private func order(_ index: IndexDefinition, after equalCount: Int, isSingle: Bool) -> Bool? {
        let bound = index.components.prefix(equalCount)
        let wanted = specification.order.filter { key in !isSingle || !bound.contains { $0.path == key.path } }
        if wanted.isEmpty { return specification.order.isEmpty ? nil : false }
        let available = index.components.dropFirst(equalCount)
        guard isSingle, wanted.count <= available.count else { return nil }
        var isReversed: Bool?
        for (key, component) in zip(wanted, available) {
            guard key.path == component.path, !component.isEach else { return nil }
            let opposite = (key.order == .descending) != component.isDescending
            if let isReversed, isReversed != opposite { return nil }
            isReversed = opposite
        }
        return isReversed
    }

    // MARK: One field

    private func equality(_ component: IndexComponent) -> (Expression, [JSONValue])? {
        for conjunct in conjuncts {
            switch conjunct {
            case .compare(component.path, .equal, let value) where !component.isEach: return (conjunct, [value])
            case .among(component.path, let values) where !component.isEach: return (conjunct, values)
            case .contains(component.path, let value) where component.isEach: return (conjunct, [value])
            default: continue
            }
        }
        return nil
    }

    /// nil if a value is one that the index cannot hold, so that only the documents can tell.
    private func extend(_ prefixes: [[UInt8]], by values: [JSONValue], _ component: IndexComponent) -> [[UInt8]]? {
        var extended: Set<[UInt8]> = []
        extended.reserveCapacity(prefixes.count * values.count)
        for prefix in prefixes {
            for value in values {
                if case .double(let number) = value, number.isNaN { return nil }
                var writer = KeyWriter(prefix)
                guard value.withScalar({ writer.append($0, component.kind, descending: component.isDescending) })
                else { return nil }
                extended.insert(writer.bytes)
            }
        }
        return extended.sorted { $0.lexicographicallyPrecedes($1) }
    }

    /// Where the values of a field lie that satisfy the conditions on it.
    private struct Bounds {
        /// Behind the prefix of the fields before.
        var lower: [UInt8]
        /// Exclusive.
        var upper: [UInt8]
        var answered: [Expression]

        func range(after prefix: [UInt8], isDescending: Bool) -> KeyRange {
            guard isDescending else { return KeyRange.between(prefix + lower, prefix + upper) }
            // Inverted, what was the exclusive end is the inclusive start, one key later.
            return KeyRange.between(Self.after(prefix + upper.map { ~$0 }), Self.after(prefix + lower.map { ~$0 }))
        }

        /// The first key behind all that begin with `bytes`.
        private static func after(_ bytes: [UInt8]) -> [UInt8] { KeyRange.prefix(bytes).upper ?? bytes }
    }

    private func bounds(_ component: IndexComponent) -> Bounds? {
        guard !component.isEach else { return nil }
        var result: Bounds?
        for conjunct in conjuncts {
            guard let bounds = bounds(conjunct, component) else { continue }
            if var both = result {
                if both.lower.lexicographicallyPrecedes(bounds.lower) { both.lower = bounds.lower }
                if bounds.upper.lexicographicallyPrecedes(both.upper) { both.upper = bounds.upper }
                both.answered.append(conjunct)
                result = both
            } else {
                result = bounds
            }
        }
        return result
    }

    private func bounds(_ conjunct: Expression, _ component: IndexComponent) -> Bounds? {
        switch conjunct {
        case .compare(component.path, let comparison, let value):
            return value.withScalar { bounds(conjunct, comparison, $0, component) }
        case .text(component.path, .prefix, let text) where component.kind == .string || component.kind == .any:
            var writer = KeyWriter()
            writer.append(prefixOfString: text)
            return KeyRange.prefix(writer.bytes).upper.map {
                Bounds(lower: writer.bytes, upper: $0, answered: [conjunct])
            }
        default: return nil
        }
    }

    private func bounds(
        _ conjunct: Expression, _ comparison: Comparison, _ value: Scalar, _ component: IndexComponent
    ) -> Bounds? {
        if case .double(let number) = value, number.isNaN { return nil }
        var writer = KeyWriter()
        guard let kind = KeyWriter.bounds(ofKindOf: value, component.kind),
            writer.append(value, component.kind, descending: false),
            let next = KeyRange.prefix(writer.bytes).upper
        else { return nil }
        switch comparison {
        case .less: return Bounds(lower: kind.lower, upper: writer.bytes, answered: [conjunct])
        case .lessOrEqual: return Bounds(lower: kind.lower, upper: next, answered: [conjunct])
        case .greater: return Bounds(lower: next, upper: kind.upper, answered: [conjunct])
        case .greaterOrEqual: return Bounds(lower: writer.bytes, upper: kind.upper, answered: [conjunct])
        case .equal, .notEqual: return nil
        }
    }
}

extension KeyRange {
    /// Empty if the bounds are the wrong way round: conditions may contradict each other.
    fileprivate static func between(_ lower: [UInt8], _ upper: [UInt8]) -> KeyRange {
        KeyRange(lower: lower, upper: upper.lexicographicallyPrecedes(lower) ? lower : upper)
    }
}
