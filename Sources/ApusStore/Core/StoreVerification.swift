// Verifying a store: the engine's own verification, and the relations that each collection has to keep between its
// keyspaces.

public import Apus

/// The result of verifying a store.
public struct StoreVerification: Sendable {
    /// Something that is not as it should be.
    public struct Problem: Sendable, Hashable, CustomStringConvertible {
        /// Kind and name: `blob:blobs`.
        public var collection: String
        /// What it is about, as people read it; empty if it is about the collection as a whole.
        public var key: String
        public var message: String

        public var description: String {
            key.isEmpty ? "collection \(collection): \(message)" : "collection \(collection), key \(key): \(message)"
        }
    }

    /// What the engine found.
    public var database: VerificationReport
    /// The collections looked at.
    public internal(set) var collections: [String] = []
    /// Records, references and bytes' checksums compared.
    public internal(set) var checks = 0
    /// Problems of collections, the first `problemLimit` of them.
    public internal(set) var problems: [Problem] = []
    /// How many problems there are.
    public internal(set) var problemCount = 0

    /// More are counted, but not kept.
    public static let problemLimit = 1000

    public var isSound: Bool { database.isSound && problemCount == 0 }

    init(database: VerificationReport) {
        self.database = database
    }

    mutating func report(_ name: CollectionName, key: String = "", _ message: String) {
        report(name.description, key: key, message)
    }

    mutating func report(_ collection: String, key: String = "", _ message: String) {
        problemCount += 1
        if problems.count < Self.problemLimit {
            problems.append(Problem(collection: collection, key: key, message: message))
        }
    }
}

/// What the store caches by name.
protocol StoreCollection: AnyObject, Sendable {
    /// What has to be the same for everyone who uses the collection.
    var definition: [UInt8] { get }
}

/// A collection whose own relations can be verified.
protocol VerifiableCollection: StoreCollection {
    /// The collection as the catalogue describes it, whatever its definition.
    static func open(_ name: CollectionName, _ record: CollectionRecord, in store: Store) throws -> Self

    /// Reports everything that is not as it should be; throws only if it cannot go on.
    func verify(in snapshot: StoreSnapshot, report: inout StoreVerification) throws
}

extension CollectionKind {
    /// The type that verifies collections of the kind.
    var verifiableType: any VerifiableCollection.Type {
        switch self {
        case .blobs: BlobCollection.self
        case .documents: DocumentCollection.self
        case .sessions: SessionCollection.self
        case .vectors: VectorCollection.self
        }
    }
}

extension Store {
    /// Reads every byte of the database and checks it (see `Database.verify`), then the relations of every collection:
    /// indexes with their documents, reference counts with references, chunks with blobs. What it finds is in the
    /// report; it throws only if it cannot go on.
    public func verify() throws -> StoreVerification {
        var report = StoreVerification(database: try database.verify())
        let snapshot = try snapshot()
        defer { snapshot.release() }
        let collections = try catalogue.collections(in: snapshot) { key, error in
            report.report(error.collection ?? Catalogue.keyspaceName, key: String(describing: key), error.message)
        }
        for (name, record) in collections {
            report.collections.append(name.description)
            do {
                try name.kind.verifiableType.open(name, record, in: self).verify(in: snapshot, report: &report)
            } catch let error as StoreError {
                report.report(name, key: error.key ?? "", error.message)
            } catch let error as ApusError where error.kind == .corruption {
                report.report(name, error.description)
            } catch let error as ApusError where error.kind == .notFound && database.isReadOnly {
                // The power failed between the catalogue's record and the keyspaces: there is nothing in it yet.
            }
        }
        return report
    }
}
