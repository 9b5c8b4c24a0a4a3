// apus delete: single keys, or everything in a range.

import Apus
import ArgumentParser

struct DeleteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Removes keys, or all keys in a range, durably and all at once.",
        discussion: """
            Give keys, or a range by --prefix or --from and --to. A key that is absent is no error. \
            A range costs the same whether it holds ten entries or ten million.
            """
    )

    @OptionGroup var database: DatabaseArgument
    @Argument(help: "Keys to remove.")
    var keys: [String] = []
    @OptionGroup var range: RangeOptions
    @OptionGroup var keyspace: KeyspaceArgument
    @OptionGroup var hex: HexFlag

    func validate() throws {
        if keys.isEmpty == range.isEmpty {
            throw ValidationError("Give either keys or a range (--prefix, --from, --to).")
        }
    }

    func run() throws {
        let keys = try keys.map { try hex.bytes($0, "the key") }
        let range = try self.range.isEmpty ? nil : self.range.range(hex)
        let name = try keyspace.nameForWriting()
        let database = try database.openForWriting()
        let keyspace = try database.existingKeyspace(name)
        try database.write { batch in
            for key in keys { batch.delete(key, in: keyspace) }
            guard let range else { return }
            // The last key that can be: a range of the engine has both ends, and the upper one is outside.
            let last = [UInt8](repeating: 0xFF, count: 64 << 10)
            batch.deleteRange(from: range.lower ?? [0], to: range.upper ?? last, in: keyspace)
            if range.upper == nil { batch.delete(last, in: keyspace) }
        }
        try database.close()
    }
}
