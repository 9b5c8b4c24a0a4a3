// A collection of blobs: opening it, and the operations on one blob as a whole. Putting is in BlobCollection+Put.swift
// and BlobWriter.swift, reading in BlobCollection+Read.swift, reclaiming in BlobCollection+Garbage.swift.
//
// A blob is small and kept whole, under its own address, or it is a list of chunks, in pages, and chunks are shared.
// Who refers to what is counted by merge operands, in the commit that changes it:
//
//   the application ──references──▶ blob ──record──▶ list of chunks ──uses──▶ chunk
//
// 1. A chunk is kept as long as a list uses it; the commit that drops the last use drops the chunk.
// 2. A list belongs to a record, or it has a mark. Marks stand for contents that are being put, page by page, and for
//    those that are being given up, page by page: a crash in the middle leaves a mark, and the next collection of
//    garbage goes on with it. A put that is under way is known in memory; marks of others belong to nobody.
// 3. A record is kept as long as there are references, and for the grace period after it was put.

import Apus
import ApusIO

/// Contents of any size, each stored once, found by the SHA-256 of their bytes.
///
/// ```swift
/// let blobs = try store.blobs()
/// let id = try blobs.put(fileAt: "photo.jpeg")
/// try store.transaction { transaction in
///     try messages.insert(Message(attachment: id), in: transaction)
///     try blobs.retain(id, in: transaction)
/// }
/// ```
/// A blob that nothing refers to is kept for the collection's grace period after it was put, and reclaimed by
/// `collectGarbage()` later on.
public final class BlobCollection: StoreCollection, Sendable {
    public let store: Store
    /// Without the kind: `blobs`.
    public var name: String { collectionName.name }
    /// How long a blob without references is kept after it was put: the time that there is to refer to it.
    public let gracePeriod: Duration

    let collectionName: CollectionName
    /// Contents, as FORMAT.md §8.2 lays them out.
    let content: Keyspace
    /// Records, references, lists and counters.
    let index: Keyspace
    let fingerprint: ChunkFingerprint
    let chunker: ContentChunker
    /// The lists that puts of this process are writing.
    let activeLists = Monitor(Set<UInt64>())
    /// What came of trying to compress whole contents lately.
    let trial = Monitor(CompressionTrial())

    var definition: [UInt8] { [] }

    static let format = 1
    /// Larger contents are cut into chunks.
    var largestWhole: Int { chunker.normal }

    init(
        _ name: CollectionName, seed: UInt64, gracePeriod: Duration, chunker: ContentChunker = .standard,
        fingerprint: ChunkFingerprint? = nil, in store: Store
    ) throws(ApusError) {
        self.store = store
        self.gracePeriod = gracePeriod
        collectionName = name
        self.chunker = chunker
        self.fingerprint = fingerprint ?? ChunkFingerprint(seed: seed)
        // What compresses is compressed already. Chunks are large and found by address: blob files, which compaction
        // does not rewrite, take them as early as that pays.
        content = try store.keyspace(
            name.description, KeyspaceOptions(compression: .none, valueSeparationThreshold: 4 << 10))
        index = try store.keyspace(name.keyspace("index"), KeyspaceOptions(mergeOperator: .add))
    }

    // MARK: One blob

    /// What is known of a blob without reading it; nil if there is none.
    public func stat(_ id: BlobID) throws -> BlobStatus? {
        try stat(id, in: store)
    }

    /// What is known of a blob without reading it; nil if there is none.
    public func stat(_ id: BlobID, in reader: some StoreReader) throws -> BlobStatus? {
        guard let record = try record(of: id, in: reader) else { return nil }
        return BlobStatus(
            byteCount: record.byteCount, references: try count(BlobIndexKey.references(id), in: reader),
            isChunked: record.layout != .whole, lastPut: record.putAt)
    }

    public func contains(_ id: BlobID) throws -> Bool {
        try contains(id, in: store)
    }

    public func contains(_ id: BlobID, in reader: some StoreReader) throws -> Bool {
        try reader.contains(BlobIndexKey.record(id), in: index)
    }

    // MARK: References

    /// Counts one more reference to the blob, which is kept until `release`: in a transaction of its own.
    public func retain(_ id: BlobID) throws {
        try store.transaction { try retain(id, in: $0) }
    }

    /// Counts one more reference to the blob, in the commit that adds whatever refers to it.
    ///
    /// - Throws: `StoreError` with `notFound` if there is no such blob.
    public func retain(_ id: BlobID, in transaction: StoreTransaction) throws {
        guard let record = try record(of: id, in: transaction) else { throw missing(id) }
        transaction.merge(BlobIndexKey.references(id), 1, in: index)
        add(Int64(record.byteCount), to: .referencedBytes, in: transaction)
    }

    /// Takes one reference to the blob away: in a transaction of its own.
    public func release(_ id: BlobID) throws {
        try store.transaction { try release(id, in: $0) }
    }

    /// Takes one reference to the blob away, in the commit that drops whatever referred to it. The blob stays until
    /// garbage is collected.
    ///
    /// - Throws: `StoreError` with `notFound` if there is no such blob, `constraintViolated` if it has no reference.
    public func release(_ id: BlobID, in transaction: StoreTransaction) throws {
        guard let record = try record(of: id, in: transaction) else { throw missing(id) }
        let key = BlobIndexKey.references(id)
        guard try count(key, in: transaction) > 0 else {
            throw StoreError(
                .constraintViolated, "the blob is released more often than it was retained",
                collection: collectionName.description, key: id.description)
        }
        transaction.merge(key, -1, in: index)
        add(-Int64(record.byteCount), to: .referencedBytes, in: transaction)
    }

    // MARK: For the other parts

    func record(of id: BlobID, in reader: some StoreReader) throws -> BlobRecord? {
        try reader.withValue(for: BlobIndexKey.record(id), in: index) { value in
            guard let record = value.withBytes({ BlobRecord($0) }) else { throw damaged(id, "its record is damaged") }
            return record
        }
    }

    /// A count kept by merges; nothing counts as zero.
    func count(_ key: [UInt8], in reader: some StoreReader) throws -> Int64 {
        let count = try reader.withValue(for: key, in: index) { value -> Int64? in
            value.withBytes { bytes in
                var reader = StoreByteReader(bytes)
                return reader.littleEndian(Int64.self)
            }
        }
        guard let count else { return 0 }
        guard let count else {
            throw StoreError(.corruption, "a count is damaged", collection: collectionName.description)
        }
        return count
    }

    func add(_ amount: Int64, to counter: BlobCounter, in transaction: StoreTransaction) {
        if amount != 0 { transaction.merge(counter.key, amount, in: index) }
    }

    func missing(_ id: BlobID) -> StoreError {
        StoreError(
            .notFound, "there is no such blob", collection: collectionName.description, key: id.description)
    }

    func damaged(_ id: BlobID, _ message: String) -> StoreError {
        StoreError(.corruption, message, collection: collectionName.description, key: id.description)
    }

    var graceMilliseconds: UInt64 { gracePeriod.countedMilliseconds }
}

/// What is known of a blob without reading it.
public struct BlobStatus: Sendable, Hashable {
    public var byteCount: UInt64
    /// Retained that many times more than released.
    public var references: Int64
    /// Cut into chunks, which it may share with others.
    public var isChunked: Bool
    /// Milliseconds since 1970-01-01 UTC; putting a blob again may leave it up to a quarter of the grace period behind.
    public var lastPut: UInt64
}

extension Store {
    /// The collection of blobs of that name, created on first use.
    ///
    /// - Parameters:
    ///   - name: 1 to 200 bytes without a colon.
    ///   - gracePeriod: how long a blob without references is kept after it was put. Of two callers that use the
    ///     collection at the same time the first decides.
    public func blobs(_ name: String = "blobs", gracePeriod: Duration = .seconds(3600)) throws -> BlobCollection {
        try blobs(name, gracePeriod: gracePeriod, chunker: .standard)
    }

    func blobs(
        _ name: String, gracePeriod: Duration, chunker: ContentChunker, fingerprint: ChunkFingerprint? = nil
    ) throws -> BlobCollection {
        try collection(.blobs, name, definition: []) { record in
            let collectionName = try CollectionName(.blobs, name)
            return try BlobCollection(
                collectionName, seed: try blobSeed(collectionName, record), gracePeriod: gracePeriod, chunker: chunker,
                fingerprint: fingerprint, in: self)
        }
    }

    /// The secret of the collection's fingerprints, drawn when it is created.
    private func blobSeed(_ name: CollectionName, _ record: CollectionRecord?) throws -> UInt64 {
        guard let record else {
            return try transaction { transaction in
                // Somebody else may have created it since the look outside the transaction.
                if let record = try catalogue.record(of: name, in: transaction) {
                    return try BlobCollection.seed(of: name, record)
                }
                let seed = database.environment.random.next()
                var definition: [UInt8] = []
                definition.appendLittleEndian(seed)
                let record = CollectionRecord(format: BlobCollection.format, definition: definition)
                try catalogue.put(record, of: name, in: transaction)
                return seed
            }
        }
        return try BlobCollection.seed(of: name, record)
    }
}

extension BlobCollection {
    static func seed(of name: CollectionName, _ record: CollectionRecord) throws(StoreError) -> UInt64 {
        guard record.format == format else {
            throw StoreError(
                .unsupportedFormat, "has format \(record.format), not \(format)", collection: name.description)
        }
        let seed = record.definition.withUnsafeBytes { bytes in
            var reader = StoreByteReader(bytes)
            let seed = reader.littleEndian(UInt64.self)
            return reader.isAtEnd ? seed : nil
        }
        guard let seed else {
            throw StoreError(.corruption, "its definition is damaged", collection: name.description)
        }
        return seed
    }
}
