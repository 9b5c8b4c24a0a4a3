// The asynchronous forms: the same calls on a thread of the database, so that no thread of the cooperative pool waits for
// a disk, or computes distances. Reads take a snapshot as `in:`; without one they see the latest state.

public import Apus

extension Store {
    /// See the synchronous `vectors(_:dimension:metric:element:options:)`. Opening a large collection reads its index.
    public func vectors(
        _ name: String, dimension: Int, metric: VectorMetric = .cosine, element: VectorElement = .float32,
        options: VectorOptions = VectorOptions()
    ) async throws -> VectorCollection {
        try await onWorker {
            try self.vectors(name, dimension: dimension, metric: metric, element: element, options: options)
        }
    }

    /// See the synchronous `vectors(named:options:)`.
    public func vectors(
        named name: String, options: VectorOptions = VectorOptions()
    ) async throws -> VectorCollection {
        try await onWorker { try self.vectors(named: name, options: options) }
    }
}

extension VectorCollection {
    /// See the synchronous `upsert(_:_:metadata:durability:)`.
    public func upsert(
        _ key: some ByteRepresentable, _ vector: [Float], metadata: VectorMetadata = [:],
        durability: Durability? = nil
    ) async throws {
        let item = VectorItem(key, vector, metadata: metadata)
        try await store.onWorker { try self.upsert([item], durability: durability) }
    }

    /// See the synchronous `upsert(_:durability:)`.
    public func upsert(_ items: [VectorItem], durability: Durability? = nil) async throws {
        try await store.onWorker { try self.upsert(items, durability: durability) }
    }

    /// See the synchronous `delete(_:durability:)`.
    @discardableResult
    public func delete(_ key: some ByteRepresentable, durability: Durability? = nil) async throws -> Bool {
        let key = key.withBytes { [UInt8]($0) }
        return try await store.onWorker { try self.delete(key, durability: durability) }
    }

    /// See the synchronous `get(_:)`.
    public func get(_ key: some ByteRepresentable, in snapshot: StoreSnapshot? = nil) async throws -> StoredVector? {
        let key = key.withBytes { [UInt8]($0) }
        return try await store.onWorker {
            guard let snapshot else { return try self.get(key) }
            return try self.get(key, in: snapshot)
        }
    }

    /// See the synchronous `contains(_:)`.
    public func contains(_ key: some ByteRepresentable, in snapshot: StoreSnapshot? = nil) async throws -> Bool {
        let key = key.withBytes { [UInt8]($0) }
        return try await store.onWorker { try snapshot.map { try self.contains(key, in: $0) } ?? self.contains(key) }
    }

    /// See the synchronous `scanKeys(in:_:)`.
    public func scanKeys(
        in snapshot: StoreSnapshot? = nil, _ body: @escaping @Sendable ([UInt8]) throws -> ScanStep
    ) async throws {
        try await store.onWorker {
            if let snapshot { try self.scanKeys(in: snapshot, body) } else { try self.scanKeys(in: self.store, body) }
        }
    }

    /// See the synchronous `count(in:)`.
    public func count(in snapshot: StoreSnapshot? = nil) async throws -> Int {
        try await store.onWorker { try snapshot.map { try self.count(in: $0) } ?? self.count(in: self.store) }
    }

    /// See the synchronous `search(_:count:filter:effort:)`.
    public func search(
        _ query: [Float], count: Int = 10, filter: VectorFilter? = nil, effort: SearchEffort = .balanced,
        in snapshot: StoreSnapshot? = nil
    ) async throws -> [VectorMatch] {
        try await store.onWorker {
            guard let snapshot else { return try self.search(query, count: count, filter: filter, effort: effort) }
            return try self.search(query, count: count, filter: filter, effort: effort, in: snapshot)
        }
    }

    /// See the synchronous `measureRecall(queries:sampleCount:count:filter:effort:)`.
    public func measureRecall(
        queries: [[Float]]? = nil, sampleCount: Int = 100, count: Int = 10, filter: VectorFilter? = nil,
        effort: SearchEffort = .balanced
    ) async throws -> VectorRecall {
        try await store.onWorker {
            try self.measureRecall(
                queries: queries, sampleCount: sampleCount, count: count, filter: filter, effort: effort)
        }
    }
}
