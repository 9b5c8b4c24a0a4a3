// The figures of a collection of blobs, which every change keeps up to date: reading them costs six lookups.

/// How much a collection of blobs holds, and what sharing and compression save.
public struct BlobStatistics: Sendable, Hashable {
    public var blobs = 0
    /// Bytes of the blobs, each counted once.
    public var contentBytes = 0
    /// Bytes of the blobs, counted once for each reference: what keeping every referrer's copy would take.
    public var referencedBytes = 0
    /// Whole contents and chunks that are kept.
    public var pieces = 0
    /// The bytes they stand for.
    public var pieceBytes = 0
    /// The bytes they are stored in.
    public var storedBytes = 0

    /// How many times over the content would take its space if chunks were not shared; 1 if nothing is.
    public var deduplicationRatio: Double { pieceBytes == 0 ? 1 : Double(contentBytes) / Double(pieceBytes) }
    /// What compression divides the bytes by; 1 if nothing compresses.
    public var compressionRatio: Double { storedBytes == 0 ? 1 : Double(pieceBytes) / Double(storedBytes) }
}

extension BlobCollection {
    /// The figures of the collection at this moment. Contents that are being put count as pieces already, and as blobs
    /// once they are complete.
    public func statistics() throws -> BlobStatistics {
        let snapshot = try store.snapshot()
        defer { snapshot.release() }
        return try statistics(in: snapshot)
    }

    /// The figures of the collection as `reader` sees it.
    public func statistics(in reader: some StoreReader) throws -> BlobStatistics {
        func figure(_ counter: BlobCounter) throws -> Int { Int(try count(counter.key, in: reader)) }
        return BlobStatistics(
            blobs: try figure(.blobs), contentBytes: try figure(.contentBytes),
            referencedBytes: try figure(.referencedBytes), pieces: try figure(.pieces),
            pieceBytes: try figure(.pieceBytes), storedBytes: try figure(.storedBytes))
    }
}
