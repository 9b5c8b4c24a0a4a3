// apus export: a keyspace into files.

import Apus
import ArgumentParser
import Foundation

extension ExportFormat: ExpressibleByArgument {}

struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Exports a keyspace, or a range of it, as JSON Lines, CSV, TSV, values, or a directory tree.",
        discussion: """
            What import has read, export writes back. All entries are those of one moment, in key order.

            jsonl: {"key":"…","value":"…"} per line; bytes that are no text become keyBase64 and valueBase64.
            csv, tsv: the columns that were imported, or else key and value; quoted as in RFC 4180.
            values: the values alone, a line each: objects imported with --key-field.
            tree: into the new directory DESTINATION; --lines puts lines together again.
            """
    )

    @OptionGroup var database: DatabaseArgument
    @Argument(help: "A new file or directory; standard output if absent or -.", completion: .file())
    var destination = "-"
    @OptionGroup var keyspace: KeyspaceArgument
    @OptionGroup var range: RangeOptions
    @Option(help: "The format: \(ExportFormat.allCases.map(\.rawValue).joined(separator: ", ")).")
    var format: ExportFormat = .jsonl
    @Flag(help: "tree: the keyspace holds the lines of files.")
    var lines = false
    @Flag(help: "csv, tsv: the columns key and value, whatever was imported.")
    var plain = false
    @Flag(help: "Overwrite DESTINATION if it is a file that exists.")
    var overwrite = false
    @OptionGroup var hex: HexFlag
    @Flag(help: "Print the result as one JSON object on standard error.")
    var json = false

    func validate() throws {
        if format == .tree, destination == "-" { throw ValidationError("A tree needs a directory to go to.") }
        if lines, format != .tree { throw ValidationError("--lines goes with --format tree.") }
        if plain, format != .csv, format != .tsv { throw ValidationError("--plain goes with --format csv or tsv.") }
    }

    func run() throws {
        let range = try range.range(hex)
        let database = try database.openForReading()
        let cursor = try database.existingKeyspace(keyspace.keyspace).makeCursor(range)
        let start = ContinuousClock.now
        var count = 0
        var files = 1
        if format == .tree {
            let writer = try TreeWriter(destination, byLine: lines)
            count = try forEach(cursor, writer.write)
            try writer.close()
            files = writer.fileCount
        } else {
            let output = try destination == "-" ? ByteOutput() : ByteOutput(path: destination, overwrite: overwrite)
            let layout = plain || hex.isHex ? nil : try ImportPositions.layout(of: keyspace.keyspace, in: database)
            let writer = try RecordWriter(output, format, hex: hex.isHex, layout: layout ?? .plain)
            count = try forEach(cursor, writer.write)
            try output.flush()
        }
        let duration = ContinuousClock.now - start
        // Standard output may be the export itself.
        let text =
            json
            ? "{\"entries\":\(count),\"files\":\(files),\"seconds\":\(duration.seconds)}\n"
            : "\(grouped(count)) entries into \(counted(files, "file")) in \(duration.readable)\n"
        if json || destination != "-" || isTerminal(2) { writeToStandardError(text) }
    }

    private func forEach(_ cursor: Cursor, _ body: ([UInt8], [UInt8]) throws -> Void) throws -> Int {
        var count = 0
        try cursor.seekToFirst()
        while cursor.isValid {
            try body(cursor.key, cursor.value())
            count += 1
            try cursor.next()
        }
        return count
    }
}
