// apus delete: single keys, or everything in a range.

import Apus
import ArgumentParser

struct DeleteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Removes keys, or all keys in a range, durably and all at once.",
        discussion: """
            Give keys, or a range by --prefix or --from and --to, or --all. A key that is absent is no error. \
            A range costs the same whether it holds ten entries or ten million.
            An empty --prefix, --from or --to is refused: it is more likely a variable without a value than a wish \
            to lose everything.
            """
    )

    @OptionGroup var database: DatabaseArgument
    @Argument(help: "Keys to remove.")
    var keys: [String] = []
    @OptionGroup var range: RangeOptions
    @Flag(help: "Remove every entry of the keyspace.")
    var all = false
    @OptionGroup var keyspace: KeyspaceArgument
    @OptionGroup var hex: HexFlag

    func validate() throws {
        guard [!keys.isEmpty, !range.isEmpty, all].count(where: { $0 }) == 1 else {
            throw ValidationError("Give either keys, or a range (--prefix, --from, --to), or --all.")
        }
        for (name, bound) in [("prefix", range.prefix), ("from", range.from), ("to", range.to)] where bound == "" {
            throw ValidationError("--\(name) is empty; --all removes every entry of the keyspace.")
        }
    }

    func run() throws {
        let keys = try keys.map { try hex.bytes($0, "the key") }
        let range = try keys.isEmpty ? self.range.range(hex) : nil
        let database = try database.openForWriting()
        let name = try keyspace.nameForWriting(in: database)
        let keyspace = try database.existingKeyspace(name)
        // Nobody else writes meanwhile, so the last key of now is the last key of then.
        let last = try range.flatMap { try $0.upper == nil ? Self.lastKey(keyspace, $0) : nil }
        try database.write { batch in
            for key in keys { batch.delete(key, in: keyspace) }
            guard let range, let end = range.upper ?? last else { return }
            batch.deleteRange(from: range.lower ?? [0], to: end, in: keyspace)
            // A range of the engine has both ends, and the upper one is outside. A bound above every possible key
            // would be 64 KiB long, and stay in the tables until compaction.
            if let last { batch.delete(last, in: keyspace) }
        }
        try database.close()
    }

    private static func lastKey(_ keyspace: Keyspace, _ range: KeyRange) throws -> [UInt8]? {
        let cursor = try keyspace.makeCursor(range)
        try cursor.seekToLast()
        return cursor.isValid ? cursor.key : nil
    }
}
