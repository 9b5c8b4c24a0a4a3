// apus collections: what a store holds.

import Apus
import ApusStore
import ArgumentParser

struct CollectionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "collections",
        abstract: "Lists the collections of documents, vectors, sessions and blobs with their size.",
        discussion: "What lies in the log and in memory only is not counted as on disk yet."
    )

    @OptionGroup var database: DatabaseArgument
    @Flag(help: "Print a JSON array.")
    var json = false

    private struct Line: Encodable {
        var kind: String
        var name: String
        var bytes: UInt64
    }

    func run() throws {
        let database = try database.openForReading()
        // A database without a store is no error here: it has no collections.
        let store = Store.isPresent(in: database) ? try Store(database) : nil
        let lines = try store?.listCollections().map {
            Line(kind: $0.kind.rawValue, name: $0.name, bytes: store?.byteCount($0.kind, $0.name) ?? 0)
        }
        if json { return try printLines([jsonText(lines ?? [])]) }
        var table = AlignedTable(["kind", "name", "on disk"], left: [0, 1])
        for line in lines ?? [] { table.add([line.kind, displayed(line.name.utf8), byteSize(line.bytes)]) }
        try printLines(table.lines)
    }
}
