// A small database with every kind of file, closed in order or killed with a live log, and everything that a test has
// to know about it: what it holds, what it held before, and which bytes hold what.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

final class CorruptionSample {
    typealias Contents = [String: [Entry]]

    /// How the database was left.
    enum End: String, CaseIterable {
        case closed, killed
    }

    struct Kind: Sendable, Hashable, CustomTestStringConvertible {
        var compression: Compression
        var end: End
        var testDescription: String { "\(compression), \(end)" }

        static let all: [Kind] = [Compression.none, .lz4, .zstd].flatMap { compression in
            End.allCases.map { Kind(compression: compression, end: $0) }
        }
    }

    /// A commit of the last process, which is one frame of the log.
    struct Commit {
        var keys: [String: Set<[UInt8]>]
        /// What the database held after it.
        var contents: Contents
    }

    static let directory = "/db"

    let kind: Kind
    var machine = Simulation(seed: 31)
    var options = Options(memoryBudget: 1 << 20)
    /// The files without LOCK, by name.
    private(set) var files: [String: [UInt8]] = [:]
    /// Other contents that the files had at earlier moments.
    private(set) var older: [String: [[UInt8]]] = [:]
    private(set) var contents: Contents = ["plain": [], "large": []]
    /// Every value that a key ever had.
    private(set) var history: [String: [[UInt8]: Set<[UInt8]>]] = ["plain": [:], "large": [:]]
    private(set) var commits: [Commit] = []
    /// What the database held before the first of them.
    private(set) var base: Contents = [:]

    init(_ kind: Kind) throws {
        self.kind = kind
        var tuning = Tuning(memoryBudget: 1 << 20)
        tuning.writeBufferByteCount = 64 << 10
        tuning.blockByteCount = 160
        tuning.levels.baseByteCount = 1_024
        tuning.levels.tableByteCount = 700
        tuning.logSegmentByteCount = 4_096
        tuning.manifestByteCount = 1_024
        tuning.leastValueByteCount = 305
        tuning.leastSyncedValuesByteCount = 305
        tuning.valueFileByteCount = 4_096
        options.tuning = tuning
        try build()
        for name in try machine.disk.list(Self.directory) where name != "LOCK" {
            files[name] = machine.disk.contents(of: path(name))
        }
        for (name, copies) in older {
            older[name] = Set(copies).filter { $0 != files[name] }.sorted { $0.count < $1.count }
        }
    }

    func path(_ name: String) -> String { Self.directory + "/" + name }
    private func key(_ number: Int) -> [UInt8] { Array("key-\(10 + number)".utf8) }

    // MARK: - Building

    private func build() throws {
        var random = TestRandom(seed: 32)
        try session { database in
            for number in 0..<12 {
                try self.put(number, self.value(40, &random), "plain", database)
                try self.put(number, self.value(50 + number, &random), "large", database)
            }
            self.noteFiles()
            try database.compact()
        }
        try session { database in
            for number in 4..<9 { try self.put(number, self.value(30, &random), "plain", database) }
            try self.put(3, self.value(60, &random), "large", database)
            try database.existingKeyspace("plain").delete(self.key(1))
            try self.deleteRange(9, 11, database)
            self.remove([1], "plain")
            self.noteFiles()
            try database.flush()
        }
        try lastSession(&random)
    }

    /// The last process: it has a log of two segments when it ends, and its last two commits are relaxed.
    private func lastSession(_ random: inout TestRandom) throws {
        let database = try open()
        base = contents
        for round in 0..<12 {
            let durability: Durability = round < 10 ? .durable : .relaxed
            let (number, other) = (round * 5 % 12, round * 7 % 12)
            let (value, large) = (value(200, &random), value(300 + round, &random))
            let (plain, blobs) = (try database.existingKeyspace("plain"), try database.existingKeyspace("large"))
            try database.write(durability) { batch in
                batch.put(self.key(number), value, in: plain)
                batch.put(self.key(other), large, in: blobs)
            }
            note(number, value, "plain")
            note(other, large, "large")
            commits.append(
                Commit(keys: ["plain": [key(number)], "large": [key(other)]], contents: contents))
            noteFiles()
        }
        if kind.end == .killed {
            machine.disk.inject(Fault(.stop))
            _ = try? machine.disk.status(of: Self.directory)
        }
        try? database.close()
        machine.disk.removeFaults()
        machine.restart()
        if kind.end == .closed { (base, commits) = (contents, []) }
    }

    private func session(_ body: (Database) throws -> Void) throws {
        let database = try open()
        _ = try database.keyspace("plain", options: KeyspaceOptions(compression: kind.compression))
        _ = try database.keyspace(
            "large", options: KeyspaceOptions(compression: kind.compression, valueSeparationThreshold: 40))
        try body(database)
        noteFiles()
        try database.close()
        noteFiles()
        machine.restart()
    }

    func open(isReadOnly: Bool = false, in environment: Environment? = nil) throws(ApusError) -> Database {
        var options = options
        options.isReadOnly = isReadOnly
        return try Database.open(
            at: Self.directory, options: options, environment: environment ?? machine.environment)
    }

    /// Half of it can be compressed.
    private func value(_ count: Int, _ random: inout TestRandom) -> [UInt8] {
        random.bytes(count / 2) + [UInt8](repeating: UInt8(count & 0xFF), count: count - count / 2)
    }

    private func put(_ number: Int, _ value: [UInt8], _ name: String, _ database: Database) throws {
        try database.existingKeyspace(name).put(key(number), value)
        note(number, value, name)
    }

    private func note(_ number: Int, _ value: [UInt8], _ name: String) {
        remove([number], name)
        contents[name]!.append(Entry(key: key(number), value: value))
        contents[name]!.sort { $0.key < $1.key }
        history[name]![key(number), default: []].insert(value)
    }

    private func remove(_ numbers: [Int], _ name: String) {
        let keys = numbers.map(key)
        contents[name]!.removeAll { keys.contains($0.key) }
    }

    private func deleteRange(_ start: Int, _ end: Int, _ database: Database) throws {
        try database.existingKeyspace("plain").deleteRange(from: key(start), to: key(end))
        remove(Array(start..<end), "plain")
    }

    private func noteFiles() {
        for path in machine.disk.filePaths where path.hasPrefix(Self.directory + "/") && !path.hasSuffix("LOCK") {
            older[String(path.dropFirst(Self.directory.count + 1)), default: []].append(
                machine.disk.contents(of: path)!)
        }
    }

    // MARK: - Changing files

    /// Runs `body` with some files changed (nil: removed) and puts them back.
    func with<Result>(_ change: CorruptionMutation.Change, _ body: () throws -> Result) rethrows -> Result {
        set(change)
        defer { set(Dictionary(uniqueKeysWithValues: change.keys.map { ($0, files[$0]) })) }
        return try body()
    }

    private func set(_ change: CorruptionMutation.Change) {
        for (name, bytes) in change {
            if let bytes {
                machine.disk.replaceContents(of: path(name), with: bytes)
            } else {
                machine.disk.delete(path(name))
            }
        }
    }

    // MARK: - What a killed database may have lost

    /// A frame of a log segment, found without the engine's help (FORMAT.md §3.2).
    struct Frame {
        var range: Range<Int>
        /// The records of blob files that it refers to.
        var values: [(name: String, range: Range<Int>)]
        /// So much of the file was durable when it was made.
        var synced: Int
    }

    static func frames(_ bytes: [UInt8]) -> [Frame] {
        func number(_ offset: Int, _ count: Int) -> Int {
            (0..<count).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) }
        }
        var frames: [Frame] = []
        var offset = 64
        while offset + 24 <= bytes.count, number(offset + 16, 7) != 0 {
            let end = offset + 24 + (number(offset + 8, 4) + 7) / 8 * 8
            // A batch whose values lie elsewhere (§3.3): entries with short keys, and references of 24 bytes.
            var values: [(name: String, range: Range<Int>)] = []
            var entry = offset + 28
            for _ in 0..<(bytes[offset + 16] == 3 ? number(offset + 24, 4) : 0) {
                let keyCount = Int(bytes[entry + 2])
                let payload = entry + 4 + keyCount
                let isLong = bytes[payload - 1] & 0x80 != 0
                let count = Int(bytes[payload - 1] & 0x7F) | (isLong ? Int(bytes[payload]) << 7 : 0)
                if bytes[entry] == EntryKind.separatedValue.rawValue {
                    let (file, start) = (number(payload, 8), number(payload + 8, 8))
                    values.append(
                        (FileName.blob(FileNumber(file)).string, start..<start + number(payload + 16, 4)))
                }
                entry = payload + (isLong ? 1 : 0) + count
            }
            frames.append(Frame(range: offset..<end, values: values, synced: number(offset + 12, 4) * 8))
            offset = end
        }
        return frames
    }

    var logs: [String] { files.keys.filter { $0.hasSuffix(".log") }.sorted() }

    /// Every state that the database may be in after `change`. For a closed one that is the one it was left in. The log
    /// of a killed one may end early, as after a crash, if damage takes a frame away and no frame that is still there
    /// proves that it had been durable.
    func legalStates(_ change: CorruptionMutation.Change) -> [Contents] {
        guard let newest = logs.last, let bytes = change[newest, default: files[newest]] else { return [contents] }
        let original = files[newest]!
        guard bytes.count >= original.count else { return [contents] }
        let frames = Self.frames(original)
        func isIntact(_ range: Range<Int>) -> Bool { bytes[range] == original[range] }
        func isWhole(_ value: (name: String, range: Range<Int>)) -> Bool {
            guard let changed = change[value.name] else { return true }
            guard let changed, changed.count >= value.range.upperBound else { return false }
            return changed[value.range] == files[value.name]![value.range]
        }
        let sealed = logs.dropLast().flatMap { Self.frames(files[$0]!) }
        guard sealed.allSatisfy({ $0.values.allSatisfy(isWhole) }) else { return [contents] }
        let first = frames.firstIndex { !isIntact($0.range) || !$0.values.allSatisfy(isWhole) }
        guard let first else { return [contents] }
        var cut = first
        let start = frames[first].range.lowerBound
        let surviving = frames.filter { isIntact($0.range.lowerBound..<$0.range.lowerBound + 24) }
        if !isIntact(0..<64) {
            // Without a header the segment must not have any frame.
            guard surviving.isEmpty else { return [contents] }
            cut = 0
        } else if surviving.contains(where: { $0.range.lowerBound >= start && $0.synced > start }) {
            return [contents]
        }
        let before = commits.count - frames.count + cut
        return [contents, before > 0 ? commits[before - 1].contents : base]
    }
}
