// Which blobs there are.

public import Apus

extension BlobCollection {
    /// Calls `body` with each blob, in the order of their addresses, until it returns `.stop`.
    public func scan(_ body: (BlobID, BlobStatus) throws -> ScanStep) throws {
        let snapshot = try store.snapshot()
        defer { snapshot.release() }
        try scan(in: snapshot, body)
    }

    /// Calls `body` with each blob that `reader` sees, in the order of their addresses, until it returns `.stop`.
    public func scan(in reader: some StoreReader, _ body: (BlobID, BlobStatus) throws -> ScanStep) throws {
        try reader.scan(.prefix([BlobIndexTag.record]), in: index) { key, _ in
            guard let id = key.withBytes({ BlobID($0.dropFirst()) }) else {
                throw StoreError(
                    .corruption, "the key of a blob is damaged", collection: collectionName.description)
            }
            guard let status = try stat(id, in: reader) else { return .next }
            return try body(id, status)
        }
    }
}
