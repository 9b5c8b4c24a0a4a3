// Answering a query by its plan: the walk over documents or entries, what is asked of each, and how many were looked
// at.

import Apus

/// What a query has looked at.
struct QueryEffort: Sendable {
    /// Entries of the index, or documents, that the walk met.
    var scanned = 0
    /// Documents that were read for it.
    var fetched = 0
    /// Documents that satisfied the condition.
    var matched = 0
}

/// A document that satisfies the query, where it lies.
struct QueryMatch {
    let key: UnsafeRawBufferPointer
    let record: UnsafeRawBufferPointer
    let view: RecordView
}

/// One answering of one query.
final class QueryRun {
    let collection: DocumentCollection
    let specification: QuerySpecification
    let plan: QueryPlan
    let names: FieldNameTable
    /// What is asked of each document; nil if its being there is enough.
    private let residual: CompiledCondition?
    private(set) var effort = QueryEffort()
    /// How many documents are looked up at a time: not more than are wanted, as far as that is known.
    private var groupLimit: Int
    private static let largestGroup = 64
    /// A field has a name that no document had when the query began; one that is written meanwhile may have it.
    var hasUnknownNames: Bool {
        specification.condition.paths.contains { path in path.names.contains { names.id(of: $0) == nil } }
    }

    /// - Parameter reader: what will be read; nil for the latest state.
    init(
        _ collection: DocumentCollection, _ specification: QuerySpecification, for reader: (any StoreReader)?
    ) throws {
        self.collection = collection
        let schema = collection.schema
        var specification = specification
        specification.condition = try specification.condition.mapConstants { (path, value) throws(StoreError) in
            // A value that the field cannot hold stays as it is, and equals nothing there.
            value.converted(to: schema.kind(of: path)) ?? value
        }
        self.specification = specification
        plan = QueryPlanner(schema, specification).plan(try collection.indexes(for: reader))
        names = collection.names.current
        let wanted = (specification.limit ?? .max).addingReportingOverflow(specification.offset)
        groupLimit = wanted.overflow ? Self.largestGroup : max(1, min(wanted.partialValue, Self.largestGroup))
        residual = plan.residual == .always ? nil : CompiledCondition(plan.residual, names)
    }

    /// Calls `body` with every document that satisfies the condition, in the order of the walk.
    func forEachMatch(
        in reader: any StoreReader, _ body: (QueryMatch) throws -> ScanStep
    ) throws {
        var isStopped = false
        for range in plan.isReversed ? plan.ranges.reversed() : plan.ranges where !isStopped {
            if range.lower == range.upper, range.lower != nil { continue }
            try walk(range, in: reader) { match in
                let step = try body(match)
                if step == .stop { isStopped = true }
                return step
            }
        }
    }

    private func walk(
        _ range: KeyRange, in reader: any StoreReader, _ body: (QueryMatch) throws -> ScanStep
    ) throws {
        switch plan.access {
        case .documents:
            try reader.scan(range, in: collection.keyspace, reversed: plan.isReversed, limit: .max) { key, value in
                try key.withUnsafeBytes { key in
                    try value.withUnsafeBytes { record in
                        effort.scanned += 1
                        let key = UnsafeRawBufferPointer(rebasing: key[DocumentCollection.documentPrefix.count...])
                        return try offer(key, record, body)
                    }
                }
            }
        case .index(let index) where index.definition.isCovering:
            try reader.scan(range, in: collection.keyspace, reversed: plan.isReversed, limit: .max) { entry, value in
                try entry.withUnsafeBytes { entry in
                    try value.withUnsafeBytes { value in
                        effort.scanned += 1
                        let (key, record) = try parse(entry, value)
                        return try offer(key, record, body)
                    }
                }
            }
        case .index(let index): try walk(range, of: index, in: reader, body)
        }
    }

    /// Entries are walked, and the documents behind them looked up, several at a time: their lookups overlap.
    private func walk(
        _ range: KeyRange, of index: DocumentIndex, in reader: any StoreReader,
        _ body: (QueryMatch) throws -> ScanStep
    ) throws {
        var group = DocumentGroupKeys()
        var isStopped = false
        try reader.scan(range, in: collection.keyspace, reversed: plan.isReversed, limit: .max) { entry, value in
            try entry.withUnsafeBytes { entry in
                try value.withUnsafeBytes { value in
                    effort.scanned += 1
                    group.append(try parse(entry, value).key)
                }
            }
            if group.count < groupLimit { return .next }
            isStopped = try offer(&group, of: index, in: reader, body) == .stop
            return isStopped ? .stop : .next
        }
        if !isStopped { _ = try offer(&group, of: index, in: reader, body) }
    }

    private func offer(
        _ group: inout DocumentGroupKeys, of index: DocumentIndex, in reader: any StoreReader,
        _ body: (QueryMatch) throws -> ScanStep
    ) throws -> ScanStep {
        let step = try group.withKeys { keys in
            try reader.lookUp(keys, in: collection.keyspace) { number, record in
                effort.fetched += 1
                let key = UnsafeRawBufferPointer(rebasing: keys[number][DocumentCollection.documentPrefix.count...])
                guard let record else {
                    throw collection.error(
                        .corruption,
                        "the index \"\(index.definition.name)\" has an entry of it, but there is no such document",
                        key: DocumentCollection.shown(key))
                }
                return try offer(key, record, body)
            }
        }
        group.removeAll()
        groupLimit = min(2 * groupLimit, Self.largestGroup)
        return step
    }

    private func parse(
        _ entry: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
    ) throws -> (key: UnsafeRawBufferPointer, record: UnsafeRawBufferPointer) {
        do throws(RecordDamage) {
            return try DocumentIndex.parse(entry, value)
        } catch {
            throw collection.error(.corruption, error.what)
        }
    }

    private func offer(
        _ key: UnsafeRawBufferPointer, _ record: UnsafeRawBufferPointer, _ body: (QueryMatch) throws -> ScanStep
    ) throws -> ScanStep {
        do {
            let view = try RecordView(record)
            if let residual, try !residual.holds(view) { return .next }
            effort.matched += 1
            return try body(QueryMatch(key: key, record: record, view: view))
        } catch let damage as RecordDamage {
            throw collection.damage(damage, key: key)
        }
    }

    // MARK: Documents

    /// Calls `body` with the documents asked for: sorted, from the offset on, up to the limit.
    func forEachDocument(
        in reader: any StoreReader, _ body: (QueryMatch) throws -> ScanStep
    ) throws {
        let limit = specification.limit ?? .max
        guard limit > 0 else { return }
        if !plan.isSorted { return try forEachSorted(in: reader, limit: limit, body) }
        var skipped = 0
        var taken = 0
        let offset = specification.offset
        try forEachMatch(in: reader) { match in
            if skipped < offset {
                skipped += 1
                return .next
            }
            taken += 1
            let step = try body(match)
            return taken >= limit ? .stop : step
        }
    }

    private struct Sorted {
        var order: [UInt8]
        var key: [UInt8]
        var record: [UInt8]
    }

    private func forEachSorted(
        in reader: any StoreReader, limit: Int, _ body: (QueryMatch) throws -> ScanStep
    ) throws {
        let (needed, overflow) = limit.addingReportingOverflow(specification.offset)
        let kept = overflow ? Int.max : needed
        let paths = specification.order.map { (names.resolve($0.path), $0.order == .descending) }
        var found: [Sorted] = []
        // What sorts behind it is not wanted: there are enough before.
        var threshold: [UInt8]?
        func prune() {
            found.sort { $0.order.lexicographicallyPrecedes($1.order) }
            guard found.count >= kept else { return }
            found.removeSubrange(kept...)
            threshold = found.last?.order
        }
        try forEachMatch(in: reader) { match in
            var writer = KeyWriter()
            for (path, isDescending) in paths {
                writer.appendSortKey(try match.view.scalar(at: path), descending: isDescending)
            }
            // Among equals the primary key decides, so that the same query has the same answer.
            writer.append(encoded: match.key)
            if let threshold, threshold.lexicographicallyPrecedes(writer.bytes) { return .next }
            found.append(
                Sorted(order: writer.bytes, key: [UInt8](match.key), record: [UInt8](match.record)))
            // Not every time: sorting twice as many as are kept costs little more than sorting one more.
            if kept < .max / 2, found.count >= 2 * kept + 64 { prune() }
            return .next
        }
        prune()
        for sorted in found.dropFirst(specification.offset) {
            let step = try sorted.key.withUnsafeBytes { key in
                try sorted.record.withUnsafeBytes { record in
                    try body(QueryMatch(key: key, record: record, view: RecordView(record)))
                }
            }
            if step == .stop { return }
        }
    }

    // MARK: Counting

    /// How many documents satisfy the condition, offset and limit applied.
    func count(in reader: any StoreReader) throws -> Int {
        var count = 0
        // More than these are not asked for.
        let (sum, overflow) = (specification.limit ?? .max).addingReportingOverflow(specification.offset)
        let enough = overflow ? .max : sum
        if plan.countsEntries {
            for range in plan.ranges where (range.lower == nil || range.lower != range.upper) && count < enough {
                try reader.scan(range, in: collection.keyspace, reversed: false, limit: enough - count) { _, _ in
                    count += 1
                    return .next
                }
            }
            effort.scanned += count
            effort.matched += count
        } else if enough > 0 {
            try forEachMatch(in: reader) { _ in
                count += 1
                return count < enough ? .next : .stop
            }
        }
        return max(0, count - specification.offset)
    }
}
