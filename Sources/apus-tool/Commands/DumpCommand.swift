// apus dump: what is in a file of a database, for people who want to see the bytes explained.

import Apus
import ArgumentParser

struct DumpCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dump",
        abstract: "Explains one file of a database: CURRENT, a manifest, a log segment, a table or a blob file.",
        discussion: """
            FILE lies in the database's directory. Damage is shown where it is, and the dump goes on behind it as far \
            as anything can be recognised. FORMAT.md explains what is shown. Nothing is changed, no lock is taken.
            """)

    @Argument(help: "A file in a database's directory.", completion: .file())
    var file: String

    func run() throws {
        let output = ByteOutput()
        // The engine's callback cannot throw, so the first failed write is kept and reported at the end.
        var failure: (any Error)?
        try DatabaseFile.dump(file) { line in
            guard failure == nil else { return }
            do { try output.writeLine(line) } catch { failure = error }
        }
        try output.flush()
        if let failure { throw failure }
    }
}
