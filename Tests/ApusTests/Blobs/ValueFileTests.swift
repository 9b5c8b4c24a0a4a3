// Large values that go to a blob file when they are committed: where they lie, what a crash leaves, what failing calls
// and damage do, and when the file goes.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite("Values written when they are committed")
struct ValueFileTests {
    private static let options = KeyspaceOptions(compression: .none, valueSeparationThreshold: 200)

    private static func fixture(_ seed: UInt64 = 1) -> EngineFixture {
        let fixture = EngineFixture(seed: seed, writeBufferByteCount: 1 << 20)
        fixture.options.tuning!.leastValueByteCount = 200
        fixture.options.tuning!.leastSyncedValuesByteCount = 1_000
        fixture.options.tuning!.logSegmentByteCount = 64 << 10
        return fixture
    }

    private static func value(_ number: Int, _ byteCount: Int = 500) -> [UInt8] {
        var random = TestRandom(seed: UInt64(number))
        return random.bytes(byteCount)
    }

    private func blobFiles(_ fixture: EngineFixture) throws -> [String] {
        try fixture.names().filter { $0.hasSuffix(".blob") }
    }

    private func logByteCount(_ database: Database) -> UInt64 {
        database.engine.committer.log!.segments.reduce(0) { $0 + $1.byteCount }
    }

    /// Ends the process, without a word to the database; the page cache stays if the power does.
    private func kill(_ database: Database, _ fixture: EngineFixture, powerLoss: CrashMode? = nil) {
        fixture.disk.inject(Fault(.stop))
        try? database.close()
        fixture.disk.removeFaults()
        if let powerLoss { fixture.machine.crash(powerLoss) } else { fixture.machine.restart() }
    }

    @Test("single puts, batches and transactions are read back, before and after a flush, and the log has references")
    func whereValuesLie() throws {
        let fixture = Self.fixture()
        let database = try fixture.open()
        let keyspace = try database.keyspace("a", options: Self.options)
        try keyspace.put("one", Self.value(1), durability: .relaxed)
        try database.write(.relaxed) { batch in
            batch.put("two", Self.value(2), in: keyspace)
            batch.put("small", "value", in: keyspace)
            batch.put("brief", Self.value(3), in: keyspace, expiry: .after(.seconds(60)))
        }
        try database.transaction(durability: .relaxed) { $0.put("four", Self.value(4), in: keyspace) }
        #expect(try blobFiles(fixture).count == 1)
        #expect(logByteCount(database) < 800)
        func check() throws {
            #expect(try keyspace.get("one") == Self.value(1))
            #expect(try keyspace.get("two") == Self.value(2))
            #expect(try keyspace.get("brief") == Self.value(3))
            #expect(try keyspace.get("four") == Self.value(4))
            #expect(try keyspace.get("small") == Array("value".utf8))
            #expect(try keyspace.count() == 5)
        }
        try check()
        #expect(database.statistics.userBytesWritten > 2_000)
        try database.flush()
        try check()
        let files = try blobFiles(fixture)
        #expect(files.count == 1)
        #expect(try database.verify().isSound)
        fixture.machine.clock.advance(nanoseconds: 61_000_000_000)
        #expect(try keyspace.get("brief") == nil)
        try database.close()
        fixture.machine.restart()
        #expect(try fixture.open().existingKeyspace("a").get("one") == Self.value(1))
        #expect(try blobFiles(fixture) == files)
    }

    @Test("a synced commit of little keeps its values in the log, one of much does not")
    func syncedCommits() throws {
        let fixture = Self.fixture()
        let database = try fixture.open()
        let keyspace = try database.keyspace("a", options: Self.options)
        try keyspace.put("one", Self.value(1), durability: .durable)
        #expect(try blobFiles(fixture).isEmpty)
        try database.write(.durable) { batch in
            for number in 2..<5 { batch.put("\(number)", Self.value(number), in: keyspace) }
        }
        #expect(try blobFiles(fixture).count == 1)
        kill(database, fixture, powerLoss: .dropAll)
        let again = try fixture.open().existingKeyspace("a")
        #expect(try again.get("one") == Self.value(1))
        for number in 2..<5 { #expect(try again.get("\(number)") == Self.value(number)) }
    }

    @Test("after the end of the process all is there, but the files that only the log needed", arguments: 1...4)
    func killed(seed: UInt64) throws {
        let fixture = Self.fixture(seed)
        var database = try fixture.open()
        var keyspace = try database.keyspace("a", options: Self.options)
        for number in 0..<20 { try keyspace.put("\(number)", Self.value(number), durability: .relaxed) }
        try database.flush()
        for number in 10..<30 { try keyspace.put("\(number)", Self.value(number + 100), durability: .relaxed) }
        kill(database, fixture)
        let before = Set(try blobFiles(fixture))
        #expect(before.count == 2)
        var readOnly = fixture.options
        readOnly.isReadOnly = true
        do {
            let reader = try Database.open(
                at: EngineFixture.directory, options: readOnly, environment: fixture.machine.environment)
            #expect(try reader.existingKeyspace("a").get("29") == Self.value(129))
            let report = try reader.verify()
            #expect(report.isSound && !report.leftovers.contains { $0.hasSuffix(".blob") })
            try reader.close()
        }
        database = try fixture.open()
        keyspace = try database.existingKeyspace("a")
        for number in 0..<30 {
            #expect(try keyspace.get("\(number)") == Self.value(number < 10 ? number : number + 100))
        }
        let after = Set(try blobFiles(fixture))
        #expect(after.count == 2 && after.intersection(before).count == 1)
        #expect(try database.verify().isSound)
    }

    @Test("a power loss leaves a prefix, whatever it takes of log and values", arguments: 1...60)
    func powerLoss(seed: UInt64) throws {
        let fixture = Self.fixture(seed)
        var random = TestRandom(seed: seed)
        // Several segments are sealed on the way, or none.
        fixture.options.tuning!.logSegmentByteCount = random.pick([4_096, 65_536])
        let database = try fixture.open()
        let keyspace = try database.keyspace("a", options: Self.options)
        var durable = 0
        for number in 0..<120 {
            let isDurable = random.chance(4)
            let count = random.pick([50, 250, 600, 1_200])
            try keyspace.put("\(number)", Self.value(number, count), durability: isDurable ? .durable : .relaxed)
            if isDurable { durable = number + 1 }
        }
        kill(database, fixture, powerLoss: random.pick(CrashMode.allCases))
        let again = try fixture.open().existingKeyspace("a")
        let count = try again.count()
        #expect(count >= durable, "seed \(seed)")
        for number in 0..<120 {
            let found = try again.get("\(number)")
            #expect((found != nil) == (number < count), "seed \(seed), \(number)")
        }
    }

    @Test(
        "recovery gives no file the number of one that only the log knows", arguments: 0..<6)
    func numbersInTheLog(failedFlushes: Int) throws {
        for calls in stride(from: 0, to: 400, by: 3) {
            let fixture = Self.fixture()
            var database = try fixture.open()
            var keyspace = try database.keyspace("a", options: Self.options)
            func put(_ number: Int) throws {
                try database.write(.relaxed) { batch in
                    batch.put("value", Self.value(number), in: keyspace)
                    batch.put("number", "\(number)", in: keyspace)
                }
            }
            for number in 0..<5 { try put(number) }
            // The memtable is sealed and synced, and in no table; numbers are taken, and no file has them.
            fixture.disk.inject(
                Fault(.fail(ErrorCode.inputOutput), on: [.open], times: nil) { $0.path.hasSuffix(".table") })
            for _ in 0...failedFlushes { try? database.flush() }
            let before = Set(try blobFiles(fixture))
            try put(5)
            kill(database, fixture)
            for name in Set(try blobFiles(fixture)).subtracting(before) { try fixture.remove(name) }

            fixture.disk.inject(Fault(.stop, skipping: calls))
            let isStopped = (try? fixture.open().flush()) == nil
            fixture.disk.removeFaults()
            fixture.machine.crash(.keepAll)
            database = try fixture.open()
            keyspace = try database.existingKeyspace("a")
            #expect(try keyspace.get("number") == Array("4".utf8), "after \(calls) calls")
            #expect(try keyspace.get("value") == Self.value(4), "after \(calls) calls")
            if !isStopped { return }
        }
    }

    @Test("damage to a value that was durable is an error that names its file; behind the last sync it ends the log")
    func damage() throws {
        let fixture = Self.fixture()
        let database = try fixture.open()
        let keyspace = try database.keyspace("a", options: Self.options)
        for number in 0..<4 { try keyspace.put("\(number)", Self.value(number), durability: .relaxed) }
        try keyspace.put("synced", "value", durability: .durable)
        try keyspace.put("last", Self.value(9), durability: .relaxed)
        kill(database, fixture)
        let name = try blobFiles(fixture)[0]
        let bytes = try fixture.bytes(of: name)
        func flipped(_ offset: Int) throws {
            var changed = bytes
            changed[offset] ^= 1
            try fixture.overwrite(name, with: changed)
        }
        try flipped(24 + 3 * 525 + 100)
        let error = expectError(.corruption) { _ = try fixture.open() }
        #expect(error?.file?.hasSuffix(name) == true && error?.offset == 24 + 3 * 525)
        let report = try Database.salvage(
            from: EngineFixture.directory, to: "/salvaged", options: fixture.options,
            environment: fixture.machine.environment)
        #expect(report.losses.contains { $0.file.hasSuffix(name) })
        do {
            let salvaged = try Database.open(
                at: "/salvaged", options: fixture.options, environment: fixture.machine.environment)
            let found = try salvaged.existingKeyspace("a")
            #expect(try found.get("2") == Self.value(2))
            #expect(try found.get("3") == nil)
            #expect(try found.get("last") == Self.value(9))
            try salvaged.close()
        }
        try flipped(24 + 4 * 525 + 100)
        let again = try fixture.open()
        #expect(try again.existingKeyspace("a").get("3") == Self.value(3))
        #expect(try again.existingKeyspace("a").get("last") == nil)
        try again.close()
    }

    @Test("where no blob file can be had, values stay in the log")
    func withoutFile() throws {
        let fixture = Self.fixture()
        let database = try fixture.open()
        let keyspace = try database.keyspace("a", options: Self.options)
        fixture.disk.inject(
            Fault(.fail(ErrorCode.tooManyOpenFiles), on: [.open], times: nil) { $0.path.hasSuffix(".blob") })
        try keyspace.put("one", Self.value(1), durability: .relaxed)
        #expect(try blobFiles(fixture).isEmpty)
        fixture.disk.removeFaults()
        fixture.disk.inject(
            Fault(.fail(ErrorCode.noSpace), on: [.allocate], times: nil) { $0.path.hasSuffix(".blob") })
        try keyspace.put("two", Self.value(2), durability: .relaxed)
        fixture.disk.removeFaults()
        try keyspace.put("three", Self.value(3), durability: .relaxed)
        kill(database, fixture)
        let again = try fixture.open().existingKeyspace("a")
        for (number, name) in ["one", "two", "three"].enumerated() {
            #expect(try again.get(name) == Self.value(number + 1))
        }
    }

    @Test(
        "a value that cannot be written or synced ends all writes",
        arguments: [IOError.Operation.write, .synchronize])
    func failure(_ operation: IOError.Operation) throws {
        let fixture = Self.fixture()
        let database = try fixture.open()
        let keyspace = try database.keyspace("a", options: Self.options)
        try keyspace.put("before", Self.value(1), durability: .relaxed)
        try database.synchronize()
        fixture.disk.inject(
            Fault(.failDroppingUnsynced(ErrorCode.inputOutput), on: [operation]) { $0.path.hasSuffix(".blob") })
        let error = expectError(.failed) {
            try keyspace.put("lost", Self.value(2), durability: .relaxed)
            try database.synchronize()
        }
        #expect(error?.file?.hasSuffix(".blob") == true)
        expectError(.failed) { try keyspace.put("later", "value") }
        #expect(try keyspace.get("before") == Self.value(1))
        expectError(.failed) { try database.close() }
        fixture.machine.crash(.dropAll)
        let again = try fixture.open().existingKeyspace("a")
        #expect(try again.get("before") == Self.value(1))
        #expect(try again.get("later") == nil)
    }

    @Test("a file that cannot be ended is read, and its values go to another one")
    func unfinished() throws {
        let fixture = Self.fixture()
        let database = try fixture.open()
        let keyspace = try database.keyspace("a", options: Self.options)
        for number in 0..<4 { try keyspace.put("\(number)", Self.value(number), durability: .relaxed) }
        try database.synchronize()
        let first = try blobFiles(fixture)
        fixture.disk.inject(Fault(.fail(ErrorCode.inputOutput), on: [.truncate]) { $0.path.hasSuffix(".blob") })
        expectError(.io) { try database.flush() }
        for number in 0..<4 { #expect(try keyspace.get("\(number)") == Self.value(number)) }
        fixture.machine.scheduler.runAll(for: 3_000_000_000)
        try database.flush()
        fixture.machine.scheduler.runAll()
        for number in 0..<4 { #expect(try keyspace.get("\(number)") == Self.value(number)) }
        let second = try blobFiles(fixture)
        #expect(second.count == 1 && second != first)
        #expect(try database.verify().isSound)
    }

    @Test("on a full disk, opening spares the files that the log refers to")
    func leftovers() throws {
        let fixture = Self.fixture(5)
        fixture.options.tuning!.logSegmentByteCount = 1 << 20
        let database = try fixture.open()
        let keyspace = try database.keyspace("a", options: Self.options)
        for number in 0..<8 { try keyspace.put("\(number)", Self.value(number), durability: .relaxed) }
        try database.synchronize()
        kill(database, fixture)
        for number in 50...52 {
            let path = "\(EngineFixture.directory)/\(FileName.blob(FileNumber(number)).string)"
            fixture.disk.replaceContents(of: path, with: [UInt8](repeating: 0, count: 1 << 20))
        }
        fixture.disk.capacity = fixture.disk.usedByteCount + 40_000
        let again = try fixture.open()
        for number in 0..<8 { #expect(try again.existingKeyspace("a").get("\(number)") == Self.value(number)) }
    }

    @Test("a cursor keeps the file of a memtable that a flush had no use for")
    func cursor() throws {
        let fixture = Self.fixture()
        let database = try fixture.open()
        let keyspace = try database.keyspace("a", options: Self.options)
        try keyspace.put("one", Self.value(1), durability: .relaxed)
        var cursor: Cursor? = try keyspace.makeCursor()
        try keyspace.put("one", "small", durability: .relaxed)
        try database.flush()
        fixture.machine.scheduler.runAll()
        try cursor!.seekToFirst()
        #expect(try cursor!.value() == Self.value(1))
        cursor = nil
        try keyspace.put("two", "small")
        try database.flush()
        fixture.machine.scheduler.runAll()
        #expect(try blobFiles(fixture).isEmpty)
        #expect(try keyspace.get("one") == Array("small".utf8))
    }

    @Test("a memtable is sealed when its file is full, and a dropped keyspace takes its file with it")
    func limits() throws {
        let fixture = Self.fixture()
        fixture.options.tuning!.valueFileByteCount = 5_000
        let database = try fixture.open()
        let keyspace = try database.keyspace("a", options: Self.options)
        for number in 0..<60 { try keyspace.put("\(number)", Self.value(number), durability: .relaxed) }
        fixture.machine.scheduler.runAll()
        #expect(try blobFiles(fixture).count > 4)
        for number in 0..<60 { #expect(try keyspace.get("\(number)") == Self.value(number)) }
        try database.dropKeyspace("a")
        fixture.machine.scheduler.runAll()
        #expect(try blobFiles(fixture).isEmpty)
        try database.close()
    }
}
