// Fills a keyspace from files.
//
//   1. Records are collected into a batch, about a thousand at a time.
//   2. With each batch goes the position of its source, so that both become visible together.
//   3. Batches are committed relaxed: a killed process loses none of them, and a power failure only the newest, together
//      with their positions. At the end everything is made durable.
//
// Memory is bounded by a batch and one record, whatever the size of the sources.

import Apus
import Foundation

final class Importer {
    struct Summary {
        var entries = 0
        var bytes: UInt64 = 0
        var filesDone = 0
        /// Files that an earlier run had finished.
        var filesSkipped = 0
        /// Records of unfinished files that an earlier run had written.
        var entriesSkipped = 0
        var binaryFiles = 0
        var specialFiles = 0
        var failures: [String] = []
    }

    private(set) var summary = Summary()
    private let database: Database
    private let keyspace: Keyspace
    private let plan: ImportPlan
    private let positions: ImportPositions
    private let progress: ProgressBar
    private var batch = WriteBatch()
    private var bytesSeen: UInt64 = 0
    private static let batchCount = 1_000
    private static let batchByteCount = 4 << 20

    init(_ database: Database, _ plan: ImportPlan, progress: ProgressBar) throws {
        self.database = database
        self.plan = plan
        self.progress = progress
        keyspace = try database.keyspace(plan.keyspace)
        positions = try ImportPositions(database, target: plan.keyspace)
    }

    /// Everything so far becomes durable.
    func finish() throws {
        try commit()
        try database.synchronize()
        progress.finish()
    }

    // MARK: Sources

    /// Nothing tells whether the next standard input is the same one, so it has no position: what was committed of it
    /// stays, and a run after a kill begins with its first record.
    func importStandardInput() throws {
        guard let format = plan.format, format != .tree else {
            throw Failure("standard input has no name that tells its format; choose one by --format")
        }
        let input = ByteInput()
        let reader = try plan.reader(input, format, name: [], from: ReaderPosition())
        while let record = try reader.next() {
            try add(record, number: reader.position.records, of: input)
            progress.update(entries: summary.entries, bytes: input.offset)
        }
        summary.bytes += input.offset
        summary.filesDone += 1
    }

    func importFile(_ path: String) throws {
        let format = try plan.format(of: path)
        let name = plan.fullPath ? Self.trimmed(path.utf8) : Array((path as NSString).lastPathComponent.utf8)
        try importFile(try ByteInput(path: path), format, name: name, path: Array(absolutePath(path).utf8))
    }

    func importTree(_ root: String) throws {
        var walk = try TreeWalk(root, excluding: FileIdentity(path: database.directory))
        var prefix = plan.fullPath ? Self.trimmed(root.utf8) : []
        if !prefix.isEmpty { prefix.append(UInt8(ascii: "/")) }
        let base = Array(absolutePath(root).utf8) + [UInt8(ascii: "/")]
        while let item = walk.next() {
            do {
                let input = try ByteInput(path: Array(root.utf8) + [UInt8(ascii: "/")] + item.path)
                try importFile(input, .tree, name: prefix + item.path, path: base + item.path)
            } catch let failure as Failure where batch.error == nil {
                // One unreadable file is no reason to leave out the rest; it is reported at the end.
                summary.failures.append(failure.message)
            }
        }
        summary.specialFiles += walk.skippedCount
        summary.failures += walk.failures
    }

    private func importFile(_ input: ByteInput, _ format: ImportFormat, name: [UInt8], path: [UInt8]) throws {
        let source = plan.source(path, format, name: name)
        let stamp = try input.stamp()
        var state = ImportPosition(stamp: stamp)
        if let earlier = try positions.position(of: source), !plan.again {
            if earlier.stamp == stamp {
                state = earlier
            } else {
                state.earlierRecords = max(earlier.position.records, earlier.earlierRecords)
            }
        }
        if state.isDone {
            summary.filesSkipped += 1
            bytesSeen += stamp.size
            return progress.update(entries: summary.entries, bytes: bytesSeen)
        }
        if plan.textOnly, format == .tree, try input.peekBytes().contains(0) {
            summary.binaryFiles += 1
            bytesSeen += stamp.size
            return
        }
        let reader = try plan.reader(input, format, name: name, from: state.position)
        summary.entriesSkipped += state.position.records
        state.layout = reader.layout
        let start = input.offset
        while let record = try reader.next() {
            try add(record, number: reader.position.records, of: input)
            state.position = reader.position
            if isBatchFull {
                try positions.put(state, of: source, into: &batch)
                try commit()
            }
            progress.update(entries: summary.entries, bytes: bytesSeen + input.offset)
        }
        try removeSurplus(of: name, state)
        state.isDone = true
        state.earlierRecords = 0
        try positions.put(state, of: source, into: &batch)
        if isBatchFull { try commit() }
        summary.filesDone += 1
        summary.bytes += input.offset - start
        bytesSeen += stamp.size
    }

    /// Lines that the file had when it was imported before and has no more.
    private func removeSurplus(of name: [UInt8], _ state: ImportPosition) throws {
        guard plan.byLine, state.earlierRecords > state.position.records else { return }
        for line in state.position.records + 1...state.earlierRecords {
            guard let key = LineReader.key(of: name, line: line) else { return }
            batch.delete(key, in: keyspace)
            if isBatchFull { try commit() }
        }
    }

    // MARK: Batches

    private var isBatchFull: Bool { batch.count >= Self.batchCount || batch.byteCount >= Self.batchByteCount }

    private func add(_ record: ImportRecord, number: Int, of input: ByteInput) throws {
        batch.put(record.key, record.value, in: keyspace)
        if let error = batch.error { throw Failure("\(input.name), record \(number): \(error.message)") }
        summary.entries += 1
        // Standard input has no position, so nothing else ends its batches.
        if batch.count >= 2 * Self.batchCount { try commit() }
    }

    private func commit() throws {
        if batch.isEmpty { return }
        try database.commit(batch, durability: .relaxed)
        batch = WriteBatch()
    }

    private func absolutePath(_ path: String) -> String {
        URL(fileURLWithPath: path).resolvingSymlinksInPath().path
    }

    /// A path as the beginning of keys: without slashes and dots around it.
    static func trimmed(_ path: some Collection<UInt8>) -> [UInt8] {
        var path = Array(path)[...]
        while path.starts(with: Array("./".utf8)) { path = path.dropFirst(2) }
        while path.first == UInt8(ascii: "/") { path = path.dropFirst() }
        while path.last == UInt8(ascii: "/") { path = path.dropLast() }
        return path.elementsEqual([UInt8(ascii: ".")]) ? [] : Array(path)
    }
}
