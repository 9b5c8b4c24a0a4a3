// Salvage of sound databases, and of those that miss one thing or another entirely.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite struct SalvageTests {
    @Test(arguments: [true, false])
    func soundDatabaseIsRecoveredCompletely(_ closes: Bool) throws {
        let fixture = try SalvageFixture(seed: 1, closes: closes)
        let (report, contents) = try fixture.salvage()
        #expect(report.losses == [])
        #expect(contents == fixture.expected)
        #expect(report.keyspaces.map(\.name) == ["cache", "counts", "journal", "large", "plain"])
        #expect(report.keyspaces[4].entries >= UInt64(fixture.expected["plain"]!.count))
    }

    @Test func settingsStayAndTheResultIsWritable() throws {
        let fixture = try SalvageFixture(seed: 2, closes: false)
        _ = try Database.salvage(
            from: SalvageFixture.source, to: "/new", options: fixture.options, environment: fixture.machine.environment)
        let database = try Database.open(
            at: "/new", options: fixture.options, environment: fixture.machine.environment)
        let trees = database.engine.structure.withLock { $0.trees.values.map(\.tree) }
        let large = try #require(trees.first { $0.name == "large" })
        let journal = try #require(trees.first { $0.name == "journal" })
        #expect(large.settings.separationThreshold == 100)
        #expect(journal.settings.style == .fifo(maximumByteCount: 1 << 20, maximumAge: 0))
        try database.keyspace("counts").merge(fixture.key(0), 100)
        let count = try #require(try database.keyspace("counts").get(fixture.key(0)))
        let before = try #require(fixture.expected["counts"]?[fixture.key(0)])
        #expect(count[0] == before[0] + 100)
        try database.keyspace("plain").put("new", "value")
        try database.compact()
        #expect(try database.keyspace("plain").get("new") == Array("value".utf8))
        #expect(try database.verify().isSound)
        try database.close()
    }

    @Test func neverLoggedKeyspacesSurviveOnlyIfTheDatabaseWasClosed() throws {
        let closed = try SalvageFixture(seed: 3, closes: true)
        #expect(try !closed.salvage().1["cache"]!.isEmpty)
        let killed = try SalvageFixture(seed: 3, closes: false)
        #expect(try killed.salvage().1["cache"] == [:])
    }

    @Test(arguments: [true, false])
    func withoutManifestTablesTellTheirKeyspaces(_ closes: Bool) throws {
        let fixture = try SalvageFixture(seed: 4, closes: closes)
        for path in fixture.files.keys where path.hasSuffix(".manifest") || path.hasSuffix("CURRENT") {
            fixture.machine.disk.delete(path)
        }
        let (report, contents) = try fixture.salvage()
        #expect(!report.isComplete)
        // In the order in which they were created.
        let names = ["plain", "large", "counts", "journal"]
        for (index, name) in names.enumerated() where name != "counts" {
            #expect(contents["keyspace-\(index + 1)"] == fixture.expected[name], "\(name)")
        }
        #expect(Set(contents.keys).isSubset(of: (1...5).map { "keyspace-\($0)" }))
    }

    @Test func lostCurrentLosesNothing() throws {
        let fixture = try SalvageFixture(seed: 5, closes: false)
        fixture.machine.disk.delete("/db/CURRENT")
        let (report, contents) = try fixture.salvage()
        #expect(report.losses.count == 1)
        #expect(contents == fixture.expected)
    }

    @Test func lostIndexesLoseNothing() throws {
        let fixture = try SalvageFixture(seed: 6, closes: true)
        for (path, bytes) in fixture.files where path.hasSuffix(".table") {
            var bytes = bytes
            for position in (bytes.count - TableFormat.footerByteCount)..<bytes.count { bytes[position] = 0 }
            fixture.machine.disk.replaceContents(of: path, with: bytes)
        }
        let (report, contents) = try fixture.salvage()
        #expect(!report.isComplete && report.losses.allSatisfy { $0.what.contains("footer") })
        #expect(contents == fixture.expected)
    }

    @Test func lostValueIsReportedWithItsKey() throws {
        let fixture = try SalvageFixture(seed: 7, closes: true)
        let (path, bytes) = try #require(
            fixture.files.filter { $0.key.hasSuffix(".blob") }.max { $0.value.count < $1.value.count })
        fixture.machine.disk.flipBit(of: path, at: UInt64(bytes.count / 2), bit: 3)
        let (report, contents) = try fixture.salvage()
        let loss = try #require(report.losses.first)
        let key = try #require(loss.lowerKey)
        #expect(loss.keyspace == "large" && loss.upperKey == key && loss.covers(path, bytes.count / 2))
        var others = fixture.expected
        others["large"]![key] = contents["large"]![key]
        #expect(contents == others)
    }

    @Test func lostBlockIsReportedBetweenItsNeighbours() throws {
        let fixture = try SalvageFixture(seed: 8, closes: true)
        let path = try #require(fixture.files.keys.sorted().last { $0.hasSuffix(".table") && isLarge($0, fixture) })
        let number = try #require(FileName(String(path.dropFirst(4)))?.number)
        let walk = try TableWalk(number, in: "/db", on: fixture.machine.disk)
        var blocks: [(handle: BlockHandle, keys: [[UInt8]])] = []
        while let finding = try walk.next() {
            guard case .block(let part) = finding, part.kind == .data else { continue }
            blocks.append((part.handle, part.keys))
        }
        try #require(blocks.count >= 3)
        fixture.machine.disk.flipBit(of: path, at: blocks[1].handle.offset + 20)
        let (report, contents) = try fixture.salvage()
        let loss = try #require(report.losses.first)
        #expect(report.losses.count == 1)
        #expect(loss.file == path && loss.offset == blocks[1].handle.offset - 4)
        #expect(loss.byteCount == UInt64(blocks[1].handle.byteCount) + 9)
        #expect(loss.lowerKey == blocks[0].keys.last && loss.upperKey == blocks[2].keys.first)
        fixture.check(contents, report, "one block")
    }

    private func isLarge(_ path: String, _ fixture: SalvageFixture) -> Bool {
        fixture.files[path]!.count > 1500
    }

    @Test func whatCannotBeDoneIsRefusedAndLeavesNothing() throws {
        let fixture = try SalvageFixture(seed: 9, closes: true, rounds: 2)
        let environment = fixture.machine.environment
        func kind(_ source: String, _ target: String) -> ApusError.Kind? {
            do throws(ApusError) {
                _ = try Database.salvage(from: source, to: target, options: fixture.options, environment: environment)
                return nil
            } catch {
                return error.kind
            }
        }
        #expect(kind("/none", "/new") == .notFound)
        #expect(kind("/db", "/db") == .invalidArgument)
        #expect(kind("/db", "") == .invalidArgument)
        try fixture.machine.disk.createDirectory("/empty")
        #expect(kind("/empty", "/new") == .notADatabase)
        let database = try Database.open(at: "/db", options: fixture.options, environment: environment)
        #expect(kind("/db", "/new") == .locked)
        try database.close()
        fixture.machine.disk.inject(Fault(.fail(ErrorCode.noSpace), skipping: 40) { $0.isMutation })
        #expect(kind("/db", "/new") == .outOfSpace)
        fixture.machine.disk.removeFaults()
        #expect(try fixture.machine.disk.list("/new").isEmpty)
        #expect(kind("/db", "/new") == nil)
    }
}

extension TableWalk.Part {
    var keys: [[UInt8]] {
        var keys: [[UInt8]] = []
        var next = entries.entriesStart
        for rank in 0..<entries.entryCount {
            let entry = entries.entry(at: next)
            next = entry.end
            keys.append(entries.key(of: entry, rank: rank))
        }
        return keys
    }
}
