// What a collection is called: its kind and its name, and the keyspaces and the catalogue's key that follow from them.

import Apus

/// The kinds of collections. The raw values begin the names of keyspaces: never change them.  FORMAT.md §8
public enum CollectionKind: String, Sendable, CaseIterable {
    case documents = "doc"
    case blobs = "blob"
    case sessions = "session"
    case vectors = "vector"
}

/// `<kind>:<name>`, which is the name of the collection's first keyspace too.
struct CollectionName: Hashable, Sendable, CustomStringConvertible {
    let kind: CollectionKind
    let name: String

    /// Leaves room, in the 255 bytes of a keyspace's name, for the kind and the part.
    static let longestName = 200

    /// Throws unless the name can be that of a collection: 1 to 200 bytes without a colon, which separates its parts.
    init(_ kind: CollectionKind, _ name: String) throws(StoreError) {
        guard (1...Self.longestName).contains(name.utf8.count), !name.utf8.contains(UInt8(ascii: ":")) else {
            throw StoreError(
                .invalidArgument, "the name of a collection has 1 to \(Self.longestName) bytes and no colon",
                collection: "\(kind.rawValue):\(name)")
        }
        self.kind = kind
        self.name = name
    }

    var description: String { "\(kind.rawValue):\(name)" }

    // Text that is equal may be different bytes, and the catalogue's keys are bytes.
    static func == (left: CollectionName, right: CollectionName) -> Bool {
        left.kind == right.kind && left.name.utf8.elementsEqual(right.name.utf8)
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(kind)
        hasher.combine(name)
    }

    /// Reads the same, whether it is the same bytes or not.
    func isSameText(as other: CollectionName) -> Bool {
        kind == other.kind && name == other.name
    }

    /// The name of one of the collection's further keyspaces.
    func keyspace(_ part: String) -> String { "\(self):\(part)" }

    /// The key of the catalogue's record.
    var catalogueKey: [UInt8] {
        KeyCoder.encode(.string(Catalogue.collectionsTag), .string(kind.rawValue), .string(name))
    }
}
