// Writing vectors: into a transaction of the caller's, or one of their own.

public import Apus
import Synchronization

/// A vector to be written.
public struct VectorItem: Sendable {
    public var key: [UInt8]
    public var vector: [Float]
    public var metadata: VectorMetadata

    public init(_ key: some ByteRepresentable, _ vector: [Float], metadata: VectorMetadata = [:]) {
        self.key = key.withBytes { [UInt8]($0) }
        self.vector = vector
        self.metadata = metadata
    }
}

extension VectorCollection {
    /// Adds a vector, or replaces the one of that key and its metadata, as part of a transaction.
    ///
    /// - Throws: `StoreError` with `invalidArgument` if the vector has another dimension, has elements that are infinite
    ///   or not numbers or too large for the collection's element, or if the metadata is larger than
    ///   `VectorMetadata.byteLimit`.
    public func upsert(
        _ key: some ByteRepresentable, _ vector: [Float], metadata: VectorMetadata = [:],
        in transaction: StoreTransaction
    ) throws {
        try upsert(VectorItem(key, vector, metadata: metadata), in: transaction)
    }

    /// Adds a vector, or replaces the one of that key and its metadata.
    public func upsert(
        _ key: some ByteRepresentable, _ vector: [Float], metadata: VectorMetadata = [:],
        durability: Durability? = nil
    ) throws {
        let item = VectorItem(key, vector, metadata: metadata)
        try store.transaction(durability: durability) { try upsert(item, in: $0) }
    }

    /// Adds or replaces vectors, all of them or none.
    public func upsert(_ items: [VectorItem], durability: Durability? = nil) throws {
        try store.transaction(durability: durability) { transaction in
            for item in items { try upsert(item, in: transaction) }
        }
    }

    public func upsert(_ item: VectorItem, in transaction: StoreTransaction) throws {
        try check(item.vector, key: item.key)
        let metadata = item.metadata.encoded
        guard metadata.count <= VectorMetadata.byteLimit else {
            throw invalid("metadata has at most \(VectorMetadata.byteLimit) bytes", key: item.key)
        }
        let encoded = shape.encode(item.vector)
        guard encoded.norm <= VectorShape.normLimit else {
            throw invalid("the vector is longer than \(VectorShape.normLimit)", key: item.key)
        }
        let entryKey = VectorKey.entry(item.key)
        let replaced = try node(transaction.get(entryKey, in: nodes), key: item.key)
        let node = nextNode.wrappingAdd(1, ordering: .relaxed).oldValue
        var record = VectorRecord(
            key: item.key, metadata: metadata, scale: encoded.code.scale, norm: encoded.norm, error: encoded.error,
            links: [], codes: encoded.code.codes)
        addToIndex(&record, node: node, in: transaction)
        transaction.put(VectorKey.node(node), record.encoded, in: nodes)
        var value: [UInt8] = []
        value.appendVarint(node)
        transaction.put(entryKey, value, in: nodes)
        if let originals, let original = encoded.original {
            transaction.put(VectorKey.original(node), original, in: originals)
        }
        if let replaced { remove(node: replaced, in: transaction) }
    }

    /// The index must know a vector before anyone can see it, so it is added now, and taken out again if the transaction
    /// fails.
    private func addToIndex(_ record: inout VectorRecord, node: UInt64, in transaction: StoreTransaction) {
        let vector = shape.indexed(node: node, record)
        let links = graph.chooseLinks(for: vector)
        guard hasRoom, graph.insert(vector, links: links, state: NodeMemory.State.pending) else {
            unindexed.insert(node)
            transaction.onEnd { [self] isCommitted in
                if isCommitted || mayBeCommitted(node) { return }
                unindexed.remove(node, unseenFrom: 0)
                unindexed.forget(oldest: store.database.oldestReadSequence)
            }
            return
        }
        record.links = Set(links.map(\.node)).sorted()
        transaction.onEnd { [self] isCommitted in
            if isCommitted || mayBeCommitted(node) {
                graph.confirm(node: node)
            } else {
                graph.remove(node: node, unseenFrom: 0)
            }
            graph.maintain(oldest: store.database.oldestReadSequence)
        }
    }

    /// A commit that failed may have been one all the same, if it was the disk that failed.
    private func mayBeCommitted(_ node: UInt64) -> Bool {
        (try? store.contains(VectorKey.node(node), in: nodes)) != false
    }

    /// Deletes the vector of that key. Returns whether there was one.
    @discardableResult
    public func delete(_ key: some ByteRepresentable, in transaction: StoreTransaction) throws -> Bool {
        let entryKey = VectorKey.entry(key)
        guard let node = try node(transaction.get(entryKey, in: nodes), key: Array(entryKey.dropFirst())) else {
            return false
        }
        transaction.delete(entryKey, in: nodes)
        remove(node: node, in: transaction)
        return true
    }

    /// Deletes the vector of that key, in a commit of its own. Returns whether there was one.
    @discardableResult
    public func delete(_ key: some ByteRepresentable, durability: Durability? = nil) throws -> Bool {
        try store.transaction(durability: durability) { try delete(key, in: $0) }
    }

    private func remove(node: UInt64, in transaction: StoreTransaction) {
        transaction.delete(VectorKey.node(node), in: nodes)
        if let originals { transaction.delete(VectorKey.original(node), in: originals) }
        transaction.onCommit { [self] in
            let sequence = store.database.sequence
            if !graph.remove(node: node, unseenFrom: sequence) { unindexed.remove(node, unseenFrom: sequence) }
            let oldest = store.database.oldestReadSequence
            unindexed.forget(oldest: oldest)
            graph.maintain(oldest: oldest)
        }
    }

    func check(_ vector: [Float], key: [UInt8]? = nil) throws(StoreError) {
        guard vector.count == dimension else {
            throw invalid("a vector has \(dimension) elements, not \(vector.count)", key: key)
        }
        let limit = element == .float16 ? HalfFloat.greatestFiniteMagnitude : .greatestFiniteMagnitude
        for element in vector where !(element.magnitude <= limit) {
            throw invalid("the elements of a vector are numbers up to \(limit)", key: key)
        }
    }

    /// The node that an entry names.
    func node(_ entry: [UInt8]?, key: [UInt8]) throws(StoreError) -> UInt64? {
        guard let entry else { return nil }
        let node: UInt64? = entry.withUnsafeBytes { bytes in
            var reader = StoreByteReader(bytes)
            guard let node = reader.varint(), reader.isAtEnd else { return nil }
            return node
        }
        guard let node else { throw damaged("the entry is damaged", key: key) }
        return node
    }
}
