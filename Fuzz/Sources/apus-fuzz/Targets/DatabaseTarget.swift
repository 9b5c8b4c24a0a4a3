// A whole database whose files were changed at rest: opened, used, opened again, salvaged. Where nobody made the
// checksums fit, what is read is what was written, or an error: never anything else, and never silently less.
//
// flags: u8 (15 = number of changes, 128 = salvage too) │ per change: kind u8 │ file u8 │ details (see `change`)

import ApusIO
import ApusSimulation

@testable import Apus

extension FuzzTarget {
    static let database = FuzzTarget(
        name: "database",
        summary: "a whole database, damaged at rest or with a forged manifest: opened, used, salvaged",
        maximumByteCount: 512,
        run: { bytes in
            var damaged = DatabaseCase(bytes)
            damaged.run()
        },
        seeds: databaseSeeds
    )
}

private typealias Contents = [String: [Entry]]

/// The database that is damaged: made once, copied for every run.
private struct Original: Sendable {
    static let shared = Original()
    let disk: SimulatedDisk
    let names: [String]
    let contents: Contents
    /// Without the last commit: nothing came after it that could tell a damaged one from a torn one.
    let earlierContents: Contents
    /// Of the manifest, where the next edit would stand and which it would be.
    let editOffset: Int
    let editOrdinal: UInt64

    static var options: Options {
        var options = Options(memoryBudget: 1 << 20)
        var tuning = Tuning(memoryBudget: 1 << 20)
        tuning.writeBufferByteCount = 2_048
        tuning.blockByteCount = 200
        tuning.levels.baseByteCount = 2_048
        tuning.levels.tableByteCount = 1_024
        tuning.logSegmentByteCount = 4_096
        tuning.manifestByteCount = 16_384
        options.tuning = tuning
        return options
    }

    private init() {
        var machine = Simulation(seed: 11)
        (earlierContents, contents) = must("make the database") {
            let database = try Database.open(
                at: FuzzDisk.directory, options: Self.options, environment: machine.environment)
            let plain = try database.keyspace("plain", options: KeyspaceOptions(compression: .lz4ThenZstd))
            let counts = try database.keyspace("counts", options: KeyspaceOptions(mergeOperator: .add))
            let large = try database.keyspace("large", options: KeyspaceOptions(valueSeparationThreshold: 30))
            for number in 0..<90 {
                try plain.put("key \(number * 7 % 90)", "value \(number)")
                try counts.merge("count \(number % 5)", Int64(number))
                if number % 6 == 0 { try large.put("key \(number)", [UInt8](repeating: UInt8(number), count: 50)) }
                if number == 60 { try plain.deleteRange("key 2"..<"key 3") }
                if number % 30 == 29 { try database.flush() }
            }
            machine.scheduler.runAll()
            for number in 0..<6 { try plain.put("log \(number)", [UInt8](repeating: 7, count: 20 + number)) }
            let earlier = try readAll(database) { try $0.entries() }
            try plain.put("log 6", "last")
            return (earlier, try readAll(database) { try $0.entries() })
        }
        // Killed, so that the log has something to say, and the manifest is one that may go on.
        machine.restart()
        let disk = machine.disk
        let names = must("list") { try disk.list(FuzzDisk.directory).sorted().filter { $0 != "LOCK" } }
        (self.disk, self.names) = (disk, names)
        let name = names.first { $0.hasSuffix(".manifest") }!
        let number = FileName(name)!.number!
        var (end, ordinal) = (0, UInt64(0))
        must("walk the manifest") {
            let reader = try SegmentReader(.manifest(number), in: FuzzDisk.directory, on: disk)
            guard case .header(let header) = try reader.start(.manifest) else { return }
            let walk = FrameWalk(reader, header.databaseID, limit: reader.byteCount, mode: .strict)
            let found = try walk.run(lose: { _ in }) { (_, frame, _) throws(ApusError) in
                ordinal = frame.sequence.rawValue
            }
            end = Int(found.offset)
        }
        (editOffset, editOrdinal) = (end, ordinal + 1)
    }
}

private func readAll(
    _ database: Database, _ entries: (Keyspace) throws -> [Entry]
) throws -> Contents {
    var contents: Contents = [:]
    for name in database.keyspaceNames { contents[name] = try entries(try database.existingKeyspace(name)) }
    return contents
}

private struct DatabaseCase {
    private var machine = Simulation(seed: 5)
    private let disk: SimulatedDisk
    /// Somebody wrote what was never ours and made the checksums fit.
    private var isForged = false
    private let isSalvaged: Bool

    init(_ bytes: UnsafeRawBufferPointer) {
        var source = ByteSource(bytes)
        disk = Original.shared.disk.clone(seed: 3)
        let flags = source.byte()
        isSalvaged = flags & 128 != 0
        for _ in 0..<(flags & 15) { change(&source) }
    }

    private var environment: Environment {
        var environment = machine.environment
        environment.fileSystem = disk
        return environment
    }

    // MARK: - Damage

    private mutating func change(_ source: inout ByteSource) {
        let kind = source.below(9)
        let name = source.pick(Original.shared.names)
        guard var bytes = try? disk.content(name) else { return }
        let offset = source.below(1 << 16) % max(1, bytes.count)
        switch kind {
        case 0 where !bytes.isEmpty: bytes[offset] ^= max(1, source.byte())
        case 1: bytes = Array(bytes.prefix(offset))
        case 2: bytes += source.bytes(upTo: 64)
        case 3:
            let other = source.pick(Original.shared.names)
            guard let content = try? disk.content(other) else { return }
            must("swap") { try disk.put(other, bytes) }
            bytes = content
        case 4:
            let end = min(bytes.count, offset + 512)
            bytes.replaceSubrange(offset..<end, with: [UInt8](repeating: 0, count: end - offset))
        case 5:
            must("remove") { try disk.remove("\(FuzzDisk.directory)/\(name)") }
            return
        case 6, 7: return forgeEdit(source.bytes(upTo: 200))
        default:
            if !bytes.isEmpty { bytes[offset] ^= max(1, source.byte()) }
            forge(name, &bytes)
        }
        must("damage") { try disk.put(name, bytes) }
    }

    /// Puts right the checksums of a file that was changed.
    private mutating func forge(_ name: String, _ bytes: inout [UInt8]) {
        guard let file = FileName(name) else { return }
        isForged = true
        switch file {
        case .log(let number): Frames.repair(&bytes, .log, number, isOurs: false)
        case .manifest(let number): Frames.repair(&bytes, .manifest, number, isOurs: false)
        case .table(let number): StoredBlocks.repair(&bytes, number: number, isOurs: true)
        default: break
        }
    }

    /// Appends an edit that the engine never wrote.
    private mutating func forgeEdit(_ payload: [UInt8]) {
        let original = Original.shared
        guard let name = original.names.first(where: { $0.hasSuffix(".manifest") }),
            let number = FileName(name)?.number, var bytes = try? disk.content(name),
            bytes.count >= SegmentHeader.byteCount
        else { return }
        isForged = true
        let id = DatabaseID(first: bytes.integer(at: 16), second: bytes.integer(at: 24))
        let count = FrameHeader.frameByteCount(payloadByteCount: payload.count)
        let missing = original.editOffset + count - bytes.count
        if missing > 0 { bytes += [UInt8](repeating: 0, count: missing) }
        bytes.withUnsafeMutableBytes { output in
            payload.withUnsafeBytes { payload in
                FrameHeader.encode(
                    payload,
                    sequence: SequenceNumber(original.editOrdinal),
                    kind: .edit,
                    syncedByteCount: UInt64(original.editOffset),
                    at: UInt64(original.editOffset),
                    FramePlace(id, number),
                    to: output.baseAddress! + original.editOffset
                )
            }
        }
        must("forge") { try disk.put(name, bytes) }
    }

    // MARK: - Use

    mutating func run() {
        if isSalvaged { salvage() }
        for _ in 0..<2 {
            use()
            machine.scheduler.shutDown()
            disk.restart()
            machine.restart()
        }
    }

    private func salvage() {
        do throws(ApusError) {
            let report = try Database.salvage(
                from: FuzzDisk.directory, to: "/salvaged", options: Original.options, environment: environment)
            let salvaged = try Database.open(at: "/salvaged", options: Original.options, environment: environment)
            defer { try? salvaged.close() }
            let found = try? readAll(salvaged) { try $0.entries() }
            expect(isForged || found != nil, "what was salvaged can be read")
            if let found, !isForged, report.isComplete { expectOriginal(found) }
        } catch {}
    }

    private func use() {
        var options = Original.options
        options.createIfMissing = false
        do throws(ApusError) {
            let database = try Database.open(at: FuzzDisk.directory, options: options, environment: environment)
            defer { try? database.close() }
            let found = try? readAll(database) { try $0.entries() }
            if let found, !isForged { expectOriginal(found) }
            if let found {
                let reversed = try? readAll(database) { try $0.entries(reversed: true) }
                if let reversed, !isForged {
                    let found = found.mapValues { Array($0.reversed()) }
                    expect(reversed == found, "a database reads the same in both directions")
                }
            }
            if let report = try? database.verify() { _ = report.isSound }
            _ = database.statistics
            change(database)
        } catch {}
    }

    private func expectOriginal(_ found: Contents) {
        let original = Original.shared
        // Made by this fuzzer, if the process ended before it was dropped again.
        var found = found
        if found["another"] == [] { found["another"] = nil }
        expect(
            found == original.contents || found == original.earlierContents,
            "a database holds what was written, or an error says why not"
        )
    }

    /// Everything that follows from figures in the manifest. Leaves the contents as they are.
    private func change(_ database: Database) {
        for name in database.keyspaceNames {
            do throws(ApusError) {
                let keyspace = try database.existingKeyspace(name)
                try keyspace.put("~", "new")
                let found = try keyspace.get("~")
                if !isForged { expect(found == Array("new".utf8), "what was just written is read") }
                try keyspace.delete("~")
            } catch {}
        }
        do throws(ApusError) { try database.dropKeyspace(try database.keyspace("another").name) } catch {}
        do throws(ApusError) { try database.flush() } catch {}
        machine.scheduler.runAll()
        do throws(ApusError) { try database.compact() } catch {}
        machine.scheduler.runAll()
    }
}

// MARK: - Seeds

private let databaseSeeds: @Sendable () -> [String: [UInt8]] = {
    let count = Original.shared.names.count
    var seeds: [String: [UInt8]] = ["sound": [0]]
    for file in 0..<count {
        seeds["flip-\(file)"] = [1, 0, UInt8(file), 100, 0, 1]
        seeds["cut-\(file)"] = [129, 1, UInt8(file), 100, 0]
        seeds["forge-\(file)"] = [129, 8, UInt8(file), 90, 0, 4]
    }
    seeds["swap"] = [1, 3, 2, 0, 0, 3]
    seeds["zero"] = [1, 4, 1, 64, 0]
    seeds["remove"] = [1, 5, 3, 0, 0]
    var settings = KeyspaceSettings()
    settings.style = .fifo(maximumByteCount: 1, maximumAge: .max)
    settings.timeToLive = .max
    let edits: [VersionEdit.Change] = [
        .keyspaceChanged(1, settings), .nextKeyspaceID(.max), .lastSequence(.max),
        .nextFileNumber(FileName.numberLimit - 1), .flushedSequence(1, .max), .keyspaceDropped(2),
        .tableAdded(
            1,
            level: 3,
            TableMetadata(
                number: 4, byteCount: .max, checksum: 0, smallest: [1], largest: [2], largestIsExclusive: false,
                smallestSequence: .zero, largestSequence: .max, entryCount: .max, deletionCount: .max,
                rangeDeletionCount: .max, rawByteCount: .max, createdAt: .max, earliestExpiry: .max,
                blobReferences: [BlobFileShare(file: 5, byteCount: .max, valueCount: .max)]
            )
        ),
        .blobAdded(
            3,
            BlobFileMetadata(number: 6, byteCount: .max, checksum: 0, valueCount: .max, recordByteCount: .max)
        ),
        .logCreated(1 << 40, byteCount: .max),
        .cleanClose(CleanClose(lastSequence: .max, logNumber: 3, logByteCount: 64)),
    ]
    for (index, change) in edits.enumerated() {
        let payload = VersionEdit([change]).encoded
        seeds["edit-\(index)"] = [1, 6, 0, 0, 0, UInt8(payload.count)] + payload
    }
    return seeds
}
