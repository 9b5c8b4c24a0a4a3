// Reading vectors by key, and what the collection knows about itself.

public import Apus
import Synchronization

/// A vector as it is stored.
public struct StoredVector: Sendable, Equatable {
    public var key: [UInt8]
    /// Rounded to the collection's element.
    public var vector: [Float]
    public var metadata: VectorMetadata

    /// The key as text.
    public var name: String { String(decoding: key, as: UTF8.self) }
}

/// Figures about a collection.
public struct VectorStatistics: Sendable {
    /// Vectors in the index, those of transactions under way included.
    public var indexedCount: Int
    /// Bytes that the index takes in memory.
    public var memoryByteCount: Int
    /// Bytes of one vector in the index, without metadata.
    public var bytesPerVector: Int
    /// Whether some vectors are not in the index, because the budget is exhausted.
    public var isOverBudget: Bool
    /// The instructions in use.
    public var instructions: String
}

extension VectorCollection {
    /// The vector of that key; nil if there is none.
    public func get(_ key: some ByteRepresentable) throws -> StoredVector? {
        let snapshot = try store.snapshot()
        defer { snapshot.release() }
        return try get(key, in: snapshot)
    }

    /// The vector of that key as `reader` sees it; nil if there is none.
    public func get(_ key: some ByteRepresentable, in reader: some StoreReader) throws -> StoredVector? {
        let entryKey = VectorKey.entry(key)
        let key = Array(entryKey.dropFirst())
        guard let node = try node(reader.get(entryKey, in: nodes), key: key) else { return nil }
        let record: VectorRecord? = try reader.withValue(for: VectorKey.node(node), in: nodes) { value in
            try self.record(value, node)
        }
        // Only the latest state of the store may change between two reads, and `get` without a reader takes a snapshot.
        guard let record else {
            if reader is Store { return nil }
            throw damaged("node \(node) has no record", key: key)
        }
        let original = try originals.flatMap { try reader.get(VectorKey.original(node), in: $0) }
        guard let vector = shape.decode(record, original: original) else {
            throw damaged("the original is missing or damaged", key: key)
        }
        return StoredVector(key: key, vector: vector, metadata: try metadata(record.metadata, key: key))
    }

    /// Whether there is a vector of that key.
    public func contains(_ key: some ByteRepresentable) throws -> Bool { try contains(key, in: store) }

    /// Whether `reader` sees a vector of that key.
    public func contains(_ key: some ByteRepresentable, in reader: some StoreReader) throws -> Bool {
        try reader.contains(VectorKey.entry(key), in: nodes)
    }

    /// Calls `body` with each key in order, until it returns `.stop`.
    public func scanKeys(in reader: some StoreReader, _ body: ([UInt8]) throws -> ScanStep) throws {
        try reader.scan(VectorKey.entries, in: nodes) { key, _ in
            try body(key.withUnsafeBytes { Array($0.dropFirst()) })
        }
    }

    /// The number of vectors. Costs a scan of the keys.
    public func count(in reader: some StoreReader) throws -> Int {
        var count = 0
        try scanKeys(in: reader) { _ in
            count += 1
            return .next
        }
        return count
    }

    /// Figures about the collection at this moment; costs nothing.
    public var statistics: VectorStatistics {
        VectorStatistics(
            indexedCount: graph.liveCount.load(ordering: .relaxed), memoryByteCount: graph.byteCount,
            bytesPerVector: graph.memory.bytesPerSlot,
            isOverBudget: !unindexed.isEmpty, instructions: graph.kernels.name)
    }

    func metadata(_ bytes: [UInt8], key: [UInt8]) throws(StoreError) -> VectorMetadata {
        guard let metadata = bytes.withUnsafeBytes({ VectorMetadata($0) }) else {
            throw damaged("the metadata is damaged", key: key)
        }
        return metadata
    }
}
