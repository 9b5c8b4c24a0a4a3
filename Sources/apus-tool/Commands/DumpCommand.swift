// apus dump: what is in a file of a database, for people who want to see the bytes explained.

import Apus
import ArgumentParser
import Foundation

struct DumpCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dump",
        abstract: "Explains one file of a database: CURRENT, a manifest, a log segment, a table or a blob file.",
        discussion: """
            FILE lies in the database's directory. Damage is shown where it is, and the dump goes on behind it as far \
            as anything can be recognised. FORMAT.md explains what is shown. Nothing is changed, no lock is taken.

            With --json every header, frame, block or blob record is an object of its own, one per line: offset, text, \
            details (the entries or edits in it, as text) and damaged. Long keys and values are cut, as in the text.
            """)

    @Argument(help: "A file in a database's directory.", completion: .file())
    var file: String
    @Flag(help: "Print a JSON object per line.")
    var json = false

    func run() throws {
        let output = ByteOutput()
        var parts = DumpParts()
        // The engine's callback cannot throw, so the first failed write is kept and reported at the end.
        var failure: (any Error)?
        try DatabaseFile.dump(file) { line in
            guard failure == nil else { return }
            do {
                guard json else { return try output.writeLine(line) }
                if let part = parts.add(line) { try output.writeLine(part.json()) }
            } catch { failure = error }
        }
        if failure == nil, let last = parts.finish() { try output.writeLine(last.json()) }
        try output.flush()
        if let failure { throw failure }
    }
}

/// What a dump says of one place in a file.
struct DumpPart: Encodable, Equatable {
    /// nil for what concerns the whole file.
    var offset: UInt64?
    var text: String
    var details: [String] = []
    var damaged = false

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}

/// Puts the lines of a dump together again: "@offset text", and below it what is there, indented by three blanks.
struct DumpParts {
    private static let indent = "   "
    private var part: DumpPart?

    /// Returns the part that ended before this line.
    mutating func add(_ line: String) -> DumpPart? {
        if part != nil, line.hasPrefix(Self.indent) {
            let detail = String(line.dropFirst(Self.indent.count))
            part!.details.append(detail)
            if detail.hasPrefix("damage") { part!.damaged = true }
            return nil
        }
        defer {
            let head = line.split(separator: " ", maxSplits: 1)
            let offset = line.hasPrefix("@") ? head.first.flatMap { UInt64($0.dropFirst()) } : nil
            let text = offset == nil ? line : head.count > 1 ? String(head[1]) : ""
            part = DumpPart(offset: offset, text: text, damaged: text.hasPrefix("damage"))
        }
        return part
    }

    mutating func finish() -> DumpPart? {
        defer { part = nil }
        return part
    }
}
