// Queries as programs write them: a value that is refined step by step and asked at the end.

import Apus

/// A question to a collection. Nothing happens until it is asked by one of `all`, `first`, `count`, `forEach`, `keys`,
/// `distinct`, `grouped` or `delete`.
///
/// ```swift
/// let last = try messages.query()
///     .filter(\.conversation == id && \.role != .tool)
///     .sorted(by: \.time, .descending)
///     .limit(50)
///     .all()
/// ```
public struct DocumentQuery<Root> {
    let collection: DocumentCollection
    /// nil: the latest state.
    let reader: (any StoreReader)?
    var specification = QuerySpecification()
    /// The first thing that was wrong with it; thrown when it is asked.
    var error: StoreError?
    let decode: @Sendable (RecordView, FieldNameTable) throws -> Root

    init(
        _ collection: DocumentCollection, in reader: (any StoreReader)?,
        decode: @escaping @Sendable (RecordView, FieldNameTable) throws -> Root
    ) {
        self.collection = collection
        self.reader = reader
        self.decode = decode
    }

    // MARK: Refining

    /// Only documents that satisfy the condition, and those of earlier calls.
    public func filter(_ condition: Condition<Root>) -> DocumentQuery {
        changing { query throws(StoreError) in
            query.specification.condition = .conjunction(
                [query.specification.condition, try condition.get()])
        }
    }

    /// Orders the documents; by further fields where earlier calls leave them equal. nil comes first, then booleans,
    /// numbers, times, identifiers, bytes, text.
    public func sorted(by field: PartialKeyPath<Root>, _ order: SortOrder = .ascending) -> DocumentQuery {
        changing { query throws(StoreError) in
            query.specification.order.append(SortKey(path: try FieldPath(field), order: order))
        }
    }

    /// The same by the name of a field.
    public func sorted(byField field: FieldPath, _ order: SortOrder = .ascending) -> DocumentQuery {
        changing { $0.specification.order.append(SortKey(path: field, order: order)) }
    }

    /// At most so many.
    public func limit(_ count: Int) -> DocumentQuery { changing { $0.specification.limit = max(0, count) } }

    /// Not the first so many.
    public func offset(_ count: Int) -> DocumentQuery { changing { $0.specification.offset = max(0, count) } }

    private func changing(_ change: (inout DocumentQuery) throws(StoreError) -> Void) -> DocumentQuery {
        var copy = self
        do throws(StoreError) { try change(&copy) } catch { copy.error = copy.error ?? error }
        return copy
    }

    // MARK: Asking

    /// The documents, in an array.
    public func all() throws -> [Root] {
        var found: [Root] = []
        try forEach { found.append($0) }
        return found
    }

    /// The first document; nil if there is none.
    public func first() throws -> Root? { try atMostOne().all().first }

    /// Calls `body` with one document after the other: for answers that need not fit into memory.
    public func forEach(_ body: (Root) throws -> Void) throws {
        try run { run, reader in
            let names = run.names
            try run.forEachDocument(in: reader) { match in
                try body(try decode(match.view, names))
                return .next
            }
        }
    }

    /// How many documents there are. Where an index answers the whole condition, only its entries are counted.
    public func count() throws -> Int {
        try counting().run { run, reader in try run.count(in: reader) }
    }

    /// Whether there is any.
    public func isEmpty() throws -> Bool { try atMostOne().encodedKeys().isEmpty }

    private func atMostOne() -> DocumentQuery { limit(min(specification.limit ?? 1, 1)) }

    /// The primary keys of the documents.
    public func keys() throws -> [JSONValue] {
        try encodedKeys().map { JSONValue(keyElements: try KeyCoder.decode($0)) ?? .null }
    }

    /// The different values of a field, in order.
    public func distinct(_ field: PartialKeyPath<Root>) throws -> [JSONValue] {
        try distinct(byField: FieldPath(field))
    }

    /// The same by the name of a field.
    public func distinct(byField field: FieldPath) throws -> [JSONValue] {
        try groups(by: [field], []).map(\.key)
    }

    /// The documents in groups that agree in these fields, with what is computed over each, in the order of the fields:
    /// `grouped(by: \.role, computing: .count, .average(\.length))`. Limit and offset count groups. `sorted` puts groups,
    /// and distinct values, into another order of these fields, and of no others.
    public func grouped(
        by fields: PartialKeyPath<Root>..., computing aggregates: Aggregate<Root>...
    ) throws -> [DocumentGroup] {
        var paths: [FieldPath] = []
        for field in fields { paths.append(try FieldPath(field)) }
        return try groups(by: paths, computations(aggregates))
    }

    /// The same by the names of fields.
    public func grouped(
        byFields fields: FieldPath..., computing aggregates: Aggregate<Root>...
    ) throws -> [DocumentGroup] {
        try groups(by: fields, computations(aggregates))
    }

    /// What is computed over all documents: `aggregate(.sum(\.length))`.
    public func aggregate(_ aggregate: Aggregate<Root>) throws -> JSONValue {
        let computation = try aggregate.computation.get()
        return try groups(by: [], [computation]).first?.value ?? (computation.function == .count ? 0 : .null)
    }

    /// Deletes the documents, each with what refers to it, in one transaction: all of them or none. Inside a
    /// transaction, in that.
    /// - Returns: how many there were.
    @discardableResult
    public func delete() throws -> Int {
        guard let transaction = reader as? StoreTransaction else {
            guard reader == nil || reader is Store else {
                throw collection.error(.invalidQuery, "what a snapshot shows cannot be deleted")
            }
            return try collection.store.transaction { transaction in try delete(in: transaction) }
        }
        return try delete(in: transaction)
    }

    private func delete(in transaction: StoreTransaction) throws -> Int {
        var inside = DocumentQuery(collection, in: transaction, decode: decode)
        inside.specification = specification
        inside.error = error
        let keys = try inside.encodedKeys()
        let savepoint = transaction.savepoint()
        do {
            return try keys.count { try collection.delete($0, in: transaction) }
        } catch {
            try transaction.rollBack(to: savepoint)
            throw error
        }
    }

    /// How the query would be answered, and, once it has been run for it, what was looked at.
    public func explain(running: Bool = true) throws -> QueryExplanation {
        var effort: QueryEffort?
        let query = specification.output == .count ? counting() : self
        return try query.run { run, reader in
            if running {
                switch run.specification.output {
                case .documents: try run.forEachDocument(in: reader) { _ in .next }
                case .count: _ = try run.count(in: reader)
                case .distinct(let field): _ = try run.groups(by: [field], [], in: reader)
                case .groups(let fields, let computations): _ = try run.groups(by: fields, computations, in: reader)
                }
                effort = run.effort
            }
            return QueryExplanation(run, effort)
        }
    }

    // MARK: Running

    func encodedKeys() throws -> [[UInt8]] {
        try run { run, reader in
            var keys: [[UInt8]] = []
            try run.forEachDocument(in: reader) { match in
                keys.append([UInt8](match.key))
                return .next
            }
            return keys
        }
    }

    func counting() -> DocumentQuery { changing { $0.specification.output = .count } }

    func computations(_ aggregates: [Aggregate<Root>]) throws -> [Computation] {
        try aggregates.map { try $0.computation.get() }
    }

    func groups(by fields: [FieldPath], _ computations: [Computation]) throws -> [DocumentGroup] {
        try run { run, reader in try run.groups(by: fields, computations, in: reader) }
    }

    func run<Result>(_ body: (QueryRun, any StoreReader) throws -> Result) throws -> Result {
        if var error {
            error.collection = error.collection ?? collection.name.description
            throw error
        }
        if let reader, !(reader is Store) {
            return try body(try QueryRun(collection, specification, for: reader), reader)
        }
        // Entries, documents and names have to be of one moment; a single walk is.
        var run = try QueryRun(collection, specification, for: nil)
        if run.isOneWalk, !run.hasUnknownNames { return try body(run, collection.store) }
        let snapshot = try collection.store.snapshot()
        defer { snapshot.release() }
        if run.hasUnknownNames { run = try QueryRun(collection, specification, for: nil) }
        return try body(run, snapshot)
    }
}

/// How a query is answered.
public struct QueryExplanation: Sendable, CustomStringConvertible {
    /// The index that is walked; nil if it is the documents themselves.
    public var index: String?
    /// What the order of the index answers.
    public var answered: [String]
    /// What is asked of each document; nil if nothing is left to ask.
    public var filter: String?
    /// Documents are collected and sorted.
    public var sorts: Bool
    /// Documents are not read: entries say all.
    public var isIndexOnly: Bool
    /// Entries, or documents, that the walk met; nil if the query was not run.
    public var scanned: Int?
    /// Documents that were read for entries.
    public var fetched: Int?
    /// Documents that satisfied the condition.
    public var matched: Int?

    init(_ run: QueryRun, _ effort: QueryEffort?) {
        if case .index(let index) = run.plan.access { self.index = index.definition.name }
        answered = run.plan.answered.map { "\($0)" }
        filter = run.plan.residual == .always ? nil : "\(run.plan.residual)"
        sorts = !run.plan.isSorted && run.specification.output == .documents
        isIndexOnly = run.readsEntriesAlone
        scanned = effort?.scanned
        fetched = effort?.fetched
        matched = effort?.matched
    }

    public var description: String {
        var lines = [index.map { "index \($0)" } ?? (answered.isEmpty ? "all documents" : "documents by primary key")]
        if !answered.isEmpty { lines.append("answers  \(answered.joined(separator: " and "))") }
        if let filter { lines.append("filters  \(filter)") }
        if sorts { lines.append("sorts in memory") }
        if isIndexOnly { lines.append("entries only") }
        if let scanned, let fetched, let matched {
            lines.append("scanned \(scanned), read \(fetched), matched \(matched)")
        }
        return lines.joined(separator: "\n")
    }
}

extension QueryRun {
    /// Documents need not be looked up beside the walk.
    var isOneWalk: Bool {
        switch plan.access {
        case .documents: plan.ranges.count == 1
        case .index: plan.ranges.count == 1 && readsEntriesAlone
        }
    }

    /// An index is walked, and no document is read.
    var readsEntriesAlone: Bool {
        guard case .index(let index) = plan.access else { return false }
        return index.definition.isCovering || specification.output == .count && plan.countsEntries
    }
}
