// Faults that salvage once had, each reduced to the smallest history.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite struct SalvageRegressionTests {
    // MARK: - A flush that was killed between its tables

    private struct LogEntry {
        var keyspace: UInt32
        var entry: TableEntry
    }

    /// Everything in the log of a database that is not open.
    private func log(_ fixture: EngineFixture) throws -> [LogEntry] {
        guard
            case .database(let state) = try RecoveredState.read(
                directory: EngineFixture.directory, fileSystem: fixture.disk)
        else { return [] }
        var entries: [LogEntry] = []
        let replay = LogReplay(
            directory: EngineFixture.directory, fileSystem: fixture.disk, manifest: state.manifest)
        _ = try replay.run { (first, payload) throws(ApusError) in
            var sequence = first.rawValue
            guard var cursor = try? BatchCursor(payload) else { return }
            while let found = (try? cursor.next()) ?? nil {
                let entry = TableEntry([UInt8](found.key), sequence, [UInt8](found.payload), kind: found.kind)
                entries.append(LogEntry(keyspace: found.keyspace, entry: entry))
                sequence += 1
            }
        }
        return entries
    }

    /// The first table of a flush of `entries`: of the keys before `cut`.
    private func writeFirstOutput(
        _ fixture: EngineFixture, _ number: FileNumber, _ keyspace: UInt32, _ entries: [TableEntry], before cut: [UInt8]
    ) throws {
        let path = FileName.table(number).path(in: EngineFixture.directory)
        var options = TableWriterOptions()
        options.keyspace = keyspace
        let writer = TableWriter(
            file: try fixture.disk.open(path, .create), path: path, number: number, options: options, createdAt: 1)
        let deletions = entries.filter { $0.trailer.kind == .rangeDeletion }.map {
            RangeDeletion(start: $0.key, end: $0.payload, sequence: $0.trailer.sequence)
        }
        for entry in entries.sorted()
        where entry.trailer.kind != .rangeDeletion && entry.key.lexicographicallyPrecedes(cut) {
            try entry.key.withUnsafeBytes { key in
                try entry.payload.withUnsafeBytes { try writer.add(key, entry.trailer, $0) }
            }
        }
        let clipped = RangeDeletions(deletions).clipped(from: nil, to: cut)
        if !clipped.isEmpty { try writer.addRangeDeletions(clipped) }
        _ = try writer.finish()
    }

    @Test("a table that nothing lists does not stand for the rest of its flush")
    func killedBetweenTheTablesOfAFlush() throws {
        let fixture = EngineFixture(writeBufferByteCount: 1 << 20)
        var expected: [[[UInt8]: [UInt8]]] = []
        do {
            let database = try fixture.open()
            let plain = try database.keyspace("plain")
            let counts = try database.keyspace("counts", options: KeyspaceOptions(mergeOperator: .add))
            _ = try database.keyspace("victim")
            _ = try database.keyspace("behind it")
            // Both halves of the keys have entries from the beginning and from the end.
            for round in 0..<2 {
                for number in [9, 0, 7, 2, 5, 4, 3, 6, 1, 8] {
                    try plain.put("k\(number)", "\(number) in round \(round)")
                    try counts.merge(Array("k\(number)".utf8), 1)
                }
                if round == 0 { try plain.deleteRange(from: "k2", to: "k8") }
            }
            try plain.deleteRange(from: "k4", to: "k6")
            try plain.put("k0", "the end")
            try counts.merge(Array("k0".utf8), 5)
            for keyspace in [plain, counts] {
                expected.append(
                    Dictionary(uniqueKeysWithValues: try keyspace.entries().map { ($0.key, $0.value) }))
            }
            fixture.disk.inject(Fault(.stop))
            try? database.close()
        }
        fixture.disk.removeFaults()
        fixture.machine.restart()
        let entries = try log(fixture)
        try #require(entries.count == 44)
        let cut = Array("k5".utf8)
        for (number, keyspace) in [(FileNumber(900), UInt32(1)), (901, 2)] {
            let own = entries.filter { $0.keyspace == keyspace }.map(\.entry)
            try writeFirstOutput(fixture, number, keyspace, own, before: cut)
        }
        try damageManifest(fixture, at: "victim")
        let report = try Database.salvage(
            from: EngineFixture.directory, to: "/new", options: fixture.options,
            environment: fixture.machine.environment)
        #expect(report.losses.allSatisfy { $0.file.hasSuffix(".manifest") }, "\(report.losses)")
        var options = fixture.options
        options.isReadOnly = true
        let database = try Database.open(at: "/new", options: options, environment: fixture.machine.environment)
        #expect(try database.verify().problems == [])
        for (name, expected) in zip(["plain", "counts"], expected) {
            let keyspace = try database.existingKeyspace(name)
            let found = Dictionary(uniqueKeysWithValues: try keyspace.entries().map { ($0.key, $0.value) })
            #expect(found == expected, "\(name)")
            for key in expected.keys { #expect(try keyspace.get(key) == expected[key]) }
        }
        try database.close()
    }

    /// Makes the edit that holds `text` unreadable.
    private func damageManifest(_ fixture: EngineFixture, at text: String) throws {
        let name = try #require(try fixture.names().first { $0.hasSuffix(".manifest") })
        var bytes = try fixture.bytes(of: name)
        let wanted = Array(text.utf8)
        let position = try #require(bytes.indices.first { bytes[$0...].starts(with: wanted) })
        bytes[position] ^= 1
        try fixture.overwrite(name, with: bytes)
    }

    // MARK: - What tables tell of the log

    private func table(_ smallest: String, _ largest: String, _ sequences: ClosedRange<UInt64>) -> TableMetadata {
        var table = TableMetadata.sample(1, smallest, largest)
        table.smallestSequence = SequenceNumber(sequences.lowerBound)
        table.largestSequence = SequenceNumber(sequences.upperBound)
        return table
    }

    @Test func coverageGoesByKeysAndSequenceNumbers() {
        let coverage = SalvageCoverage([table("b", "d", 1...10), table("c", "f", 11...20), table("x", "y", 0...5)])
        func finding(_ key: String, _ sequence: UInt64) -> SalvageCoverage.Finding {
            Array(key.utf8).withUnsafeBytes { coverage.finding($0, SequenceNumber(sequence)) }
        }
        let bounds = [("a", 0), ("b", 10), ("bz", 10), ("c", 20), ("d", 20), ("f", 20), ("f0", 0), ("z", 0)]
        for (key, heldUpTo) in bounds {
            if heldUpTo > 0 { #expect(finding(key, UInt64(heldUpTo)) == .held, "\(key)") }
            #expect(finding(key, UInt64(heldUpTo) + 1) == .missing, "\(key)")
        }
        #expect(finding("x", 5) == .held && finding("x", 6) == .unknown && finding("y", 20) == .unknown)
        #expect(finding("x", 21) == .missing)
        #expect(SalvageCoverage([]).findings(from: [1], to: [2], SequenceNumber(1)).map(\.finding) == [.missing])
    }

    @Test func rangesAreCutWhereTheFindingChanges() {
        let coverage = SalvageCoverage([table("b", "d", 1...10), table("c", "f", 11...20), table("x", "y", 0...5)])
        func findings(_ start: String, _ end: String, _ sequence: UInt64) -> [String] {
            coverage.findings(from: Array(start.utf8), to: Array(end.utf8), SequenceNumber(sequence)).map {
                "\(String(decoding: $0.start, as: UTF8.self)) \(String(decoding: $0.end, as: UTF8.self)) \($0.finding)"
            }
        }
        #expect(findings("a", "c", 5) == ["a b missing", "b c held"])
        #expect(findings("bb", "cc", 15) == ["bb c missing", "c cc held"])
        #expect(
            findings("bb", "z", 15) == [
                "bb c missing", "c f\0 held", "f\0 x missing", "x y\0 unknown", "y\0 z missing",
            ])
        #expect(findings("a", "z", 21) == ["a z missing"])
    }
}
