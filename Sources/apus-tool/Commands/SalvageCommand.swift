// apus salvage: what can still be read of a damaged database, in a new one.

import Apus
import ArgumentParser

struct SalvageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "salvage",
        abstract: "Copies what can be read of a damaged database into a new one, and lists what was lost.",
        discussion: """
            SOURCE is only read. Every loss is named with file, offset, length and, where that is known, keyspace and \
            range of keys. Where the newest version of a key or its deletion was lost, an older one reappears.

            Exits with 0 if nothing was lost, and with 2 if something was.
            """)

    @Argument(help: "The damaged database.", completion: .directory)
    var source: String
    @Argument(help: "A new directory for what is recovered.", completion: .directory)
    var destination: String
    @Flag(help: "Print one JSON object; keys are hexadecimal in it.")
    var json = false

    private struct Report: Encodable {
        struct Keyspace: Encodable {
            var name: String
            var entries: UInt64
            var rangeDeletions: UInt64
        }
        struct Loss: Encodable {
            var file: String
            var offset: UInt64
            var bytes: UInt64?
            var what: String
            var keyspace: String?
            var lowerKey: String?
            var upperKey: String?
        }
        var complete: Bool
        var keyspaces: [Keyspace]
        var losses: [Loss]
        var omittedLosses: UInt64

        init(_ report: SalvageReport) {
            complete = report.isComplete
            keyspaces = report.keyspaces.map {
                Keyspace(name: $0.name, entries: $0.entries, rangeDeletions: $0.rangeDeletions)
            }
            losses = report.losses.map {
                Loss(
                    file: $0.file, offset: $0.offset, bytes: $0.byteCount, what: $0.what, keyspace: $0.keyspace,
                    lowerKey: $0.lowerKey.map { hexadecimal($0) }, upperKey: $0.upperKey.map { hexadecimal($0) })
            }
            omittedLosses = report.omittedLosses
        }
    }

    func run() throws {
        let report = try Database.salvage(from: source, to: destination)
        let output = ByteOutput()
        if json {
            try output.writeLine(jsonText(Report(report)))
        } else {
            for keyspace in report.keyspaces {
                let name = displayed(keyspace.name.utf8)
                try output.writeLine("recovered  \(name): \(grouped(keyspace.entries)) entries")
            }
            for loss in report.losses { try output.writeLine("lost       \(text(loss))") }
            if report.omittedLosses > 0 {
                try output.writeLine("lost       \(grouped(report.omittedLosses)) places more")
            }
            if report.isComplete { try output.writeLine("nothing was lost") }
        }
        try output.flush()
        if !report.isComplete { throw Failure("part of \(source) could not be read; see what was lost", code: 2) }
    }

    private func text(_ loss: SalvageReport.Loss) -> String {
        var text = "\(loss.file), offset \(loss.offset)"
        if let count = loss.byteCount { text += ", \(counted(count, "byte"))" }
        text += ": \(loss.what)"
        guard let keyspace = loss.keyspace else { return text }
        text += " (keyspace \(displayed(keyspace.utf8))"
        if loss.lowerKey != nil || loss.upperKey != nil {
            text += ", keys from \(loss.lowerKey.map { displayed($0) } ?? "the first")"
            text += " to \(loss.upperKey.map { displayed($0) } ?? "the last")"
        }
        return text + ")"
    }
}
