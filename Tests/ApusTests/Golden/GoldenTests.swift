// Databases that released versions wrote, kept byte for byte, must open and hold what they held. `APUS_WRITE_GOLDEN=1`
// writes those of the current format anew: only for a format that has not been released yet.

import ApusSimulation
import Foundation
import Testing

@testable import Apus

@Suite("Golden databases")
struct GoldenTests {
    /// Every kind of file and entry. `closed` has no log; of `killed` half lies in the log alone, and of `separated`, too,
    /// but for large values, which lie in a blob file that no manifest lists.
    enum Form: String, CaseIterable {
        case closed, killed, separated
    }

    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("format-1")
    private static let hour: UInt64 = 3_600_000

    private static func value(_ number: Int, _ byteCount: Int) -> [UInt8] {
        (0..<byteCount).map { UInt8(truncatingIfNeeded: number &* 31 &+ $0 / 3) }
    }

    private static func keyspaces(_ database: Database) throws -> [String: Keyspace] {
        var options: [String: KeyspaceOptions] = [:]
        for name in ["lz4", "zstd", "raw", "sums", "texts", "maxima", "firsts", "queue", "blobs", "brief"] {
            options[name] = KeyspaceOptions()
            options[name]!.valueSeparationThreshold = nil
        }
        options["zstd"]!.compression = .zstd
        options["raw"]!.compression = .none
        options["raw"]!.filterBitsPerKey = 0
        options["sums"]!.mergeOperator = .add
        options["texts"]!.mergeOperator = .append
        options["maxima"]!.mergeOperator = .maximum
        options["firsts"]!.mergeOperator = .setIfAbsent
        options["queue"]!.compaction = .fifo(maximumByteCount: 1 << 30, maximumAge: .seconds(1 << 30))
        options["blobs"]!.valueSeparationThreshold = 64
        options["brief"]!.timeToLive = .seconds(86_400)
        return try options.reduce(into: [:]) { $0[$1.key] = try database.keyspace($1.key, options: $1.value) }
    }

    private static func fill(_ database: Database, _ half: Int) throws {
        let keyspaces = try keyspaces(database)
        for name in ["lz4", "zstd", "raw", "queue"] {
            for number in 0..<40 {
                try keyspaces[name]!.put("key \(half) \(number)", value(number, number * 3))
            }
        }
        for name in ["lz4", "zstd", "raw"] {
            try keyspaces[name]!.delete("key \(half) 7")
            try keyspaces[name]!.deleteRange("key \(half) 2"..<"key \(half) 25")
        }
        for number in 0..<6 {
            for _ in 0...half { try keyspaces["sums"]!.merge("sum \(number)", Int64(1_000 - number)) }
            try keyspaces["texts"]!.merge("text \(number)", "half \(half).")
            try keyspaces["maxima"]!.merge("maximum \(number)", "\(half == 0 ? 9 : 1)\(number)")
            try keyspaces["firsts"]!.merge("first \(number)", "half \(half)")
            try keyspaces["blobs"]!.put("blob \(half) \(number)", value(number, 40 + 30 * number))
            try keyspaces["brief"]!.put("brief \(half) \(number)", "value")
        }
        try database.write { batch in
            for name in ["lz4", "zstd", "raw"] { batch.put("batch \(half)", name, in: keyspaces[name]!) }
            batch.put("soon", "gone", in: keyspaces["lz4"]!, expiry: .after(.seconds(60)))
        }
    }

    private static func make(_ form: Form) throws -> EngineFixture {
        let fixture = EngineFixture(seed: 11, writeBufferByteCount: 32_768)
        fixture.options.tuning!.manifestByteCount = 8_192
        if form == .separated {
            fixture.options.tuning!.leastValueByteCount = 64
            fixture.options.tuning!.leastSyncedValuesByteCount = 64
            fixture.options.tuning!.valueFileByteCount = 65_536
        }
        let database = try fixture.open()
        try fill(database, 0)
        try database.flush()
        try database.compact()
        fixture.machine.scheduler.runAll()
        try fill(database, 1)
        if form == .separated {
            let blobs = try keyspaces(database)["blobs"]!
            try database.write { batch in
                for number in 0..<3 { batch.put("blob 2 \(number)", value(number, 200), in: blobs) }
                batch.put("blob 2 soon", value(3, 200), in: blobs, expiry: .after(.seconds(60)))
            }
        }
        switch form {
        case .closed: try database.close()
        case .killed, .separated:
            fixture.disk.inject(Fault(.stop))
            try? database.close()
            fixture.disk.removeFaults()
            fixture.machine.restart()
        }
        return fixture
    }

    private static func contents(_ database: Database) throws -> [String: [String: [UInt8]]] {
        try keyspaces(database).mapValues { keyspace in
            try keyspace.entries().reduce(into: [:]) { $0[String(decoding: $1.key, as: UTF8.self)] = $1.value }
        }
    }

    @Test("open and hold what they held", arguments: Form.allCases)
    func golden(form: Form) throws {
        let folder = Self.folder.appendingPathComponent(form.rawValue)
        let made = try Self.make(form)
        if ProcessInfo.processInfo.environment["APUS_WRITE_GOLDEN"] == "1" {
            try? FileManager.default.removeItem(at: folder)
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            for name in try made.names() where name != "LOCK" {
                try Data(try made.bytes(of: name)).write(to: folder.appendingPathComponent(name))
            }
        }
        let fixture = EngineFixture(seed: 12)
        try fixture.disk.createDirectory(EngineFixture.directory)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        for name in names {
            let bytes = [UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))
            fixture.disk.replaceContents(of: "\(EngineFixture.directory)/\(name)", with: bytes)
        }
        let kinds = Set(names.map { $0.split(separator: ".").last! })
        #expect(kinds == Set(["CURRENT", "manifest", "table", "blob"] + (form == .closed ? [] : ["log"])))

        if form == .separated {
            // One that the manifest lists, and one that only the log refers to.
            #expect(names.count { $0.hasSuffix(".blob") } == 2)
        }

        let expected = try Self.contents(try made.open())
        let database = try fixture.open()
        let found = try Self.contents(database)
        #expect(found == expected)
        #expect(found["sums"]?["sum 3"] == Array(withUnsafeBytes(of: Int64(3 * 997).littleEndian) { Array($0) }))
        #expect(found["texts"]?["text 0"] == Array("half 0.half 1.".utf8))
        #expect(found["firsts"]?["first 0"] == Array("half 0".utf8))
        #expect(found["blobs"]?["blob 1 5"] == Self.value(5, 190))
        if form == .separated {
            #expect(found["blobs"]?["blob 2 2"] == Self.value(2, 200))
            #expect(found["blobs"]?["blob 2 soon"] == Self.value(3, 200))
        }
        #expect(found["lz4"]?["key 1 19"] == Self.value(19, 57))
        #expect(found["lz4"]?["key 1 2"] == nil)
        #expect(found["lz4"]?["soon"] == Array("gone".utf8))
        fixture.machine.clock.setWall(milliseconds: fixture.machine.clock.wallMilliseconds() + Self.hour)
        #expect(try Self.contents(database)["lz4"]?["soon"] == nil)
        #expect(try database.verify().problems.isEmpty)
    }
}
