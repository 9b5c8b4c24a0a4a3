// What the commands of the four kinds of collections share: opening a store, finding a collection, content and JSON from
// arguments, files and standard input, lines of JSON to standard output.

import Apus
import ApusStore
import ArgumentParser
import Foundation

extension DatabaseArgument {
    /// The store of a database that has one; nothing in the directory changes.
    func openStoreForReading() throws -> Store {
        try present(openForReading())
    }

    /// The store of a database that has one.
    func openStoreForChanging() throws -> Store {
        try present(openForWriting())
    }

    /// The database's store, which begins here if it has none.
    func openStoreForWriting(create: Bool) throws -> Store {
        try Store(openForWriting(create: create))
    }

    private func present(_ database: Database) throws -> Store {
        guard Store.isPresent(in: database) else {
            throw Failure("the database in \(self.database) holds no collections")
        }
        return try Store(database)
    }
}

extension CollectionKind {
    /// What a collection of the kind is called in a sentence.
    var noun: String {
        switch self {
        case .documents: "documents"
        case .blobs: "blobs"
        case .sessions: "sessions"
        case .vectors: "vectors"
        }
    }
}

extension Store {
    /// Throws a sentence that helps if there is no such collection. Without it, asking would create the collection.
    func require(_ kind: CollectionKind, _ name: String) throws {
        let names = try listCollections().filter { $0.kind == kind }.map(\.name)
        if names.contains(name) { return }
        let others = names.isEmpty ? "" : "; there are: \(names.map { displayed($0.utf8) }.joined(separator: ", "))"
        throw Failure("there is no collection of \(kind.noun) \"\(shortened(displayed(name.utf8)))\"\(others)")
    }

    /// Bytes on disk of the keyspaces of a collection.
    func byteCount(_ kind: CollectionKind, _ name: String) -> UInt64 {
        let first = "\(kind.rawValue):\(name)"
        return database.statistics.keyspaces.filter { $0.name == first || $0.name.hasPrefix(first + ":") }
            .reduce(0) { $0 + $1.tableByteCount + $1.blobByteCount }
    }
}

/// Where a command reads its content: `-` is standard input, `@FILE` a file, everything else the content itself.
enum Content {
    case literal(String)
    case input(ByteInput)

    init(_ argument: String) throws {
        if argument == "-" {
            self = .input(ByteInput())
        } else if argument.hasPrefix("@") {
            self = .input(try ByteInput(path: String(argument.dropFirst())))
        } else {
            self = .literal(argument)
        }
    }

    var name: String {
        switch self {
        case .literal: "the argument"
        case .input(let input): input.name
        }
    }

    private static let limit = 1 << 28

    func bytes() throws -> [UInt8] {
        switch self {
        case .literal(let text): return Array(text.utf8)
        case .input(let input):
            guard let bytes = try input.rest(limit: Self.limit) else {
                throw Failure("\(input.name) holds more than \(byteSize(Self.limit))")
            }
            return bytes
        }
    }

    func text() throws -> String {
        guard let text = String(validating: try bytes(), as: UTF8.self) else {
            throw Failure("\(name) is no UTF-8 text", code: 64)
        }
        return text
    }

    func json() throws -> JSONValue {
        try JSONValue(argument: try text(), name)
    }

    /// Calls `body` with each line that is not empty, as JSON: one value if the content is the argument itself.
    func forEachJSONLine(_ body: (JSONValue, _ place: String) throws -> Void) throws {
        guard case .input(let input) = self else { return try body(try json(), name) }
        var number = 0
        while let line = try input.line(limit: Self.limit) {
            number += 1
            let place = "line \(number) of \(input.name)"
            guard let text = String(validating: line, as: UTF8.self) else {
                throw Failure("\(place) is no UTF-8 text", code: 64)
            }
            if text.allSatisfy(\.isWhitespace) { continue }
            try body(try JSONValue(argument: text, place), place)
        }
    }
}

extension JSONValue {
    /// From text that a person wrote.
    init(argument text: String, _ name: String) throws {
        do {
            self = try JSONValue(parsing: text)
        } catch {
            throw Failure("\(name) is no JSON: \(error)", code: 64)
        }
    }
}

/// An object in one line, for commands that print a line for each thing they find.
func jsonLine(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
}

/// Prints `lines` to standard output.
func printLines(_ lines: [String]) throws {
    let output = ByteOutput()
    for line in lines { try output.writeLine(line) }
    try output.flush()
}

/// Content goes to files and pipes exactly, and to a terminal only if it is harmless there.
func writeContent(_ bytes: [UInt8], to output: ByteOutput, isForPeople: Bool) throws {
    let isPrintable = isText(bytes) && !bytes.contains { $0 < 0x20 && $0 != 0x0A && $0 != 0x09 || $0 == 0x7F }
    if isForPeople, !isPrintable {
        try output.write(displayed(bytes))
    } else {
        try output.write(bytes)
    }
}

/// A time of the store as people read it.
func readableTime(_ milliseconds: UInt64) -> String {
    Timestamp(milliseconds: Int64(clamping: milliseconds)).description
}

struct LimitOption: ParsableArguments {
    @Option(help: "At most this many.")
    var limit: Int?

    mutating func validate() throws {
        if let limit, limit < 0 { throw ValidationError("--limit must not be negative.") }
    }

    var count: Int { limit ?? .max }
}

struct JSONFlag: ParsableArguments {
    @Flag(name: .customLong("json"), help: "Print JSON: one object, or one per line where there are several.")
    var isOn = false
}
