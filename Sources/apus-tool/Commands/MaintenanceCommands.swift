// apus verify, compact, keyspaces: looking after a database.

import Apus
import ApusStore
import ArgumentParser
import Foundation

struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Reads every byte of the database and checks it.",
        discussion: """
            Checks checksums, key order, level invariants and the manifest against the directory, and if the database \
            holds a store, what its collections have to keep: references, indexes, hashes. Changes nothing. \
            Exits with 0 if the database is sound and with 2 if it is damaged. Damage that keeps it from being opened is \
            the only problem then that is reported.
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

            init(_ error: ApusError) {
                (kind, message, file, offset) = (error.kind.rawValue, error.message, error.file, error.offset)
            }

            init(_ problem: StoreVerification.Problem) {
                (kind, message) = ("store", problem.description)
            }
        }
        var sound = false
        var tables = 0
        var blobFiles = 0
        var logSegments = 0
        var discardedLogBytes: UInt64 = 0
        var bytes: UInt64 = 0
        var entries: UInt64 = 0
        var problems: [Problem]
        var leftovers: [String] = []
        var foreignNames: [String] = []

        init(_ report: VerificationReport, _ storeProblems: [StoreVerification.Problem]) {
            sound = report.isSound && storeProblems.isEmpty
            tables = report.tables
            blobFiles = report.blobFiles
            logSegments = report.logSegments
            discardedLogBytes = report.discardedLogByteCount
            bytes = report.byteCount
            entries = report.entries
            problems = report.problems.map { Problem($0) } + storeProblems.map { Problem($0) }
            leftovers = report.leftovers
            foreignNames = report.foreignNames
        }

        /// Of a database that could not be read to the end: this is all that is known.
        init(_ error: ApusError) {
            problems = [Problem(error)]
        }
    }

    func run() throws {
        let report: VerificationReport
        var storeProblems: [StoreVerification.Problem] = []
        var unlistedCount = 0
        do {
            let database = try database.openForReading()
            if Store.isPresent(in: database) {
                let verification = try Store(database).verify()
                report = verification.database
                storeProblems = verification.problems
                unlistedCount = verification.problemCount - storeProblems.count
            } else {
                report = try database.verify()
            }
        } catch let error as ApusError where json {
            try write([jsonText(Report(error))])
            throw error
        }
        try write(json ? [jsonText(Report(report, storeProblems))] : lines(report, storeProblems, unlistedCount))
        if !report.isSound || !storeProblems.isEmpty {
            throw Failure("the database in \(self.database.database) is damaged", code: 2)
        }
    }

    private func write(_ lines: [String]) throws {
        let output = ByteOutput()
        for line in lines { try output.writeLine(line) }
        try output.flush()
    }

    private func lines(
        _ report: VerificationReport, _ storeProblems: [StoreVerification.Problem], _ unlistedCount: Int
    ) -> [String] {
        let files = [
            counted(report.tables, "table"), counted(report.blobFiles, "blob file"),
            counted(report.logSegments, "log segment"),
        ]
        var lines = [
            "checked  \(files.joined(separator: ", ")), \(byteSize(report.byteCount))",
            "entries  \(grouped(report.entries)) in tables",
        ]
        if report.discardedLogByteCount > 0 {
            lines.append(
                "torn  \(byteSize(report.discardedLogByteCount)) at the end of the log: commits that a crash cut off, or "
                    + "damage since; salvage shows what is left of them")
        }
        lines += report.leftovers.map { "leftover  \($0): the next open for writing removes it" }
        lines += report.foreignNames.map { "foreign  \(displayed($0.utf8)): not a file of the database" }
        lines += report.problems.map { "damaged  \($0)" }
        lines += storeProblems.map { "damaged  \(displayed($0.description.utf8))" }
        let problemCount = report.problems.count + storeProblems.count + unlistedCount
        return lines + [problemCount == 0 ? "sound" : "not sound: \(counted(problemCount, "problem"))"]
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
