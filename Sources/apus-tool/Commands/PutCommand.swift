// apus put: one entry.

import Apus
import ArgumentParser

struct PutCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "put",
        abstract: "Sets a key to a value, durably.",
        discussion: """
            VALUE is taken as it is, except that - reads it from standard input and @FILE from a file \
            (hexadecimal, too, with --hex). --as-is turns that off. The keyspace is created on first use, the database only with --create.

            Example: apus put --create my.apus greeting "hello"
            """
    )

    @OptionGroup var database: DatabaseArgument
    @Argument(help: "The key.")
    var key: String
    @Argument(help: "The value; - for standard input, @FILE for a file.")
    var value: String
    @OptionGroup var keyspace: KeyspaceArgument
    @OptionGroup var hex: HexFlag
    @Flag(help: "Create the database if there is none.")
    var create = false
    @Flag(help: "Take VALUE literally, even if it is - or begins with @.")
    var asIs = false
    @Option(help: "The entry disappears after this many seconds.")
    var expiresIn: Int?

    func validate() throws {
        if let expiresIn, expiresIn <= 0 { throw ValidationError("--expires-in must be at least one second.") }
    }

    func run() throws {
        let key = try hex.bytes(key, "the key")
        let value = try valueBytes()
        let database = try database.openForWriting(create: create)
        let name = try keyspace.nameForWriting(in: database)
        let expiry: Expiry = expiresIn.map { .after(.seconds($0)) } ?? .automatic
        try database.keyspace(name).put(key, value, expiry: expiry)
        try database.close()
    }

    private func valueBytes() throws -> [UInt8] {
        let limit = 1 << 30
        let input: ByteInput
        if asIs {
            return try hex.bytes(value, "the value")
        } else if value == "-" {
            input = ByteInput()
        } else if value.hasPrefix("@") {
            input = try ByteInput(path: String(value.dropFirst()))
        } else {
            return try hex.bytes(value, "the value")
        }
        guard let content = try input.rest(limit: hex.isHex ? 2 * limit + 2 : limit) else {
            throw Failure("\(input.name) holds more than the \(byteSize(limit)) that a value may have")
        }
        guard hex.isHex else { return content }
        // As get --hex prints it: the digits, and a line feed.
        let digits = content.last == 0x0A ? content.dropLast() : content[...]
        guard let decoded = apus_tool.bytes(hexadecimal: String(decoding: digits, as: UTF8.self)) else {
            throw Failure("\(input.name) is not hexadecimal: pairs of the digits 0-9 and a-f", code: 64)
        }
        return decoded
    }
}
