// Segments of the log: preparing, rotating, releasing, reusing, and what each failure leaves behind.

import ApusIO
import Testing

@testable import Apus

@Suite struct LogSetTests {
    private static let noSpace: @Sendable (TestCall, Int) -> LogTestFileSystem.Fault? = { call, _ in
        call.operation == .allocate ? .noSpace : nil
    }

    private func kind(_ body: () throws -> Void) -> ApusError.Kind? {
        do {
            try body()
            return nil
        } catch {
            return (error as? ApusError)?.kind
        }
    }

    @Test func aGroupIsOneWriteAndOneSync() throws {
        let disk = LogTestFileSystem()
        let database = try LogTestDatabase.open(disk)
        disk.clearCalls()
        try database.logs.makeRoom(for: (1...10).map { _ in LogTestDatabase.batch(1).count })
        for sequence in 1...10 {
            try LogTestDatabase.append(
                LogTestDatabase.batch(UInt64(sequence)),
                SequenceNumber(UInt64(sequence)),
                to: database.logs
            )
        }
        try database.logs.synchronize()
        #expect(disk.calls.map(\.operation) == [.write, .synchronize])
        try database.logs.synchronize()
        #expect(disk.calls.count == 2)
    }

    @Test func rotationSyncsThePredecessorBeforeTheNextHeader() throws {
        let disk = LogTestFileSystem()
        let database = try LogTestDatabase.open(disk)
        try database.commit(1, isDurable: false)
        try database.logs.prepareNext()
        disk.clearCalls()
        try database.logs.rotate()
        #expect(
            disk.calls == [
                TestCall(operation: .synchronize, name: "000000000001.log"),
                TestCall(operation: .write, name: "000000000003.log"),
                TestCall(operation: .synchronize, name: "000000000003.log"),
            ]
        )
        let segments = database.logs.segments
        #expect(segments.map(\.number) == [1, 3])
        #expect(segments[0].firstSequence == SequenceNumber(1))
        #expect(segments[0].lastSequence == SequenceNumber(1))
        #expect(segments[1].firstSequence == nil)
    }

    @Test func aSegmentIsRegisteredAfterItsNameIsDurableAndBeforeItIsUsed() throws {
        let disk = LogTestFileSystem()
        let database = try LogTestDatabase.open(disk)
        try database.commit(1)
        disk.clearCalls()
        try database.logs.rotate()
        let calls = disk.calls
        #expect(calls.prefix(5).map(\.operation) == [.open, .allocate, .write, .synchronize, .synchronizeDirectory])
        let created = try #require(calls.firstIndex { $0.operation == .open && $0.name == "000000000003.log" })
        let named = try #require(calls.firstIndex { $0.operation == .synchronizeDirectory })
        let registered = try #require(calls.firstIndex { $0.operation == .write && $0.name.hasSuffix("manifest") })
        let used = try #require(calls.lastIndex { $0.operation == .write && $0.name == "000000000003.log" })
        #expect(created < named && named < registered && registered < used)
        #expect(database.manifest.state.logNumbers == [1, 3])
    }

    @Test func aLargeGroupGetsASegmentOfItsSize() throws {
        let disk = LogTestFileSystem()
        let database = try LogTestDatabase.open(disk)
        try database.commit(1)
        try database.logs.prepareNext()
        try database.commit(2, 100_000)
        try database.commit(3)
        let segments = database.logs.segments
        #expect(segments.map(\.capacity) == [4096, 102_400, 102_400].prefix(segments.count).map { $0 })
        #expect(segments.count == 2)
        let (_, replayed) = try #require(try LogTestDatabase.read(disk))
        #expect(replayed.sequences == [1, 2, 3])
        #expect(replayed.batches[1].1 == LogTestDatabase.batch(2, 100_000))
    }

    @Test func runningOutOfSpaceForASegmentIsRefusedAndCanBeRetried() throws {
        let disk = LogTestFileSystem()
        let database = try LogTestDatabase.open(disk)
        try database.commit(1)
        disk.setFault(Self.noSpace)
        #expect(kind { try database.logs.prepareNext() } == .outOfSpace)
        #expect(kind { try database.logs.rotate() } == .outOfSpace)
        #expect(kind { try database.commit(2, 8000) } == .outOfSpace)
        try database.commit(2)
        disk.setFault(nil)
        try database.logs.prepareNext()
        disk.setFault(Self.noSpace)
        // There is a segment, but it cannot grow for this one; the next small one still uses it.
        #expect(kind { try database.commit(3, 8000) } == .outOfSpace)
        try database.logs.rotate()
        disk.setFault(nil)
        try database.commit(3, 8000)
        let (_, replayed) = try #require(try LogTestDatabase.read(disk))
        #expect(replayed.sequences == [1, 2, 3])
        #expect(disk.fileNames.filter { $0.hasSuffix("log") }.count == database.manifest.state.logs.count)
    }

    @Test func aFailedAppendOrSyncIsFinal() throws {
        for operation in [IOError.Operation.write, .synchronize] {
            for isPartial in [false, true] where operation == .write || !isPartial {
                let disk = LogTestFileSystem()
                let database = try LogTestDatabase.open(disk)
                try database.commit(1)
                disk.setFault { call, _ in
                    call.operation == operation && call.name.hasSuffix("log")
                        ? .init(code: 5, isPartial: isPartial) : nil
                }
                #expect(kind { try database.commit(2) } == .failed)
                disk.setFault(nil)
                disk.clearCalls()
                #expect(kind { try database.commit(3) } == .failed)
                #expect(kind { try database.logs.synchronize() } == .failed)
                #expect(kind { try database.logs.rotate() } == .failed)
                #expect(disk.calls.isEmpty)
            }
        }
    }

    @Test func aHeaderThatCannotBeWrittenIsFinal() throws {
        let disk = LogTestFileSystem()
        let database = try LogTestDatabase.open(disk)
        try database.commit(1)
        try database.logs.prepareNext()
        disk.setFault { call, _ in call.name == "000000000003.log" ? .inputOutput : nil }
        #expect(kind { try database.logs.rotate() } == .failed)
        disk.setFault(nil)
        #expect(kind { try database.commit(2) } == .failed)
        #expect(try LogTestDatabase.read(disk)?.1.sequences == [1])
    }

    @Test func releaseGivesBackOldSegmentsOnlyAndNeverTheCurrentOne() throws {
        let database = try LogTestDatabase.open(LogTestFileSystem())
        for sequence in 1...9 {
            try database.commit(UInt64(sequence))
            if sequence % 3 == 0 { try database.logs.rotate() }
        }
        #expect(!database.logs.release(through: SequenceNumber(2)))
        #expect(database.logs.segments.map(\.lastSequence.rawValue) == [3, 6, 9, 9])
        #expect(database.logs.release(through: SequenceNumber(6)))
        #expect(database.logs.segments.map(\.lastSequence.rawValue) == [9, 9])
        #expect(database.logs.release(through: .max))
        #expect(database.logs.segments.count == 1)
        try database.logs.retireReleased()
        #expect(!database.logs.release(through: .max))
    }

    /// Once each release went by itself: a later one could leave the manifest before an earlier one, and the database
    /// did not open after a crash in between.
    @Test func segmentsLeaveTheManifestInTheOrderOfTheLog() throws {
        let disk = LogTestFileSystem()
        let database = try LogTestDatabase.open(disk)
        for sequence in 1...3 {
            try database.commit(UInt64(sequence))
            try database.logs.rotate()
        }
        let numbers = database.logs.segments.map(\.number)
        #expect(database.logs.release(through: SequenceNumber(1)))
        database.refusesUnregistration.withLock { $0 = true }
        #expect(kind { try database.logs.retireReleased() } == .outOfSpace)
        #expect(database.manifest.state.logNumbers == numbers)
        database.refusesUnregistration.withLock { $0 = false }
        #expect(database.logs.release(through: SequenceNumber(2)))
        try database.logs.retireReleased()
        #expect(database.manifest.state.logNumbers == Array(numbers[2...]))
        #expect(try LogTestDatabase.read(disk)?.1.sequences == [3])
    }

    @Test func staleFramesOfAReusedFileAreNeverReplayed() throws {
        let disk = LogTestFileSystem()
        let database = try LogTestDatabase.open(disk)
        for sequence in 1...20 { try database.commit(UInt64(sequence)) }
        try database.logs.rotate()
        #expect(database.logs.release(through: SequenceNumber(20)))
        try database.logs.retireReleased()
        let old = disk.content(LogTestDatabase.path(.log(1)))
        try database.logs.prepareNext()
        #expect(!disk.fileNames.contains("000000000001.log"))
        try database.logs.rotate()
        let reused = try #require(database.logs.segments.last)
        #expect(Array(disk.content(LogTestDatabase.path(.log(reused.number)))[64...]) == Array(old[64...]))
        for sequence in 21...60 {
            let (_, replayed) = try #require(try LogTestDatabase.read(disk))
            #expect(replayed.sequences == Array(21..<UInt64(sequence)))
            try database.commit(UInt64(sequence), sequence % 2 == 0 ? 20 : 3)
        }
    }

    @Test func aFileOfUnusualSizeIsRemovedNotReused() throws {
        let disk = LogTestFileSystem()
        let database = try LogTestDatabase.open(disk)
        try database.commit(1, 50_000)
        try database.logs.rotate()
        #expect(database.logs.segments.map(\.capacity) == [4096, 53_248, 4096])
        #expect(database.logs.release(through: .max))
        try database.logs.retireReleased()
        #expect(disk.fileNames.contains("000000000001.log"))
        #expect(!disk.fileNames.contains("000000000003.log"))
    }
}
