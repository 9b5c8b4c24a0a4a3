// A database whose tables and blob files are written one by one, each of them sound, and put together by hand: for
// faults that no single file shows.

import ApusIO
import ApusSimulation

@testable import Apus

/// One keyspace "a". Files are listed as they are made; `publish` makes the manifest.
final class HandmadeDatabase {
    let machine = Simulation(seed: 1)
    private var state = ManifestState(databaseID: DatabaseID(first: 1, second: 2))
    private let numbers = FileNumberSource(next: 1)

    init() throws {
        try machine.disk.createDirectory("/db")
        try apply(.keyspaceCreated(1, name: "a", KeyspaceSettings(KeyspaceOptions())))
    }

    private func apply(_ change: VersionEdit.Change) throws { try state.apply(VersionEdit([change])) }

    private func path(_ name: FileName) -> String { name.path(in: "/db") }

    /// Returns the table's path.
    @discardableResult
    func table(level: Int, _ entries: [TableEntry]) throws -> String {
        let number = numbers.take()
        let path = path(.table(number))
        var options = TableWriterOptions()
        options.keyspace = 1
        let writer = TableWriter(
            file: try machine.disk.open(path, .create), path: path, number: number, options: options, createdAt: 1)
        for entry in entries {
            try entry.key.withUnsafeBytes { key in
                try entry.payload.withUnsafeBytes { try writer.add(key, entry.trailer, $0) }
            }
        }
        try apply(.tableAdded(1, level: level, try writer.finish()))
        return path
    }

    /// Returns where the values are.
    func blobFile(_ values: [(key: [UInt8], value: [UInt8])]) throws -> [BlobReference] {
        let number = numbers.take()
        let writer = try BlobWriter(
            fileSystem: machine.disk, path: path(.blob(number)), number: number, codec: .none)
        var references: [BlobReference] = []
        for (key, value) in values {
            references.append(
                try key.withUnsafeBytes { key in try value.withUnsafeBytes { try writer.append(key, $0) } })
        }
        try apply(.blobAdded(1, try writer.finish()))
        return references
    }

    /// Writes the manifest, as a database that was closed in order has it.
    func publish() throws {
        state.nextFileNumber = numbers.next
        let numbers = numbers
        let manifest = try ManifestWriter(
            ManifestWriter.Configuration(directory: "/db", fileSystem: machine.disk), state,
            allocateNumber: { numbers.take() })
        try manifest.close(CleanClose(lastSequence: state.lastSequence, logNumber: 0, logByteCount: 0))
    }

    func verify() throws -> VerificationReport {
        var options = Options()
        options.isReadOnly = true
        let database = try Database.open(at: "/db", options: options, environment: machine.environment)
        defer { try? database.close() }
        return try database.verify()
    }
}

extension TableEntry {
    static func separated(_ key: [UInt8], _ sequence: UInt64, _ reference: BlobReference) -> TableEntry {
        var payload: [UInt8] = []
        reference.encode(into: &payload)
        return TableEntry(key, sequence, payload, kind: .separatedValue)
    }
}
