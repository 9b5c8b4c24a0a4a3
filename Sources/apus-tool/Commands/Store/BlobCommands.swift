// apus blob: contents by the hash of their bytes. What looks after the collection is in BlobMaintenance.swift.

import Apus
import ApusStore
import ArgumentParser
import Foundation

struct BlobCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "blob",
        abstract: "Contents of any size, each stored once, found by the SHA-256 of their bytes.",
        discussion: """
            Example: apus blob put --create my.apus photo.jpeg
            """,
        subcommands: [
            BlobPut.self, BlobGet.self, BlobDelete.self, BlobList.self, BlobStat.self, BlobStats.self,
            BlobCollect.self, BlobVerify.self,
        ]
    )
}

struct BlobArguments: ParsableArguments {
    @OptionGroup var database: DatabaseArgument
    @Option(name: [.customShort("c"), .long], help: "The collection of blobs.")
    var collection = "blobs"

    func openForReading() throws -> BlobCollection { try existing(database.openStoreForReading()) }
    func openForChanging(gracePeriod: Duration = .seconds(3600)) throws -> BlobCollection {
        try existing(database.openStoreForChanging(), gracePeriod)
    }

    private func existing(_ store: Store, _ gracePeriod: Duration = .seconds(3600)) throws -> BlobCollection {
        try store.require(.blobs, collection)
        return try store.blobs(collection, gracePeriod: gracePeriod)
    }

    func id(_ text: String) throws -> BlobID {
        guard let id = BlobID(hexadecimal: text) else {
            throw Failure(
                "\"\(shortened(displayed(text.utf8)))\" is no blob: its name is 64 hexadecimal digits", code: 64)
        }
        return id
    }

    func missing(_ id: BlobID) -> Failure { Failure("there is no blob \(id) in collection \"\(collection)\"") }
}

struct BlobPut: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "put",
        abstract: "Stores files, durably, and prints what they are called.",
        discussion: """
            Files of any size take bounded memory; - is standard input. A content that is there already is not stored \
            again. Each put counts as a reference, and delete takes one away; with --unreferenced none is counted, and \
            the blob is garbage unless something refers to it within the hour.
            """
    )

    @OptionGroup var blobs: BlobArguments
    @Argument(help: "Files; - for standard input.", completion: .file())
    var files: [String]
    @Flag(help: "Create the database if there is none.")
    var create = false
    @Flag(help: "Count no reference.")
    var unreferenced = false
    @OptionGroup var json: JSONFlag

    private struct Line: Encodable {
        var blob: String
        var file: String
        var bytes: UInt64
    }

    func run() throws {
        let store = try blobs.database.openStoreForWriting(create: create)
        let collection = try store.blobs(blobs.collection)
        let output = ByteOutput()
        for file in files {
            let id = try put(file, collection)
            if !unreferenced { try collection.retain(id) }
            if json.isOn {
                let bytes = try collection.stat(id)?.byteCount ?? 0
                try output.writeLine(jsonLine(Line(blob: "\(id)", file: file, bytes: bytes)))
            } else {
                try output.writeLine(files.count == 1 ? "\(id)" : "\(id)  \(displayed(file.utf8))")
            }
        }
        try store.close()
        try output.flush()
    }

    private func put(_ file: String, _ collection: BlobCollection) throws -> BlobID {
        let input = try file == "-" ? ByteInput() : ByteInput(path: file)
        let writer = collection.makeWriter()
        while true {
            let bytes = try input.peekBytes()
            if bytes.isEmpty { return try writer.finish() }
            try writer.write(bytes)
            input.consume(bytes.count)
        }
    }
}

struct BlobGet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Prints the content of a blob, or a part of it.",
        discussion: """
            To a file or pipe go exactly the content's bytes, in bounded memory. On a terminal, bytes that are no text \
            are shown as escapes. Exits with 1 if there is no such blob.
            """
    )

    @OptionGroup var blobs: BlobArguments
    @Argument(help: "The blob: 64 hexadecimal digits.")
    var blob: String
    @Option(help: "The first byte, counted from 0.")
    var offset: UInt64 = 0
    @Option(help: "At most this many bytes.")
    var length: UInt64?
    @Option(name: [.customShort("o"), .long], help: "A new file for the content.", completion: .file())
    var output: String?

    func run() throws {
        let id = try blobs.id(blob)
        let collection = try blobs.openForReading()
        guard try collection.contains(id) else { throw blobs.missing(id) }
        let output = try self.output.map { try ByteOutput(path: $0) } ?? ByteOutput()
        do {
            try write(id, of: collection, to: output)
        } catch {
            // Half a file is worse than none.
            if let path = self.output { try? FileManager.default.removeItem(atPath: path) }
            throw error
        }
    }

    private func write(_ id: BlobID, of collection: BlobCollection, to output: ByteOutput) throws {
        let isForPeople = self.output == nil && isTerminal(1)
        let (end, overflow) = offset.addingReportingOverflow(length ?? .max)
        try collection.read(id, offset..<(overflow ? .max : end)) { piece in
            if isForPeople {
                try writeContent(piece.withBytes { [UInt8]($0) }, to: output, isForPeople: true)
            } else {
                try output.write(piece)
            }
            return .next
        }
        if isForPeople { try output.writeLine() }
        try output.flush()
    }
}

struct BlobDelete: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Takes a reference to blobs away.",
        discussion: """
            A blob without references is kept for the grace period after it was put; then collect reclaims its space. \
            Exits with 1, and changes nothing, if one of the blobs is absent or has no reference.
            """,
        aliases: ["release"]
    )

    @OptionGroup var blobs: BlobArguments
    @Argument(help: "Blobs: 64 hexadecimal digits each.")
    var ids: [String]

    func run() throws {
        let ids = try ids.map { try blobs.id($0) }
        let collection = try blobs.openForChanging()
        try collection.store.transaction { transaction in
            for id in ids { try collection.release(id, in: transaction) }
        }
        try collection.store.close()
    }
}
