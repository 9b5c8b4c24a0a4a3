// What a store holds, for whoever does not know it beforehand: the command line, tools, migrations.

import Apus

/// A collection as the catalogue names it.
public struct CollectionDescription: Sendable, Hashable, CustomStringConvertible {
    public var kind: CollectionKind
    /// Without the kind.
    public var name: String

    /// `doc:message`, as errors and `verify` name it.
    public var description: String { "\(kind.rawValue):\(name)" }
}

extension Store {
    /// Every collection, by kind and name.
    public func listCollections() throws -> [CollectionDescription] {
        try listCollections(in: self)
    }

    /// Every collection that `reader` sees, by kind and name. Records that are damaged are left to `verify`.
    public func listCollections(in reader: some StoreReader) throws -> [CollectionDescription] {
        try catalogue.collections(in: reader) { _, _ in }
            .map { CollectionDescription(kind: $0.name.kind, name: $0.name.name) }
            .sorted { ($0.kind.rawValue, $0.name) < ($1.kind.rawValue, $1.name) }
    }

    /// Suspends instead of blocking; see the synchronous form.
    public func listCollections(in snapshot: StoreSnapshot? = nil) async throws -> [CollectionDescription] {
        try await onWorker { try snapshot.map { try self.listCollections(in: $0) } ?? self.listCollections() }
    }

    /// The collection of vectors of that name as it is, whatever its dimension.
    ///
    /// - Throws: `StoreError` with `notFound` if there is none.
    public func vectors(named name: String, options: VectorOptions = VectorOptions()) throws -> VectorCollection {
        let collectionName = try CollectionName(.vectors, name)
        guard let record = try catalogue.record(of: collectionName, in: self) else {
            throw StoreError(.notFound, "there is no such collection", collection: collectionName.description)
        }
        try VectorCollection.check(record, of: collectionName)
        guard let shape = VectorShape(definition: record.definition) else {
            throw StoreError(.corruption, "the definition is damaged", collection: collectionName.description)
        }
        return try vectors(
            name, dimension: shape.dimension, metric: shape.metric, element: shape.element, options: options)
    }
}
