// apus scan and apus count: the entries of a range, or how many there are.

import Apus
import ArgumentParser
import Foundation

struct ScanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scan",
        abstract: "Lists entries in key order.",
        discussion: """
            One entry per line: key, tab, value. Line feeds, tabs, backslashes and bytes that are no text are shown \
            as escapes (\\n, \\t, \\\\, \\xff), so that every entry stays on its line; --hex and --json are exact.
            """
    )

    @OptionGroup var database: DatabaseArgument
    @OptionGroup var range: RangeOptions
    @OptionGroup var keyspace: KeyspaceArgument
    @Flag(help: "From the last key to the first.")
    var reverse = false
    @Option(help: "At most this many entries.")
    var limit: Int?
    @Flag(help: "Print the keys alone.")
    var keysOnly = false
    @OptionGroup var hex: HexFlag
    @Flag(help: "Print a JSON object per line, as export does.")
    var json = false

    func validate() throws {
        if let limit, limit < 0 { throw ValidationError("--limit must not be negative.") }
    }

    func run() throws {
        let range = try range.range(hex)
        let database = try database.openForReading()
        let cursor = try database.existingKeyspace(keyspace.keyspace).makeCursor(range)
        let output = ByteOutput()
        var hasEscapes = false
        var left = limit ?? .max
        if left > 0 { try reverse ? cursor.seekToLast() : cursor.seekToFirst() }
        while cursor.isValid, left > 0 {
            let key = cursor.key
            // A separated value costs a read of its own, so keys alone never ask for it.
            let value = keysOnly ? nil : try cursor.value()
            try output.write(line(key, value))
            if !json, !hex.isHex, !isText(key) || !(value.map(isText) ?? true) { hasEscapes = true }
            left -= 1
            if left > 0 { try reverse ? cursor.previous() : cursor.next() }
        }
        try output.flush()
        if hasEscapes, isTerminal(2) { complain("some entries are no text; --hex or --json shows them exactly") }
    }

    private func line(_ key: [UInt8], _ value: [UInt8]?) -> [UInt8] {
        var line: [UInt8] = []
        switch (json, value) {
        case (true, let value?): appendJSONEntry(key, value, hex: hex.isHex, to: &line)
        case (true, nil):
            line.append(UInt8(ascii: "{"))
            appendJSONField("key", key, hex: hex.isHex, to: &line)
            line += [UInt8(ascii: "}"), 0x0A]
        case (false, let value?): line += Array("\(hex.text(key))\t\(hex.text(value))\n".utf8)
        case (false, nil): line += Array("\(hex.text(key))\n".utf8)
        }
        return line
    }
}

struct CountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "count",
        abstract: "Counts the entries of a keyspace or a range of it.",
        discussion: "Walks over the entries, so it takes as long as a scan of the keys."
    )

    @OptionGroup var database: DatabaseArgument
    @OptionGroup var range: RangeOptions
    @OptionGroup var keyspace: KeyspaceArgument
    @OptionGroup var hex: HexFlag
    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let range = try range.range(hex)
        let database = try database.openForReading()
        let cursor = try database.existingKeyspace(keyspace.keyspace).makeCursor(range)
        var count = 0
        try cursor.seekToFirst()
        while cursor.isValid {
            count += 1
            try cursor.next()
        }
        let output = ByteOutput()
        try output.writeLine(json ? "{\"count\":\(count)}" : "\(count)")
        try output.flush()
    }
}
