// The asynchronous forms: the same calls on a thread of the database, so that no thread of the cooperative pool waits for
// a disk or for a hash; and contents that arrive, or are handed out, as asynchronous sequences.

public import Apus
import ApusIO

extension Store {
    /// See the synchronous `blobs(_:gracePeriod:)`.
    public func blobs(
        _ name: String = "blobs", gracePeriod: Duration = .seconds(3600)
    ) async throws -> BlobCollection {
        try await onWorker { try self.blobs(name, gracePeriod: gracePeriod) }
    }
}

extension BlobCollection {
    /// See the synchronous `put(_:durability:)`.
    @discardableResult
    public func put(_ content: some ByteRepresentable & Sendable, durability: Durability? = nil) async throws -> BlobID
    {
        try await store.onWorker { try self.put(content, durability: durability) }
    }

    /// See the synchronous `put(fileAt:durability:)`.
    @discardableResult
    public func put(fileAt path: String, durability: Durability? = nil) async throws -> BlobID {
        try await store.onWorker { try self.put(fileAt: path, durability: durability) }
    }

    /// Stores a content that arrives in pieces, in bounded memory, and returns its address.
    ///
    /// If the sequence ends with an error, or the task is cancelled, nothing is put.
    @discardableResult
    public func put<Pieces: AsyncSequence>(
        contentsOf pieces: Pieces, durability: Durability? = nil, isolation: isolated (any Actor)? = #isolation
    ) async throws -> BlobID where Pieces.Element: ByteRepresentable {
        try await gather(pieces, durability, isolation) { piece, gathered in
            piece.withBytes { gathered.append(contentsOf: $0) }
        }
    }

    /// Stores a content that arrives byte by byte. See `put(contentsOf:durability:isolation:)`.
    @discardableResult
    public func put<Bytes: AsyncSequence>(
        contentsOf bytes: Bytes, durability: Durability? = nil, isolation: isolated (any Actor)? = #isolation
    ) async throws -> BlobID where Bytes.Element == UInt8 {
        try await gather(bytes, durability, isolation) { byte, gathered in gathered.append(byte) }
    }

    private func gather<Elements: AsyncSequence>(
        _ elements: Elements, _ durability: Durability?, _ isolation: isolated (any Actor)?,
        append: (Elements.Element, inout [UInt8]) -> Void
    ) async throws -> BlobID {
        let writer = SharedWriter(makeWriter())
        do {
            // Small pieces are gathered: a change of threads for each would cost more than storing it.
            var gathered: [UInt8] = []
            for try await element in elements {
                append(element, &gathered)
                guard gathered.count >= Self.gatheredByteCount else { continue }
                try Task.checkCancellation()
                let bytes = gathered
                gathered = []
                try await store.onWorker { try writer.writer.write(bytes) }
            }
            try Task.checkCancellation()
            let rest = gathered
            return try await store.onWorker {
                try writer.writer.write(rest)
                return try writer.writer.finish(durability: durability)
            }
        } catch {
            // At once, and not when the last thread lets go of the writer.
            writer.writer.cancel()
            throw error
        }
    }

    private static let gatheredByteCount = 256 << 10

    /// See the synchronous `get(_:)`.
    public func get(_ id: BlobID, in snapshot: StoreSnapshot? = nil) async throws -> [UInt8]? {
        try await store.onWorker {
            guard let snapshot else { return try self.get(id) }
            return try self.get(id, in: snapshot)
        }
    }

    /// See the synchronous `get(_:_:)`.
    public func get(_ id: BlobID, _ range: Range<UInt64>, in snapshot: StoreSnapshot? = nil) async throws -> [UInt8]? {
        try await store.onWorker {
            guard let snapshot else { return try self.get(id, range) }
            return try self.get(id, range, in: snapshot)
        }
    }

    /// See the synchronous `get(_:toFileAt:)`.
    public func get(_ id: BlobID, toFileAt path: String) async throws {
        try await store.onWorker { try self.get(id, toFileAt: path) }
    }

    /// See the synchronous `contains(_:)`.
    public func contains(_ id: BlobID, in snapshot: StoreSnapshot? = nil) async throws -> Bool {
        try await store.onWorker {
            guard let snapshot else { return try self.contains(id) }
            return try self.contains(id, in: snapshot)
        }
    }

    /// See the synchronous `stat(_:)`.
    public func stat(_ id: BlobID, in snapshot: StoreSnapshot? = nil) async throws -> BlobStatus? {
        try await store.onWorker {
            guard let snapshot else { return try self.stat(id) }
            return try self.stat(id, in: snapshot)
        }
    }

    /// See the synchronous `scan(_:)`.
    public func scan(
        in snapshot: StoreSnapshot? = nil, _ body: @escaping @Sendable (BlobID, BlobStatus) throws -> ScanStep
    ) async throws {
        try await store.onWorker {
            guard let snapshot else { return try self.scan(body) }
            try self.scan(in: snapshot, body)
        }
    }

    /// See the synchronous `verify(_:)`.
    public func verify(_ id: BlobID) async throws {
        try await store.onWorker { try self.verify(id) }
    }

    /// See the synchronous `retain(_:)`.
    public func retain(_ id: BlobID) async throws {
        try await store.onWorker { try self.retain(id) }
    }

    /// See the synchronous `release(_:)`.
    public func release(_ id: BlobID) async throws {
        try await store.onWorker { try self.release(id) }
    }

    /// See the synchronous `collectGarbage()`.
    @discardableResult
    public func collectGarbage() async throws -> BlobGarbage {
        try await store.onWorker { try self.collectGarbage() }
    }

    /// See the synchronous `statistics()`.
    public func statistics(in snapshot: StoreSnapshot? = nil) async throws -> BlobStatistics {
        try await store.onWorker {
            guard let snapshot else { return try self.statistics() }
            return try self.statistics(in: snapshot)
        }
    }

    /// The content, piece by piece in order: one piece is in memory at a time, and the blob stays whole as long as the
    /// iterator lives.
    ///
    /// ```swift
    /// for try await piece in blobs.pieces(of: id) { try await send(piece) }
    /// ```
    /// The sequence throws `StoreError` with `notFound` if there is no such blob.
    public func pieces(of id: BlobID, _ range: Range<UInt64> = 0..<UInt64.max) -> BlobPieces {
        BlobPieces(collection: self, id: id, range: range)
    }
}

/// The writer of one put, which goes from one thread to another.
///
/// Unchecked: the calls are made one after the other, each when the one before has returned.
private final class SharedWriter: @unchecked Sendable {
    let writer: BlobWriter
    init(_ writer: BlobWriter) { self.writer = writer }
}

/// The content of a blob as an asynchronous sequence. See `BlobCollection.pieces`.
public struct BlobPieces: AsyncSequence, Sendable {
    public typealias Element = [UInt8]

    let collection: BlobCollection
    let id: BlobID
    let range: Range<UInt64>

    public func makeAsyncIterator() -> Iterator {
        Iterator(collection: collection, id: id, range: range)
    }

    public struct Iterator: AsyncIteratorProtocol {
        let collection: BlobCollection
        let id: BlobID
        var range: Range<UInt64>
        private var snapshot: StoreSnapshot?
        /// Large enough that what is done once a piece does not count.
        private static let pieceByteCount: UInt64 = 1 << 20

        init(collection: BlobCollection, id: BlobID, range: Range<UInt64>) {
            self.collection = collection
            self.id = id
            self.range = range
        }

        public mutating func next() async throws -> [UInt8]? {
            guard !range.isEmpty else { return nil }
            try Task.checkCancellation()
            let (collection, id) = (collection, id)
            let current = try self.snapshot ?? collection.store.snapshot()
            snapshot = current
            let length = Swift.min(range.upperBound - range.lowerBound, Self.pieceByteCount)
            let part = range.lowerBound..<range.lowerBound + length
            let piece = try await collection.store.onWorker { try collection.get(id, part, in: current) }
            guard let piece else { throw collection.missing(id) }
            // A piece that is cut short was the last one.
            range = UInt64(piece.count) < length ? 0..<0 : part.upperBound..<range.upperBound
            if range.isEmpty {
                current.release()
                snapshot = nil
            }
            return piece.isEmpty ? nil : piece
        }
    }
}
