// A small database that has everything a salvage can meet, on a simulated disk, and what every key of it should say.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

/// Keyspaces: "plain" (many versions, deletions, range deletions), "large" (values in blob files), "counts" (merge
/// operands), "journal" (FIFO), "cache" (never logged).
final class SalvageFixture {
    typealias Contents = [String: [[UInt8]: [UInt8]]]

    var machine: Simulation
    var options = Options()
    /// What the database held when it was left.
    private(set) var expected: Contents = [:]
    /// Every value that a key ever had.
    private var history: [String: [[UInt8]: Set<[UInt8]>]] = [:]
    private var targetCount = 0

    static let source = "/db"

    /// - Parameters:
    ///   - closes: false: the process is killed, with batches in the log that are in no table.
    init(seed: UInt64, closes: Bool, rounds: Int = 6) throws {
        machine = Simulation(seed: seed)
        var tuning = Tuning(memoryBudget: 1 << 20)
        tuning.writeBufferByteCount = 24 << 10
        tuning.blockByteCount = 200
        tuning.levels.ratio = 3
        tuning.levels.baseByteCount = 4096
        tuning.levels.tableByteCount = 2048
        tuning.logSegmentByteCount = 8192
        tuning.manifestByteCount = 8192
        tuning.leastValueByteCount = 100
        tuning.leastSyncedValuesByteCount = 100
        options.tuning = tuning
        try build(TestRandom(seed: seed), closes: closes, rounds: rounds)
    }

    private func build(_ given: TestRandom, closes: Bool, rounds: Int) throws {
        var random = given
        let database = try Database.open(at: Self.source, options: options, environment: machine.environment)
        try create(in: database)
        for round in 0..<rounds {
            for _ in 0..<12 { try change(database, &random) }
            // The last round stays in the log.
            if round + 1 < rounds || closes { try database.flush() }
            if round == rounds / 2 { try database.compact() }
            if round == rounds / 2 { try database.keyspace("plain").delete(key(999)) }
            machine.scheduler.runAll()
        }
        // Damage to the very last batch cannot be told from a crash: nothing depends on it.
        try database.keyspace("plain").put(key(999), "end")
        if closes {
            try database.close()
        } else {
            machine.disk.inject(Fault(.stop))
            try? database.close()
            machine.disk.removeFaults()
        }
        machine.restart()
        try removeLeftovers()
        expected["plain"]?[key(999)] = nil
        if !closes { expected["cache"] = [:] }
    }

    private func create(in database: Database) throws {
        _ = try database.keyspace("plain")
        _ = try database.keyspace("large", options: KeyspaceOptions(valueSeparationThreshold: 100))
        _ = try database.keyspace("counts", options: KeyspaceOptions(mergeOperator: .add))
        _ = try database.keyspace(
            "journal", options: KeyspaceOptions(compaction: .fifo(maximumByteCount: 1 << 20), filterBitsPerKey: 0))
        _ = try database.keyspace("cache", options: KeyspaceOptions(isEphemeral: true))
        for name in database.keyspaceNames { expected[name] = [:] }
    }

    /// Files that nothing refers to, as the end of a process leaves them: no damage to them is a loss.
    private func removeLeftovers() throws {
        let content = try RecoveredState.read(directory: Self.source, fileSystem: machine.disk)
        guard case .database(let state) = content else { return }
        let leftovers = try state.leftovers(in: Self.source, on: machine.disk)
        for name in leftovers where name != .lock { machine.disk.delete(name.path(in: Self.source)) }
    }

    func key(_ number: Int) -> [UInt8] { Array("key-\(1000 + number)".utf8) }

    private func change(_ database: Database, _ random: inout TestRandom) throws {
        let plain = try database.keyspace("plain")
        try database.write { batch in
            for _ in 0..<4 {
                let key = self.key(random.below(60))
                if random.chance(15) {
                    batch.delete(key, in: plain)
                    self.expected["plain"]![key] = nil
                } else {
                    self.put(key, random.bytes(20 + random.below(30)), "plain", plain, &batch)
                }
            }
            if random.chance(20) {
                let (start, end) = (random.below(60), random.below(60))
                batch.deleteRange(from: key(min(start, end)), to: key(max(start, end)), in: plain)
                for number in min(start, end)..<max(start, end) { expected["plain"]![key(number)] = nil }
            }
        }
        let large = try database.keyspace("large")
        let journal = try database.keyspace("journal")
        let cache = try database.keyspace("cache")
        let counts = try database.keyspace("counts")
        try database.write { batch in
            self.put(key(random.below(20)), random.bytes(80 + random.below(200)), "large", large, &batch)
            self.put(key(random.below(900)), random.bytes(20), "journal", journal, &batch)
            let counter = key(random.below(3))
            batch.merge(counter, 1, in: counts)
            let old = self.expected["counts"]![counter]?.withUnsafeBytes { $0.littleEndian(at: 0) as Int64 } ?? 0
            let new = withUnsafeBytes(of: (old + 1).littleEndian) { [UInt8]($0) }
            self.note(counter, new, "counts")
        }
        try database.write { batch in self.put(key(random.below(20)), [1], "cache", cache, &batch) }
    }

    private func put(
        _ key: [UInt8], _ value: [UInt8], _ name: String, _ keyspace: Keyspace, _ batch: inout WriteBatch
    ) {
        batch.put(key, value, in: keyspace)
        note(key, value, name)
    }

    private func note(_ key: [UInt8], _ value: [UInt8], _ name: String) {
        expected[name]![key] = value
        history[name, default: [:]][key, default: []].insert(value)
    }

    func isOfCache(_ path: String) throws -> Bool {
        guard case .table(let number) = FileName(String(path.dropFirst(Self.source.count + 1))) else { return false }
        return try SalvageTable.read(number, in: Self.source, on: machine.disk).keyspace == 5
    }

    // MARK: - Salvaging

    /// The files of the source.
    var files: [String: [UInt8]] {
        get {
            var files: [String: [UInt8]] = [:]
            for path in machine.disk.filePaths where path.hasPrefix(Self.source + "/") {
                files[path] = machine.disk.contents(of: path)
            }
            return files
        }
        set {
            for path in files.keys where newValue[path] == nil { machine.disk.delete(path) }
            for (path, bytes) in newValue { machine.disk.replaceContents(of: path, with: bytes) }
        }
    }

    /// Salvages into a new directory, checks that the source is as it was and that the target is sound.
    func salvage(options: Options? = nil) throws -> (SalvageReport, Contents) {
        targetCount += 1
        let target = "/salvaged-\(targetCount)"
        let before = files
        let report = try Database.salvage(
            from: Self.source, to: target, options: options ?? self.options, environment: machine.environment)
        #expect(files == before, "the source is only read")
        let contents = try contents(of: target)
        for path in machine.disk.filePaths where path.hasPrefix(target + "/") { machine.disk.delete(path) }
        return (report, contents)
    }

    /// What a database that must be sound holds.
    func contents(of directory: String) throws -> Contents {
        var readOnly = options
        readOnly.isReadOnly = true
        let database = try Database.open(at: directory, options: readOnly, environment: machine.environment)
        defer { try? database.close() }
        let report = try database.verify()
        #expect(report.problems == [])
        var contents: Contents = [:]
        for name in database.keyspaceNames {
            let keyspace = try database.existingKeyspace(name)
            var entries: [[UInt8]: [UInt8]] = [:]
            do throws(ApusError) {
                for entry in try keyspace.entries() where entry.key != key(999) {
                    entries[entry.key] = entry.value
                    let found = try keyspace.get(entry.key)
                    #expect(found == entry.value)
                }
            } catch {
                // A keyspace whose settings were lost does not know its operator.
                #expect(error.kind == .mergeFailed && name.hasPrefix("keyspace-"), "\(error)")
            }
            contents[name] = entries
        }
        return contents
    }

    /// Everything that is not as it was has to be within a loss of the report, and no value may be made up.
    func check(_ contents: Contents, _ report: SalvageReport, _ context: String) {
        if report.isComplete { #expect(contents == expected, "\(context)") }
        for (name, entries) in expected {
            let found = contents[name] ?? [:]
            for key in Set(entries.keys).union(found.keys) where entries[key] != found[key] {
                let isExplained = report.losses.contains { $0.explains(key, of: name) }
                #expect(isExplained, "\(context): \(name) \(String(decoding: key, as: UTF8.self))")
                if name != "counts", let value = found[key] {
                    #expect(history[name]?[key]?.contains(value) == true, "\(context): a value made up")
                }
            }
        }
    }
}

extension SalvageReport.Loss {
    /// Whether an entry of `key` may be among what is lost.
    func explains(_ key: [UInt8], of name: String) -> Bool {
        if let keyspace, keyspace != name { return false }
        // What was hidden by a lost deletion may be anywhere.
        if what.hasPrefix("range deletions") { return true }
        if what.hasPrefix("no entries") || what.hasPrefix("nothing") { return false }
        if let lowerKey, key.lexicographicallyPrecedes(lowerKey) { return false }
        if let upperKey, upperKey.lexicographicallyPrecedes(key) { return false }
        return true
    }

    func covers(_ file: String, _ position: Int) -> Bool {
        self.file == file && offset <= UInt64(position) && UInt64(position) < offset + (byteCount ?? .max / 2)
    }
}
