// How far the import of a source has come. Positions live in a keyspace of their own, in the same atomic batch as the
// entries that they count: after a crash both are there or neither, so an import that is run again never loses a
// record and never starts over.

import Apus
import Foundation

struct ImportPosition: Codable, Equatable {
    /// The source as it was when the import began; a changed one is imported again.
    var stamp: FileStamp
    var position = ReaderPosition()
    var isDone = false
    /// Records that an earlier, longer state of the source had.
    var earlierRecords = 0
    /// Of sources with rows.
    var layout: TableLayout?
}

/// What a position is the position of.
struct ImportSource {
    /// Where the source is.
    var path: [UInt8]
    /// Everything else that decides which entries it becomes. Without all of it, one import would take what another
    /// has done for its own work, and leave out entries.
    var recipe: [KeyElement]
}

/// The keyspace of positions, seen by one import.
struct ImportPositions {
    static let keyspaceName = "apus.import"
    private let keyspace: Keyspace
    private let target: String

    /// - Parameter target: the keyspace that is filled.
    init(_ database: Database, target: String) throws {
        keyspace = try database.keyspace(Self.keyspaceName)
        self.target = target
    }

    func position(of source: ImportSource) throws -> ImportPosition? {
        // What cannot be read is no position: the source is imported from its beginning, which is always right.
        try keyspace.get(key(source)).flatMap { try? JSONDecoder().decode(ImportPosition.self, from: Data($0)) }
    }

    func put(_ position: ImportPosition, of source: ImportSource, into batch: inout WriteBatch) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        batch.put(key(source), [UInt8](try encoder.encode(position)), in: keyspace)
    }

    /// Records of all sources that are in the database by their positions, of every import so far.
    func recordCount() throws -> Int {
        var count = 0
        let cursor = try keyspace.makeCursor()
        try cursor.seekToFirst()
        while cursor.isValid {
            count += try JSONDecoder().decode(ImportPosition.self, from: Data(cursor.value())).position.records
            try cursor.next()
        }
        return count
    }

    /// The layout of the table that was imported into a keyspace, if all tables imported into it have the same.
    static func layout(of target: String, in database: Database) throws -> TableLayout? {
        guard database.keyspaceNames.contains(keyspaceName) else { return nil }
        let cursor = try database.existingKeyspace(keyspaceName).makeCursor(
            .prefix(KeyCoder.encode(KeyElement(target))))
        var layout: TableLayout?
        try cursor.seekToFirst()
        while cursor.isValid {
            let position = try? JSONDecoder().decode(ImportPosition.self, from: Data(cursor.value()))
            if let found = position?.layout {
                if let layout, layout != found { return nil }
                layout = found
            }
            try cursor.next()
        }
        return layout
    }

    private func key(_ source: ImportSource) -> [UInt8] {
        KeyCoder.encode(KeyElement(target), .tuple(source.recipe), KeyElement(source.path))
    }
}
