// Files that were truncated or changed at rest. Whatever byte it is: either the database has all its data, or it says
// which file is damaged; never other data, never a trap.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite("Damage at rest")
struct DamageTests {
    /// A small closed (or killed) database with every kind of file.
    private struct Sample {
        let fixture = EngineFixture(seed: 9)
        var expected: [String: [Entry]] = [:]
        var files: [String: [UInt8]] = [:]

        init(isClosed: Bool) throws {
            do {
                let database = try fixture.open()
                let plain = try database.keyspace("plain", options: KeyspaceOptions(compression: .none))
                let large = try database.keyspace("large", options: KeyspaceOptions(valueSeparationThreshold: 40))
                for number in 0..<12 {
                    try plain.put("key \(number)", "value \(number)")
                    try large.put("key \(number)", [UInt8](repeating: UInt8(number), count: 30 + number * 2))
                }
                try plain.deleteRange(from: "key 3", to: "key 5")
                try database.flush()
                try plain.put("late", "value")
                for keyspace in [plain, large] { expected[keyspace.name] = try keyspace.entries() }
                if !isClosed { fixture.disk.inject(Fault(.stop)) }
                try? database.close()
            }
            fixture.disk.removeFaults()
            fixture.machine.restart()
            for name in try fixture.names() where name != "LOCK" { files[name] = try fixture.bytes(of: name) }
            fixture.options.isReadOnly = true
        }

        /// Reads everything after `bytes` took the place of file `name`.
        func check(_ name: String, _ bytes: [UInt8], _ what: String) throws {
            try fixture.overwrite(name, with: bytes)
            defer { try? fixture.overwrite(name, with: files[name]!) }
            do {
                let database = try fixture.open()
                for (keyspace, entries) in expected {
                    let found = try database.existingKeyspace(keyspace).entries()
                    // Damage in the last frame of a log that was not closed looks like a write that was cut off.
                    if name.hasSuffix(".log"), found == entries.filter({ $0.key != Array("late".utf8) }) { continue }
                    #expect(found == entries, "\(name) \(what): other data")
                }
                try database.close()
            } catch {
                #expect(error.kind == .corruption, "\(name) \(what): \(error.kind) \(error)")
                #expect(error.file != nil && error.message.isEmpty == false, "\(name) \(what): \(error)")
            }
        }

        /// Every position of a small file, the ends and a sample of a large one (log segments are mostly zeros).
        func positions(_ name: String) -> [Int] {
            let count = files[name]!.count
            if count <= 260 { return Array(0..<count) }
            return Array(stride(from: 0, to: count, by: count / 90)) + Array((count - 72)..<count) + Array(0..<64)
        }
    }

    @Test("a flipped bit anywhere is harmless or found", arguments: [true, false])
    func flippedBits(isClosed: Bool) throws {
        let sample = try Sample(isClosed: isClosed)
        for name in sample.files.keys.sorted() {
            for position in sample.positions(name) {
                var bytes = sample.files[name]!
                bytes[position] ^= 1 << UInt8(position % 8)
                try sample.check(name, bytes, "bit \(position % 8) of byte \(position)")
            }
        }
    }

    @Test("a truncated file is harmless or found", arguments: [true, false])
    func truncation(isClosed: Bool) throws {
        let sample = try Sample(isClosed: isClosed)
        for name in sample.files.keys.sorted() {
            let bytes = sample.files[name]!
            for count in Set([0, 1, 8, 63, 64, bytes.count / 2, bytes.count - 1])
            where count < bytes.count && count >= 0 {
                try sample.check(name, Array(bytes[..<count]), "cut to \(count) bytes")
            }
        }
    }

    @Test("a missing file is found", arguments: [true, false])
    func missing(isClosed: Bool) throws {
        let sample = try Sample(isClosed: isClosed)
        for (name, bytes) in sample.files {
            try sample.fixture.disk.remove("/db/\(name)")
            do {
                let database = try sample.fixture.open()
                for (keyspace, entries) in sample.expected {
                    #expect(try database.existingKeyspace(keyspace).entries() == entries, "\(name) is missing")
                }
            } catch {
                #expect(error.kind == .corruption, "\(name) is missing: \(error)")
            }
            let file = try sample.fixture.disk.open("/db/\(name)", .create)
            try file.close()
            try sample.fixture.overwrite(name, with: bytes)
        }
    }

    @Test("verify names what is damaged")
    func verify() throws {
        let sample = try Sample(isClosed: true)
        let name = sample.files.keys.filter { $0.hasSuffix(".table") }.sorted()[0]
        var bytes = sample.files[name]!
        bytes[5] ^= 0x10
        let database = try sample.fixture.open()
        #expect(try database.verify().isSound)
        try sample.fixture.overwrite(name, with: bytes)
        let report = try database.verify()
        #expect(!report.isSound)
        #expect(report.problems.allSatisfy { $0.file == "/db/\(name)" && $0.kind == .corruption })
    }
}
