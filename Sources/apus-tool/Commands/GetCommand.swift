// apus get: one value, as it is.

import Apus
import ArgumentParser

struct GetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Prints the value of a key.",
        discussion: """
            To a file or pipe go exactly the value's bytes. On a terminal, bytes that are no text are shown as \
            escapes and a line feed follows. Exits with 1 if the key has no value.
            """
    )

    @OptionGroup var database: DatabaseArgument
    @Argument(help: "The key.")
    var key: String
    @OptionGroup var keyspace: KeyspaceArgument
    @OptionGroup var hex: HexFlag
    @Flag(help: "Print one JSON object with key and value.")
    var json = false

    func run() throws {
        let key = try hex.bytes(key, "the key")
        let database = try database.openForReading()
        guard let value = try database.existingKeyspace(keyspace.keyspace).get(key) else {
            throw Failure("there is no key \"\(shortened(hex.text(key)))\" in keyspace \"\(keyspace.keyspace)\"")
        }
        let output = ByteOutput()
        if json {
            var line: [UInt8] = []
            appendJSONEntry(key, value, hex: hex.isHex, to: &line)
            try output.write(line)
        } else if hex.isHex {
            try output.writeLine(hexadecimal(value))
        } else if isTerminal(1) {
            // Text of several lines stays readable; anything else must not reach the terminal as it is.
            try output.writeLine(isPrintable(value) ? String(decoding: value, as: UTF8.self) : displayed(value))
        } else {
            try output.write(value)
        }
        try output.flush()
    }

    private func isPrintable(_ bytes: [UInt8]) -> Bool {
        isText(bytes) && !bytes.contains { $0 < 0x20 && $0 != 0x0A && $0 != 0x09 || $0 == 0x7F }
    }
}

/// Appends `{"key":…,"value":…}` and a line feed: what `export` writes and `import` reads.
func appendJSONEntry(_ key: [UInt8], _ value: [UInt8], hex: Bool, to line: inout [UInt8]) {
    line.append(UInt8(ascii: "{"))
    appendJSONField("key", key, hex: hex, to: &line)
    line.append(UInt8(ascii: ","))
    appendJSONField("value", value, hex: hex, to: &line)
    line += [UInt8(ascii: "}"), 0x0A]
}
