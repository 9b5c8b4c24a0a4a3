// Arguments that several commands share: the database, the keyspace, keys in text or hexadecimal, ranges.

import Apus
import ApusStore
import ArgumentParser

struct DatabaseArgument: ParsableArguments {
    @Argument(help: "The database's directory.", completion: .directory)
    var database: String

    /// Other processes may read at the same time; nothing in the directory changes.
    func openForReading() throws -> Database {
        var options = Options()
        options.isReadOnly = true
        return try Database.open(at: database, options: options)
    }

    /// - Parameter create: what the command's --create says; nil if it has none.
    func openForWriting(create: Bool? = nil) throws -> Database {
        var options = Options()
        options.createIfMissing = create ?? false
        do {
            return try Database.open(at: database, options: options)
        } catch {
            guard error.kind == .notFound, create == false else { throw error }
            throw Failure("there is no database in \(database); --create makes one")
        }
    }
}

struct KeyspaceArgument: ParsableArguments {
    @Option(name: [.customShort("k"), .long], help: "The keyspace.")
    var keyspace = "default"

    /// The name of a keyspace to change. What import notes about its progress is not for other hands, nor is what
    /// collections are made of: their indexes, counts and hashes would not agree with it any more.
    func nameForWriting(in database: Database) throws -> String {
        guard keyspace != ImportPositions.keyspaceName else {
            throw Failure(
                "keyspace \"\(keyspace)\" is where imports note how far they are; nothing else may write to it")
        }
        guard Store.isPresent(in: database) else { return keyspace }
        let collections = try Store(database).listCollections()
        if let owner = collections.first(where: { keyspace == "\($0)" || keyspace.hasPrefix("\($0):") }) {
            throw Failure("keyspace \"\(displayed(keyspace.utf8))\" is a collection's: see apus \(owner.kind.rawValue)")
        }
        guard keyspace != Store.catalogueKeyspaceName || collections.isEmpty else {
            throw Failure("keyspace \"\(keyspace)\" lists the collections; nothing else may write to it")
        }
        return keyspace
    }
}

struct HexFlag: ParsableArguments {
    @Flag(name: .customLong("hex"), help: "Keys and values are hexadecimal, in arguments and output.")
    var isHex = false

    /// The bytes that an argument stands for.
    func bytes(_ argument: String, _ name: String) throws -> [UInt8] {
        guard isHex else { return Array(argument.utf8) }
        guard let bytes = apus_tool.bytes(hexadecimal: argument) else {
            throw ValidationError("\(name) \"\(argument)\" is not hexadecimal: pairs of the digits 0-9 and a-f.")
        }
        return bytes
    }

    func text(_ bytes: some Collection<UInt8>) -> String {
        isHex ? hexadecimal(bytes) : displayed(bytes)
    }
}

struct RangeOptions: ParsableArguments {
    @Option(help: "Only keys that begin with this.")
    var prefix: String?
    @Option(help: "Only keys from this one on, itself included.")
    var from: String?
    @Option(help: "Only keys before this one, itself excluded.")
    var to: String?

    var isEmpty: Bool { prefix == nil && from == nil && to == nil }

    mutating func validate() throws {
        if prefix != nil, from != nil || to != nil {
            throw ValidationError("--prefix cannot be combined with --from and --to.")
        }
    }

    func range(_ hex: HexFlag) throws -> KeyRange {
        if let prefix { return .prefix(try hex.bytes(prefix, "--prefix")) }
        var range = KeyRange.all
        if let from { range.lower = try hex.bytes(from, "--from") }
        if let to { range.upper = try hex.bytes(to, "--to") }
        return range
    }
}
