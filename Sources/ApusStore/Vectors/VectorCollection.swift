// A collection of vectors: what it is, how it is opened, and how its index in memory comes to agree with the database.
//
// The database is the truth, and every result of a search was found in it, at the reader's own moment. The index is a
// superset of what anyone may see: a vector is added to it before its transaction commits, and stays in it, when it was
// deleted, until the last reader that may see it has gone. So a search that asks the index for candidates and the
// database what they are is as consistent as any other read, in a snapshot, in a transaction, and beside writers.

import Apus
import ApusIO
import Synchronization

/// Vectors by key, found by nearness.
///
/// ```swift
/// let images = try store.vectors("images", dimension: 384, metric: .cosine)
/// try images.upsert("sunset.jpg", embedding, metadata: ["year": 2024])
/// for match in try images.search(query, count: 10, filter: .equal("year", 2024)) {
///     print(match.name, match.distance)
/// }
/// ```
/// A graph over 8-bit codes of the vectors is kept in memory; it is stored with the vectors, in the same commit, and read
/// back when the collection is opened. Searches neither wait for writers nor hold them up.
public final class VectorCollection: Sendable {
    public let store: Store
    public let name: String
    let collectionName: CollectionName
    let shape: VectorShape
    let options: VectorOptions
    /// Entries and nodes; see VectorRecord.swift.
    let nodes: Keyspace
    /// nil if originals are not kept.
    let originals: Keyspace?
    let graph: VectorGraph
    /// The number that the next vector gets.
    let nextNode = Atomic<UInt64>(1)
    /// The index knows nothing that was deleted before this moment.
    let indexedSince: UInt64
    /// What is missing in the index, for want of memory; searches read it in the database.
    let unindexed = UnindexedNodes()

    public var dimension: Int { shape.dimension }
    public var metric: VectorMetric { shape.metric }
    public var element: VectorElement { shape.element }

    /// `isIndexed` is false for a collection that is only to be verified: an index would take memory for nothing, and what
    /// is damaged is to be reported, not thrown.
    init(
        _ name: CollectionName, _ shape: VectorShape, _ options: VectorOptions, in store: Store, isIndexed: Bool = true
    ) throws {
        self.store = store
        self.name = name.name
        self.shape = shape
        self.options = options
        collectionName = name
        nodes = try store.keyspace(name.description, VectorCollection.nodeOptions)
        originals =
            shape.keepsOriginals
            ? try store.keyspace(name.keyspace("originals"), VectorCollection.originalOptions) : nil
        guard
            let graph = VectorGraph(
                dimension: shape.dimension, metric: shape.metric, parameters: options.graphParameters)
        else { throw StoreError(.invalidArgument, "no address space for the index", collection: name.description) }
        self.graph = graph
        let snapshot = try store.snapshot()
        defer { snapshot.release() }
        indexedSince = snapshot.snapshot.sequence
        if isIndexed { try load(from: snapshot) }
    }

    /// Codes shrink by entropy coding alone, which LZ4 has none of.
    private static let nodeOptions = KeyspaceOptions(compression: .zstd)
    /// Floating-point numbers do not shrink. Large ones are written once, and not again by every compaction.
    private static let originalOptions = KeyspaceOptions(compression: .none, valueSeparationThreshold: 2 << 10)

    // MARK: The index

    /// Adds every vector to the index with the links that it was given when it was written: the graph becomes what it was,
    /// without a search.
    private func load(from snapshot: StoreSnapshot) throws {
        var last: UInt64 = 0
        var thin = ThinNodes()
        try snapshot.scan(VectorKey.nodes, in: nodes) { key, value in
            guard let node = VectorKey.number(key), node <= VectorKey.nodeLimit else {
                throw damaged("a node's key is damaged")
            }
            last = node
            let record = try record(value, node)
            if !hasRoom || !graph.load(shape.indexed(node: node, record), links: record.links, thin: &thin) {
                unindexed.insert(node)
            }
            return .next
        }
        graph.finishLoading(thin)
        nextNode.store(last + 1, ordering: .relaxed)
    }

    /// Whether the budget allows one vector more.
    var hasRoom: Bool { graph.byteCountWithOneMore <= options.memoryBudget }

    // MARK: Errors

    func record(_ value: RawSpan, _ node: UInt64) throws(StoreError) -> VectorRecord {
        guard let record = value.withUnsafeBytes({ VectorRecord($0, dimension: dimension) }) else {
            throw damaged("the record of node \(node) is damaged")
        }
        return record
    }

    func damaged(_ message: String, key: [UInt8]? = nil) -> StoreError {
        StoreError(
            .corruption, message, collection: collectionName.description, key: key.map(VectorCollection.readable))
    }

    func invalid(_ message: String, key: [UInt8]? = nil) -> StoreError {
        StoreError(
            .invalidArgument, message, collection: collectionName.description, key: key.map(VectorCollection.readable))
    }

    /// A key as people read it.
    static func readable(_ key: [UInt8]) -> String {
        String(validating: key, as: UTF8.self) ?? String(describing: key)
    }
}

extension VectorCollection: StoreCollection {
    var definition: [UInt8] { shape.definition }
}

/// What may differ from one time that a collection is opened to the next.
public struct VectorOptions: Sendable {
    /// Bytes that the index may take in memory. Vectors beyond it are kept like all others, but a search reads them from
    /// the database, one by one.
    public var memoryBudget: Int
    /// Collections up to this size are searched exactly: it takes no longer.
    var smallCount = 512
    var graphParameters = GraphParameters()

    public init(memoryBudget: Int = 1 << 30) {
        self.memoryBudget = memoryBudget
    }
}

extension Store {
    /// The collection of vectors of that name, created on first use.
    ///
    /// - Parameters:
    ///   - name: 1 to 200 bytes, without a colon.
    ///   - dimension: the number of elements of every vector, 1 to 8,192.
    ///   - metric: what makes vectors near.
    ///   - element: the form in which they are kept. `.int8` takes least; the other two give exact results.
    /// - Throws: `StoreError` with `definitionMismatch` if the collection exists and is another.
    public func vectors(
        _ name: String, dimension: Int, metric: VectorMetric = .cosine, element: VectorElement = .float32,
        options: VectorOptions = VectorOptions()
    ) throws -> VectorCollection {
        guard VectorShape.dimensions.contains(dimension) else {
            throw StoreError(
                .invalidArgument, "a vector has 1 to \(VectorShape.dimensions.upperBound) elements",
                collection: "vector:\(name)")
        }
        let shape = VectorShape(dimension: dimension, metric: metric, element: element)
        return try collection(.vectors, name, definition: shape.definition) { record in
            let collectionName = try CollectionName(.vectors, name)
            if let record {
                try VectorCollection.check(record, of: collectionName)
                guard record.definition == shape.definition else {
                    throw StoreError(
                        .definitionMismatch, "exists with another dimension, metric or element",
                        collection: collectionName.description)
                }
            } else {
                let made = CollectionRecord(format: VectorCollection.format, definition: shape.definition)
                try transaction { try catalogue.put(made, of: collectionName, in: $0) }
            }
            return try VectorCollection(collectionName, shape, options, in: self)
        }
    }
}

extension VectorCollection {
    /// The version of the layout of keys and values.
    static let format = 1

    static func check(_ record: CollectionRecord, of name: CollectionName) throws(StoreError) {
        guard record.format == format else {
            throw StoreError(.unsupportedFormat, "was written by a newer version", collection: name.description)
        }
    }
}
