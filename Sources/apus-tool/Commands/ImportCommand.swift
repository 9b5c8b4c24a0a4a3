// apus import: files into a keyspace.

import Apus
import ArgumentParser
import Foundation

extension ImportFormat: ExpressibleByArgument {}

struct ImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Imports JSON Lines, CSV, TSV, or whole directory trees.",
        discussion: """
            jsonl: one object per line, {"key":"…","value":"…"}; keyHex, keyBase64, valueHex and valueBase64 carry \
            bytes that are no text. With --key-field the objects may have any shape: that field is the key and the \
            line the value.
            csv, tsv: fields quoted as in RFC 4180; lines may end with LF, CRLF or CR. The key is the first column or --key-column; the value is the \
            other one of two, --value-column, or all others as a JSON object.
            tree: a directory. Keys are relative paths, values the files' bytes. With --lines every line is an entry: \
            key path:00000001, value the line with its line feed. Symbolic links are skipped; files that cannot be read, \
            or hold more than 256 MiB without --lines, are left out and reported at the end.

            A directory is always a tree, so --format csv, tsv or jsonl are for files; a file's format follows from its \
            name, or from --format. Standard input is -, and needs --format.

            An import may be killed at any time. Run again, it skips what is done and goes on where it was; a source \
            that has changed since, or that would become other keys or values this time, is imported again. What was \
            done counts as done even if its entries were changed or deleted since: --again imports it, too. Standard \
            input begins anew with every run, since nothing tells whether it is the same.
            """
    )

    @OptionGroup var database: DatabaseArgument
    @Argument(help: "Files and directories; - for standard input.", completion: .file())
    var sources: [String]
    @OptionGroup var keyspace: KeyspaceArgument
    @Flag(help: "Create the database if there is none.")
    var create = false
    @Option(help: "The format: \(ImportFormat.allCases.map(\.rawValue).joined(separator: ", ")).")
    var format: ImportFormat?
    @Option(help: "jsonl: the field that is the key; the whole line becomes the value.")
    var keyField: String?
    @Option(help: "csv, tsv: the key's column, by name or number from 1.")
    var keyColumn: String?
    @Option(help: "csv, tsv: the value's column, by name or number from 1.")
    var valueColumn: String?
    @Flag(help: "csv, tsv: the first row is data; columns have numbers.")
    var noHeader = false
    @Flag(help: "tree: one entry per line.")
    var lines = false
    @Flag(help: "tree: skip files with a zero byte at their beginning.")
    var textOnly = false
    @Flag(help: "tree: keys begin with SOURCE as it was given.")
    var fullPath = false
    @Flag(help: "Import what earlier runs have finished, too.")
    var again = false
    @Flag(help: "Report progress on standard error, a line at a time, also where it is no terminal.")
    var progressLines = false
    @Flag(help: "Print the result as one JSON object.")
    var json = false

    func validate() throws {
        if sources.isEmpty { throw ValidationError("Give at least one file or directory to import.") }
        if keyField != nil, [keyColumn, valueColumn].contains(where: { $0 != nil }) || noHeader || lines {
            throw ValidationError(
                "--key-field goes with JSON Lines, --key-column, --value-column and --no-header with rows.")
        }
        if noHeader, [keyColumn, valueColumn].contains(where: { $0 != nil && Int($0!) == nil }) {
            throw ValidationError("With --no-header columns are numbers.")
        }
    }

    func run() throws {
        for source in sources where source != "-" {
            guard FileIdentity(path: source) != nil else {
                throw Failure("there is no file or directory \(source)")
            }
            if let format, format != .tree, isDirectory(source) {
                throw ValidationError(
                    "\(source) is a directory, so its files are imported as they are, or by --lines; --format "
                        + "\(format.rawValue) is for files: give them one by one.")
            }
        }
        let start = ContinuousClock.now
        let style: ProgressBar.Style = progressLines ? .lines : isTerminal(2) ? .bar : .none
        let database = try database.openForWriting(create: create)
        var plan = ImportPlan(keyspace: try keyspace.nameForWriting(in: database), format: format)
        plan.columns = ColumnChoice(key: keyColumn, value: valueColumn, hasHeader: !noHeader)
        plan.keyField = keyField
        (plan.byLine, plan.textOnly, plan.fullPath, plan.again) = (lines, textOnly, fullPath, again)
        let progress = ProgressBar(style, totalBytes: try style == .none ? nil : totalBytes(database))
        let importer = try Importer(database, plan, progress: progress)
        for source in sources {
            if source == "-" {
                try importer.importStandardInput()
            } else if isDirectory(source) {
                try importer.importTree(source)
            } else {
                try importer.importFile(source)
            }
        }
        try importer.finish()
        try database.close()
        try report(importer.summary, ContinuousClock.now - start)
    }

    private func isDirectory(_ path: String) -> Bool {
        var isDirectory: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory.boolValue
    }

    /// What the bar counts towards; nil if it cannot be known.
    private func totalBytes(_ database: Database) throws -> UInt64? {
        if sources.contains("-") { return nil }
        return try sources.reduce(0) { total, source in
            guard isDirectory(source) else { return total + (try ByteInput(path: source).stamp().size) }
            return try TreeWalk(source, excluding: FileIdentity(path: database.directory)).reduce(total) {
                $0 + $1.size
            }
        }
    }

    private struct Report: Encodable {
        var entries: Int
        var entriesDoneBefore: Int
        var bytes: UInt64
        var files: Int
        var filesDoneBefore: Int
        var binaryFilesSkipped: Int
        var specialFilesSkipped: Int
        var failures: [String]
        var seconds: Double
    }

    private func report(_ summary: Importer.Summary, _ duration: Duration) throws {
        let output = ByteOutput()
        if json {
            try output.writeLine(
                jsonText(
                    Report(
                        entries: summary.entries,
                        entriesDoneBefore: summary.entriesSkipped,
                        bytes: summary.bytes,
                        files: summary.filesDone,
                        filesDoneBefore: summary.filesSkipped,
                        binaryFilesSkipped: summary.binaryFiles,
                        specialFilesSkipped: summary.specialFiles,
                        failures: summary.failures,
                        seconds: duration.seconds
                    )
                )
            )
        } else {
            let rate = duration.seconds > 0 ? Int(Double(summary.entries) / duration.seconds) : 0
            try output.writeLine(
                "\(grouped(summary.entries)) entries from \(counted(summary.filesDone, "file")), "
                    + "\(byteSize(summary.bytes)), in \(duration.readable) (\(grouped(rate))/s)"
            )
            if summary.filesSkipped + summary.entriesSkipped > 0 {
                try output.writeLine(
                    "done before: \(counted(summary.filesSkipped, "file")), and \(grouped(summary.entriesSkipped)) entries "
                        + "of unfinished ones"
                )
            }
            if summary.binaryFiles > 0 {
                try output.writeLine("skipped: \(counted(summary.binaryFiles, "binary file"))")
            }
            if summary.specialFiles > 0 {
                try output.writeLine(
                    "skipped: \(grouped(summary.specialFiles)) that are symbolic links or special files"
                )
            }
        }
        try output.flush()
        for failure in summary.failures { complain(failure) }
        if !summary.failures.isEmpty { throw Failure("\(counted(summary.failures.count, "file")) could not be read") }
    }
}
