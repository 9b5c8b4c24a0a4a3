// apus demo: real data through everything the engine promises, including a hard kill in the middle of an import.

import Apus
import ArgumentParser
import Foundation

struct DemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Shows the engine at work on real data of this machine: import, kill, recover, verify, read, export.",
        discussion: """
            Imports at least \(grouped(DemoSources.wantedLines)) lines of text files, each an entry. The importing \
            process is killed by SIGKILL in the middle. Then the database is recovered, the import finished, every \
            byte verified, all entries scanned, random keys read, and everything exported and compared with the \
            original files byte for byte. Takes about a minute.
            """
    )

    @Option(help: "Where to work: a new directory, or that of an earlier demo, which is emptied.")
    var directory = "demo-work"

    private static let keyspaceName = "lines"

    func run() throws {
        let narrator = Narrator()
        let databasePath = directory + "/machine.apus"
        let exportPath = directory + "/export"
        try prepareDirectory()

        try narrator.step("Looking for text on this machine")
        let sources = try DemoSources.find()
        try narrator.say(
            "\(grouped(sources.lines)) lines in \(grouped(sources.files)) files, \(byteSize(sources.bytes)): "
                + shortened(sources.directories)
        )

        try narrator.step("Importing every line in another process, and killing it in the middle")
        let arguments =
            ["import", databasePath, "--create", "--keyspace", Self.keyspaceName, "--lines", "--text-only"]
            + ["--full-path", "--progress-lines"] + sources.directories
        switch try ImportChild.run(arguments, killAt: sources.lines / 3) {
        case .killed(let entries): try narrator.say("SIGKILL after about \(grouped(entries)) entries")
        case .finished: try narrator.say("it was done before it could be killed: what follows is an ordinary reopening")
        }

        try narrator.step("Opening the database again: the log is replayed")
        let database = try Database.open(at: databasePath)
        let keyspace = try database.keyspace(Self.keyspaceName)
        try narrator.time("recovered")
        let plan = Self.plan
        let positions = try ImportPositions(database, target: plan.keyspace)
        let survived = try keyspace.count()
        guard try positions.recordCount() == survived else {
            throw Failure("entries and import positions disagree after the kill: a batch was applied in part", code: 2)
        }
        try narrator.say(
            "\(grouped(survived)) entries survived; import positions agree, so no batch was applied in part"
        )

        try narrator.step("Running the import again: it goes on where it was")
        let summary = try finishImport(database, plan, sources)
        try narrator.say(
            "\(grouped(summary.entries)) entries more; \(grouped(summary.filesSkipped)) files and "
                + "\(grouped(summary.entriesSkipped)) lines were done before"
        )
        try narrator.time("imported and made durable")

        try narrator.step("Verifying every byte")
        let report = try database.verify()
        guard report.isSound else {
            throw Failure(
                "the database is damaged: \(report.problems.map(\.description).joined(separator: "; "))",
                code: 2
            )
        }
        try narrator.time("\(report.tables) tables, \(byteSize(report.byteCount)), all sound")

        try narrator.step("Scanning all entries, forward and backward")
        let scan = try scan(keyspace)
        try narrator.time("\(grouped(2 * scan.count)) entries, \(byteSize(2 * scan.bytes))")

        try narrator.step("Reading random keys")
        for (key, length) in scan.sample.shuffled() {
            let found = try keyspace.withValue(for: key) { (value) throws(ApusError) in value.byteCount }
            guard found == length else {
                throw Failure("key \(displayed(key)) has another value than the scan saw", code: 2)
            }
        }
        try narrator.time("\(grouped(scan.sample.count)) keys", each: scan.sample.count)

        try narrator.step("The tree, and what the engine did")
        let statistics = database.statistics
        for line in treeLines(statistics) + [""] + figureLines(statistics) { try narrator.say(line) }

        try narrator.step("Exporting everything as files")
        let files = try export(keyspace, to: exportPath)
        try narrator.time("\(grouped(files)) files")

        try narrator.step("Comparing them with the originals, byte for byte")
        var comparison = TreeComparison()
        for source in sources.directories {
            let base = Array(URL(fileURLWithPath: source).resolvingSymlinksInPath().path.utf8)
            try comparison.compare(source: source, with: exportPath) { path in
                let source = plan.source(
                    base + path.dropFirst(source.utf8.count), .tree, name: Importer.trimmed(path))
                return try positions.position(of: source)?.stamp
            }
        }
        guard comparison.files + comparison.changed >= files else {
            throw Failure("\(files) files were exported, but only \(comparison.files) have an original", code: 2)
        }
        try narrator.time("\(grouped(comparison.files)) files, \(byteSize(comparison.bytes)), all identical")
        if comparison.changed > 0 {
            try narrator.say("\(comparison.changed) files were changed by somebody meanwhile and left out")
        }
        try database.close()
        try conclude(narrator, scan.count, databasePath)
    }

    // MARK: Steps

    private static var plan: ImportPlan {
        var plan = ImportPlan(keyspace: keyspaceName)
        (plan.byLine, plan.textOnly, plan.fullPath) = (true, true, true)
        return plan
    }

    /// Empties the directory of an earlier demo; leaves alone what is something else.
    private func prepareDirectory() throws {
        let manager = FileManager.default
        let marker = directory + "/.apus-demo"
        if manager.fileExists(atPath: directory) {
            let isOurs = manager.fileExists(atPath: marker)
            guard try isOurs || manager.contentsOfDirectory(atPath: directory).isEmpty else {
                throw Failure(
                    "\(directory) exists and is not the directory of an earlier demo; choose another one by --directory"
                )
            }
            try manager.removeItem(atPath: directory)
        }
        do {
            try manager.createDirectory(atPath: directory, withIntermediateDirectories: true)
            try Data().write(to: URL(fileURLWithPath: marker))
        } catch {
            throw Failure("cannot work in \(directory): \(error.localizedDescription)")
        }
    }

    private func finishImport(
        _ database: Database,
        _ plan: ImportPlan,
        _ sources: DemoSources
    ) throws -> Importer.Summary {
        let progress = ProgressBar(isTerminal(2) ? .bar : .none, totalBytes: sources.bytes)
        let importer = try Importer(database, plan, progress: progress)
        for source in sources.directories { try importer.importTree(source) }
        try importer.finish()
        return importer.summary
    }

    /// Walks over everything in both directions, and remembers some keys with the length of their value.
    private func scan(_ keyspace: Keyspace) throws -> (count: Int, bytes: Int, sample: [([UInt8], Int)]) {
        var (count, bytes) = (0, 0)
        var sample: [([UInt8], Int)] = []
        let cursor = try keyspace.makeCursor()
        try cursor.seekToFirst()
        while cursor.isValid {
            let length = try cursor.withEntry { (key, value) throws(ApusError) in
                bytes += key.byteCount + value.byteCount
                return value.byteCount
            }
            if count % 7 == 0 { sample.append((cursor.key, length)) }
            count += 1
            try cursor.next()
        }
        var backward = 0
        try cursor.seekToLast()
        while cursor.isValid {
            backward += 1
            try cursor.previous()
        }
        guard backward == count else {
            throw Failure("the scan backward saw \(backward) entries, the scan forward \(count)", code: 2)
        }
        return (count, bytes, sample)
    }

    private func export(_ keyspace: Keyspace, to path: String) throws -> Int {
        let writer = try TreeWriter(path, byLine: true)
        let cursor = try keyspace.makeCursor()
        try cursor.seekToFirst()
        while cursor.isValid {
            try writer.write(cursor.key, cursor.value())
            try cursor.next()
        }
        try writer.close()
        return writer.fileCount
    }

    private func conclude(_ narrator: Narrator, _ count: Int, _ path: String) throws {
        try narrator.step("Done")
        try narrator.say("\(grouped(count)) entries went in, through a hard kill, and came out byte for byte the same.")
        try narrator.say("The database is still there. Try:")
        let program = CommandLine.arguments[0]
        for command in [
            "stats \(path)", "scan \(path) -k lines --limit 5", "scan \(path) -k lines --reverse --limit 5 --keys-only",
            "count \(path) -k lines --prefix usr/", "verify \(path)", "compact \(path)", "--help",
        ] {
            try narrator.say("  \(program) \(command)")
        }
        try narrator.say("rm -r \(directory) removes everything this demo has written.")
    }

    private func shortened(_ directories: [String]) -> String {
        let shown = directories.prefix(4).joined(separator: ", ")
        return directories.count > 4 ? "\(shown) and \(directories.count - 4) more" : shown
    }
}

/// Tells what happens in short lines, with the time each step took.
final class Narrator {
    private let output = ByteOutput()
    private var number = 0
    private var start = ContinuousClock.now

    func step(_ title: String) throws {
        number += 1
        try output.writeLine("\n\(number). \(title)")
        try output.flush()
        start = .now
    }

    func say(_ line: String) throws {
        try output.writeLine(line.isEmpty ? "" : "   \(line)")
        try output.flush()
    }

    /// Says `what` with the time since the step began.
    func time(_ what: String, each count: Int = 0) throws {
        let duration = ContinuousClock.now - start
        let share = count > 0 ? ", \((duration / count).microseconds) each" : ""
        try say("\(what) in \(duration.readable)\(share)")
    }
}

extension Duration {
    /// "2.4 µs"
    fileprivate var microseconds: String { String(format: "%.1f µs", seconds * 1e6) }
}
