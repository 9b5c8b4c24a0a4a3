// A device that is full, and one that fails: what is refused, what goes on, and what is still there afterwards.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite("Full and failing disks")
struct FullDiskTests {
    @Test("a full disk refuses writes, loses nothing, and resumes without reopening", arguments: 1...6)
    func full(seed: UInt64) throws {
        let fixture = EngineFixture(seed: seed, writeBufferByteCount: 2_048)
        let database = try fixture.open()
        let keyspace = try database.keyspace("a", options: KeyspaceOptions(compression: .none))
        fixture.disk.capacity = fixture.disk.usedByteCount + 24_000 + seed * 1_000
        var random = TestRandom(seed: seed)
        var expected: [[UInt8]: [UInt8]] = [:]
        var refusals = 0
        func write(_ count: Int) throws {
            for _ in 0..<count {
                let (key, value) = (Array("key \(random.below(400))".utf8), random.bytes(random.below(200)))
                do throws(ApusError) {
                    try keyspace.put(key, value, durability: random.chance(30) ? .durable : .relaxed)
                    expected[key] = value
                } catch {
                    #expect(error.kind == .outOfSpace, "seed \(seed): \(error)")
                    refusals += 1
                }
                if random.chance(20) { fixture.machine.scheduler.runOne() }
            }
        }
        func compare() throws {
            let found = try keyspace.entries().map { ($0.key, $0.value) }
            #expect(Dictionary(uniqueKeysWithValues: found) == expected, "seed \(seed)")
        }
        try write(500)
        #expect(refusals > 0, "seed \(seed)")
        try compare()
        fixture.disk.capacity = nil
        fixture.machine.scheduler.runAll(for: 3_000_000_000)
        refusals = 0
        try write(150)
        #expect(refusals == 0, "seed \(seed)")
        try compare()
        try database.compact()
        #expect(try database.verify().problems == [])
        try database.close()
        fixture.machine.restart()
        let again = try fixture.open().existingKeyspace("a")
        let found = try again.entries().map { ($0.key, $0.value) }
        #expect(Dictionary(uniqueKeysWithValues: found) == expected, "seed \(seed)")
    }

    @Test("closing on a full disk keeps the log, and the next open has everything")
    func closeWhenFull() throws {
        let fixture = EngineFixture(seed: 3)
        let database = try fixture.open()
        let keyspace = try database.keyspace("a")
        for number in 0..<20 { try keyspace.put("key \(number)", "value \(number)") }
        fixture.disk.capacity = fixture.disk.usedByteCount
        try database.close()
        fixture.disk.capacity = nil
        fixture.machine.restart()
        let again = try fixture.open()
        #expect(try again.existingKeyspace("a").count() == 20)
        #expect(try again.verify().isSound)
    }

    /// Once opening allocated a log first and failed, so that leftovers, which only opening removes, stayed for ever.
    @Test("a disk that is full of leftovers opens", arguments: [1, 40_000, 300_000])
    func leftovers(free: UInt64) throws {
        let fixture = EngineFixture(seed: 5)
        fixture.options.tuning!.logSegmentByteCount = 1 << 20
        do {
            let database = try fixture.open()
            try database.keyspace("a").put("key", "value", durability: .durable)
            fixture.disk.inject(Fault(.stop))
            try? database.close()
        }
        fixture.disk.removeFaults()
        fixture.machine.restart()
        for number in 50...52 {
            let path = "\(EngineFixture.directory)/\(FileName.log(FileNumber(number)).string)"
            fixture.disk.replaceContents(of: path, with: [UInt8](repeating: 0, count: 1 << 20))
        }
        fixture.disk.capacity = fixture.disk.usedByteCount + free
        guard free > 1 else {
            // Nothing at all can be written, so nothing can be changed; but nothing is lost.
            expectError(.outOfSpace) { _ = try fixture.open() }
            fixture.disk.capacity = nil
            #expect(try fixture.open().existingKeyspace("a").get("key") == Array("value".utf8))
            return
        }
        let database = try fixture.open()
        #expect(try database.existingKeyspace("a").get("key") == Array("value".utf8))
        try database.existingKeyspace("a").delete("key")
        #expect(try fixture.names().count { $0.hasSuffix(".log") } < 4)
        try database.close()
    }

    @Test("where there is no room for a log segment of the ordinary size, a smaller one does")
    func smallSegments() throws {
        let fixture = EngineFixture(seed: 6)
        fixture.options.tuning!.logSegmentByteCount = 4 << 20
        fixture.disk.capacity = 2_500_000
        var database = try fixture.open()
        let keyspace = try database.keyspace("a", options: KeyspaceOptions(compression: .none))
        for number in 0..<100 { try keyspace.put("key \(number)", [UInt8](repeating: 1, count: 2_000)) }
        try database.close()
        fixture.machine.restart()
        database = try fixture.open()
        #expect(try database.existingKeyspace("a").count() == 100)
    }

    @Test("after a failed sync writes are refused, reads go on, and reopening works", arguments: [true, false])
    func failedSync(isDropping: Bool) throws {
        let fixture = EngineFixture(seed: 4)
        var database = try fixture.open()
        var keyspace = try database.keyspace("a")
        try keyspace.put("before", "value", durability: .durable)
        let code = ErrorCode.inputOutput
        fixture.disk.inject(
            Fault(isDropping ? .failDroppingUnsynced(code) : .fail(code), on: [.synchronize]) {
                $0.path.hasSuffix(".log")
            })
        let first = expectError(.failed) { try keyspace.put("lost", "value", durability: .durable) }
        #expect(first?.systemCode == code)
        expectError(.failed, "put") { try keyspace.put("later", "value") }
        expectError(.failed, "relaxed put") { try keyspace.put("later", "value", durability: .relaxed) }
        expectError(.failed, "flush") { try database.flush() }
        expectError(.failed, "create") { _ = try database.keyspace("b") }
        let again = expectError(.failed, "drop") { try database.dropKeyspace("a") }
        #expect(again?.file?.hasSuffix(".log") == true)
        #expect(try keyspace.get("before") == Array("value".utf8))
        #expect(try keyspace.get("later") == nil)
        #expect(try keyspace.count() == 1)
        expectError(.failed, "close") { try database.close() }
        fixture.machine.crash(.dropAll)
        database = try fixture.open()
        keyspace = try database.existingKeyspace("a")
        #expect(try keyspace.get("before") == Array("value".utf8))
        try keyspace.put("later", "value")
        #expect(try database.verify().isSound)
        try database.close()
    }

    @Test("a manifest that cannot be synced refuses writes", arguments: 1...10)
    func failedManifest(seed: UInt64) throws {
        let fixture = EngineFixture(seed: seed)
        let database = try fixture.open()
        let keyspace = try database.keyspace("a")
        try keyspace.put("before", "value", durability: .durable)
        fixture.disk.inject(
            Fault(.fail(ErrorCode.inputOutput), on: [.synchronize]) { $0.path.hasSuffix(".manifest") })
        do {
            try database.flush()
            Issue.record("seed \(seed): the flush succeeded")
        } catch {
            #expect(error.kind == .failed || error.kind == .io, "seed \(seed)")
        }
        expectError(.failed) { try keyspace.put("later", "value") }
        #expect(try keyspace.get("before") == Array("value".utf8))
        try? database.close()
        fixture.machine.crash(.anyNames)
        let again = try fixture.open()
        #expect(try again.existingKeyspace("a").get("before") == Array("value".utf8))
        #expect(try again.verify().isSound)
    }

    @Test("a table that cannot be read is an error with its name, and the rest goes on")
    func failedRead() throws {
        let fixture = EngineFixture(seed: 5)
        var database = try fixture.open()
        try database.keyspace("a").put("key", "value")
        try database.keyspace("b").put("key", "value")
        try database.close()
        fixture.machine.restart()
        database = try fixture.open()
        let keyspace = try database.existingKeyspace("a")
        let number = keyspace.tree.retainedView().version.levels.joined().first!.metadata.number
        let path = FileName.table(number).path(in: EngineFixture.directory)
        fixture.disk.inject(Fault(.fail(ErrorCode.inputOutput), on: [.read, .open], times: nil) { $0.path == path })
        let error = expectError(.io) { _ = try keyspace.get("key") }
        #expect(error?.file == path)
        expectError(.io) { _ = try keyspace.entries() }
        #expect(try database.existingKeyspace("b").get("key") == Array("value".utf8))
        fixture.disk.removeFaults()
        #expect(try keyspace.get("key") == Array("value".utf8))
    }
}
