// apus verify, compact, keyspaces: looking after a database.

import Apus
import ArgumentParser
import Foundation

struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Reads every byte of the database and checks it.",
        discussion: """
            Checks checksums, key order, level invariants and the manifest against the directory. Changes nothing. \
            Exits with 0 if the database is sound and with 2 if it is damaged.
            """
    )

    @OptionGroup var database: DatabaseArgument
    @Flag(help: "Print one JSON object.")
    var json = false

    private struct Report: Encodable {
        struct Problem: Encodable {
            var kind: String
            var message: String
            var file: String?
            var offset: UInt64?
        }
        var sound: Bool
        var tables: Int
        var blobFiles: Int
        var logSegments: Int
        var discardedLogBytes: UInt64
        var bytes: UInt64
        var entries: UInt64
        var problems: [Problem]
        var leftovers: [String]
        var foreignNames: [String]
    }

    func run() throws {
        let database = try database.openForReading()
        let report = try database.verify()
        let output = ByteOutput()
        if json {
            try output.writeLine(
                jsonText(
                    Report(
                        sound: report.isSound,
                        tables: report.tables,
                        blobFiles: report.blobFiles,
                        logSegments: report.logSegments,
                        discardedLogBytes: report.discardedLogByteCount,
                        bytes: report.byteCount,
                        entries: report.entries,
                        problems: report.problems.map {
                            Report.Problem(
                                kind: $0.kind.rawValue,
                                message: $0.message,
                                file: $0.file,
                                offset: $0.offset
                            )
                        },
                        leftovers: report.leftovers,
                        foreignNames: report.foreignNames
                    )
                )
            )
        } else {
            let files =
                [
                    counted(report.tables, "table"), counted(report.blobFiles, "blob file"),
                    counted(report.logSegments, "log segment"),
                ].joined(separator: ", ")
            try output.writeLine("checked  \(files), \(byteSize(report.byteCount))")
            try output.writeLine("entries  \(grouped(report.entries)) in tables")
            if report.discardedLogByteCount > 0 {
                try output.writeLine(
                    "torn  \(byteSize(report.discardedLogByteCount)) at the end of the log: commits that a crash cut off, or "
                        + "damage since; salvage shows what is left of them")
            }
            for name in report.leftovers {
                try output.writeLine("leftover  \(name): the next open for writing removes it")
            }
            for name in report.foreignNames { try output.writeLine("foreign  \(name): not a file of the database") }
            for problem in report.problems { try output.writeLine("damaged  \(problem)") }
            try output.writeLine(report.isSound ? "sound" : "not sound: \(counted(report.problems.count, "problem"))")
        }
        try output.flush()
        if !report.isSound {
            throw Failure("the database in \(self.database.database) is damaged", code: 2)
        }
    }
}

struct CompactCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compact",
        abstract: "Merges everything down to the last level and drops what is overwritten or deleted.",
        discussion: "The engine does this by itself as far as it pays; this does all of it, now."
    )

    @OptionGroup var database: DatabaseArgument
    @Option(name: [.customShort("k"), .long], help: "Only this keyspace.")
    var keyspace: String?
    @OptionGroup var range: RangeOptions
    @OptionGroup var hex: HexFlag
    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let range = try range.range(hex)
        let database = try database.openForWriting()
        let before = size(database)
        let start = ContinuousClock.now
        if let keyspace {
            try database.existingKeyspace(keyspace).compact(range)
        } else {
            try database.compact(range)
        }
        let after = size(database)
        let duration = ContinuousClock.now - start
        try database.close()
        let output = ByteOutput()
        try output.writeLine(
            json
                ? "{\"bytesBefore\":\(before),\"bytesAfter\":\(after),\"seconds\":\(duration.seconds)}"
                : "\(byteSize(before)) before, \(byteSize(after)) after, \(duration.readable)"
        )
        try output.flush()
    }

    private func size(_ database: Database) -> UInt64 {
        database.statistics.keyspaces.reduce(0) { $0 + $1.tableByteCount + $1.blobByteCount }
    }
}

struct KeyspacesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keyspaces",
        abstract: "Lists the keyspaces with their size.",
        discussion: """
            Entries are counted with their old versions and deletions, which compaction has not dropped yet; \
            apus count counts exactly.
            """
    )

    @OptionGroup var database: DatabaseArgument
    @Flag(help: "Print a JSON array.")
    var json = false

    private struct Line: Encodable {
        var name: String
        var entries: UInt64
        var bytes: UInt64
    }

    func run() throws {
        let database = try database.openForReading()
        let lines = database.statistics.keyspaces.map {
            Line(name: $0.name, entries: $0.entries, bytes: $0.tableByteCount + $0.blobByteCount)
        }
        let output = ByteOutput()
        if json {
            try output.writeLine(jsonText(lines))
        } else {
            var table = AlignedTable(["keyspace", "entries", "on disk"])
            for line in lines { table.add([displayed(line.name.utf8), grouped(line.entries), byteSize(line.bytes)]) }
            for line in table.lines { try output.writeLine(line) }
        }
        try output.flush()
    }
}

/// Indented JSON with keys in order.
func jsonText(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
        positiveInfinity: "infinity",
        negativeInfinity: "-infinity",
        nan: "nan"
    )
    return String(decoding: try encoder.encode(value), as: UTF8.self)
}
