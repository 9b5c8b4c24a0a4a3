// apus blob list, stat, stats, collect, verify: what a collection of blobs holds, and looking after it.

import Apus
import ApusStore
import ArgumentParser
import Foundation

/// A blob as the commands print it.
private struct BlobLine: Encodable {
    var blob: String
    var bytes: UInt64
    var references: Int64
    var chunked: Bool
    var lastPut: String

    init(_ id: BlobID, _ status: BlobStatus) {
        blob = id.description
        bytes = status.byteCount
        references = status.references
        chunked = status.isChunked
        lastPut = readableTime(status.lastPut)
    }
}

struct BlobList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists the blobs: name, bytes, references.",
        discussion: "In the order of their names, one per line, separated by tabs."
    )

    @OptionGroup var blobs: BlobArguments
    @OptionGroup var limit: LimitOption
    @OptionGroup var json: JSONFlag

    func run() throws {
        let collection = try blobs.openForReading()
        let output = ByteOutput()
        var left = limit.count
        if left > 0 {
            try collection.scan { id, status in
                let line = BlobLine(id, status)
                try output.writeLine(json.isOn ? jsonLine(line) : "\(id)\t\(line.bytes)\t\(line.references)")
                left -= 1
                return left > 0 ? .next : .stop
            }
        }
        try output.flush()
    }
}

struct BlobStat: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stat",
        abstract: "Shows what is known of a blob without reading it."
    )

    @OptionGroup var blobs: BlobArguments
    @Argument(help: "The blob: 64 hexadecimal digits.")
    var blob: String
    @OptionGroup var json: JSONFlag

    func run() throws {
        let id = try blobs.id(blob)
        guard let status = try blobs.openForReading().stat(id) else { throw blobs.missing(id) }
        let line = BlobLine(id, status)
        if json.isOn { return try printLines([jsonText(line)]) }
        try printLines([
            "size        \(grouped(line.bytes)) B", "references  \(grouped(line.references))",
            "stored      \(line.chunked ? "in chunks" : "whole")", "last put    \(line.lastPut)",
        ])
    }
}

struct BlobStats: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "Shows how much a collection of blobs holds, and what sharing and compression save."
    )

    @OptionGroup var blobs: BlobArguments
    @OptionGroup var json: JSONFlag

    private struct Report: Encodable {
        var blobs: Int
        var contentBytes: Int
        var referencedBytes: Int
        var pieces: Int
        var pieceBytes: Int
        var storedBytes: Int
        var deduplicationRatio: Double
        var compressionRatio: Double
    }

    func run() throws {
        let figures = try blobs.openForReading().statistics()
        let report = Report(
            blobs: figures.blobs, contentBytes: figures.contentBytes, referencedBytes: figures.referencedBytes,
            pieces: figures.pieces, pieceBytes: figures.pieceBytes, storedBytes: figures.storedBytes,
            deduplicationRatio: figures.deduplicationRatio, compressionRatio: figures.compressionRatio)
        if json.isOn { return try printLines([jsonText(report)]) }
        try printLines([
            "blobs          \(grouped(report.blobs)), \(byteSize(report.contentBytes))",
            "referenced     \(byteSize(report.referencedBytes)), each reference counted",
            "pieces         \(grouped(report.pieces)), \(byteSize(report.pieceBytes))",
            "stored         \(byteSize(report.storedBytes))",
            "deduplication  \(String(format: "%.2f", report.deduplicationRatio))",
            "compression    \(String(format: "%.2f", report.compressionRatio))",
        ])
    }
}

struct BlobCollect: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "collect",
        abstract: "Reclaims blobs that nothing refers to, and what interrupted puts have left.",
        aliases: ["gc"]
    )

    @OptionGroup var blobs: BlobArguments
    @Option(help: "How many seconds a blob without references is kept after it was put.")
    var grace = 3600
    @OptionGroup var json: JSONFlag

    private struct Report: Encodable {
        var blobs: Int
        var incomplete: Int
        var pieces: Int
        var storedBytes: Int
    }

    func validate() throws {
        if grace < 0 { throw ValidationError("--grace must not be negative.") }
    }

    func run() throws {
        let collection = try blobs.openForChanging(gracePeriod: .seconds(grace))
        let garbage = try collection.collectGarbage()
        try collection.store.close()
        let report = Report(
            blobs: garbage.blobs, incomplete: garbage.incomplete, pieces: garbage.pieces,
            storedBytes: garbage.storedBytes)
        if json.isOn { return try printLines([jsonText(report)]) }
        let puts = report.incomplete == 0 ? "" : " and \(counted(report.incomplete, "interrupted put"))"
        try printLines([
            "reclaimed \(counted(report.blobs, "blob"))\(puts): \(counted(report.pieces, "piece")), "
                + byteSize(report.storedBytes)
        ])
    }
}

struct BlobVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Hashes blobs again, and checks that names, references and chunks agree.",
        discussion: """
            Hashes the blobs named. Without names, checks every byte of the database and everything that the collection \
            has to keep. Exits with 0 if all is sound and with 2 if something is damaged.
            """
    )

    @OptionGroup var blobs: BlobArguments
    @Argument(help: "Blobs: 64 hexadecimal digits each.")
    var ids: [String] = []
    @OptionGroup var json: JSONFlag

    func run() throws {
        let ids = try ids.map { try blobs.id($0) }
        let collection = try blobs.openForReading()
        if ids.isEmpty { return try reportVerification(of: collection.store, .blobs, blobs.collection, json) }
        var problems: [String] = []
        for id in ids {
            do {
                try collection.verify(id)
            } catch let error as StoreError where error.kind == .corruption {
                problems.append("\(error)")
            }
        }
        try finishVerification(problems, checked: ids.count, collection: "blob:\(blobs.collection)", json)
    }
}

// MARK: - Verifying any collection

private struct CollectionReport: Encodable {
    var sound: Bool
    var collection: String
    var checks: Int
    var problems: [String]
}

/// Verifies the store, and reports what concerns the collection: what the engine finds concerns every one.
func reportVerification(of store: Store, _ kind: CollectionKind, _ name: String, _ json: JSONFlag) throws {
    let collection = "\(kind.rawValue):\(name)"
    let report = try store.verify()
    var problems = report.problems.filter { $0.collection == collection }.map(\.description)
    // Of so many problems not all are known, and those of this collection may be among the others.
    let unknown = report.problemCount - report.problems.count
    if unknown > 0 { problems.append("\(counted(unknown, "problem")) more of some collections: apus verify") }
    try finishVerification(
        report.database.problems.map(\.description) + problems, checked: report.checks, collection: collection, json)
}

/// Prints what a verification has found, and throws if it is anything.
func finishVerification(_ problems: [String], checked: Int, collection: String, _ json: JSONFlag) throws {
    let report = CollectionReport(
        sound: problems.isEmpty, collection: collection, checks: checked, problems: problems)
    if json.isOn {
        try printLines([jsonText(report)])
    } else {
        let verdict = problems.isEmpty ? "sound" : "not sound: \(counted(problems.count, "problem"))"
        try printLines(
            ["checked  \(grouped(checked))"] + problems.map { "damaged  \(displayed($0.utf8))" } + [verdict])
    }
    if !problems.isEmpty { throw Failure("the collection \(collection) is damaged", code: 2) }
}
