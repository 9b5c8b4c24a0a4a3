// Faults strike the calls they are asked to strike, and do what real ones do.

import ApusIO
import ApusSimulation
import Testing

@Suite struct FaultTests {
    let clock = SimulatedClock()
    let disk: SimulatedDisk
    let file: any File

    init() throws {
        disk = SimulatedDisk(seed: 5, clock: clock)
        file = try disk.makeFile("/a", repeated(1, 1000))
        try disk.synchronizeDirectory("/")
    }

    @Test func aFaultStrikesOnceOrForEver() throws {
        disk.inject(Fault(.fail(ErrorCode.inputOutput), on: [.write]))
        #expect(kind { try file.write([2], at: 0) } == .other)
        try file.write([2], at: 0)
        disk.inject(Fault(.fail(ErrorCode.noSpace), on: [.write], skipping: 1, times: nil))
        try file.write([3], at: 0)
        for _ in 0..<5 { #expect(kind { try file.write([4], at: 0) } == .outOfSpace) }
        #expect(try file.read(2, at: 0) == [3, 1])
        disk.removeFaults()
        try file.write([5], at: 0)
        #expect(disk.struckFaultCount == 6)
    }

    @Test func faultsChooseTheirCallsByWhatTheyAre() throws {
        disk.inject(Fault(.fail(ErrorCode.tooManyOpenFiles), on: [.open], times: nil) { $0.path.hasSuffix(".table") })
        try disk.makeFile("/1.log")
        #expect(kind { try disk.makeFile("/2.table") } == .tooManyOpenFiles)
        let next = disk.operationCount + 1
        disk.inject(Fault(.fail(ErrorCode.inputOutput)) { $0.index == next })
        _ = try disk.list("/")
        #expect(kind { _ = try disk.list("/") } == .other)
        _ = try disk.list("/")
    }

    @Test func improbableFaultsStrikeSometimes() throws {
        disk.inject(Fault(.fail(ErrorCode.inputOutput), on: [.read], times: nil, probability: 0.1))
        let failures = (0..<1000).count { _ in kind { _ = try file.read(1, at: 0) } != nil }
        #expect((50..<200).contains(failures))
    }

    @Test func halfAWriteCanFail() throws {
        disk.inject(Fault(.failHalfway(ErrorCode.overQuota), on: [.write]))
        #expect(kind { try file.write(repeated(2, 100), at: 950) } == .outOfSpace)
        #expect(try file.byteCount() == 1000)
        #expect(try file.read(200, at: 949) == [1] + repeated(2, 50))
        disk.inject(Fault(.failHalfway(ErrorCode.noSpace), on: [.allocate]))
        #expect(kind { try file.allocate(2000) } == .outOfSpace)
        #expect(try file.byteCount() == 1500)
    }

    @Test func aCallCanFailAfterItsWork() throws {
        disk.inject(Fault(.failAfterwards(ErrorCode.inputOutput), on: [.rename]))
        #expect(kind { try disk.rename("/a", to: "/b") } == .other)
        #expect(try disk.list("/") == ["b"])
    }

    @Test func aFailedSyncIsNotMendedByAnother() throws {
        try file.write(repeated(2, 1000), at: 0)
        disk.inject(Fault(.failDroppingUnsynced(ErrorCode.inputOutput), on: [.synchronize]))
        #expect(kind { try file.synchronize() } == .other)
        try file.synchronize()
        #expect(try disk.contents("/a") == repeated(2, 1000))
        disk.restart()
        #expect(try disk.contents("/a") == repeated(2, 1000))
        disk.crash(.keepAll)
        #expect(try disk.contents("/a") != repeated(2, 1000))
    }

    @Test func writesAndSyncsCanLie() throws {
        disk.inject(Fault(.ignore, on: [.write]))
        try file.write([2], at: 0)
        #expect(try file.read(1, at: 0) == [1])
        disk.inject(Fault(.ignore, on: [.synchronize]))
        try file.write([3], at: 0)
        try file.synchronize()
        disk.crash(.dropAll)
        #expect(try disk.contents("/a") == repeated(1, 1000))
    }

    @Test func writesAndReadsGoAstray() throws {
        disk.inject(Fault(.misdirect(by: 100), on: [.write]))
        try file.write([2], at: 0)
        #expect(try file.read(1, at: 0) == [1])
        #expect(try file.read(1, at: 100) == [2])
        disk.inject(Fault(.misdirect(by: -1000), on: [.read]))
        try file.write([3], at: 0)
        #expect(try file.read(1, at: 100) == [3])
    }

    @Test func bitsFlip() throws {
        disk.inject(Fault(.flipBit, on: [.read]))
        let read = try file.read(1000, at: 0)
        let wrong = zip(read, repeated(1, 1000)).map { ($0 ^ $1).nonzeroBitCount }.reduce(0, +)
        #expect(wrong == 1)
        #expect(try file.read(1000, at: 0) == repeated(1, 1000))
        disk.inject(Fault(.flipBit, on: [.write]))
        try file.write(repeated(0, 1000), at: 0)
        #expect(try file.read(1000, at: 0).map(\.nonzeroBitCount).reduce(0, +) == 1)
    }

    @Test func delaysPassSimulatedTimeOnly() throws {
        disk.inject(Fault(.delay(nanoseconds: 3_600_000_000_000), on: [.synchronize]))
        disk.inject(Fault(.fail(ErrorCode.inputOutput), on: [.synchronize]))
        let before = clock.wallMilliseconds()
        #expect(kind { try file.synchronize() } == .other)
        #expect(clock.wallMilliseconds() == before + 3_600_000)
    }

    @Test func theMachineCanStopAtAnyCall() throws {
        disk.inject(Fault(.stop, skipping: 1) { $0.isMutation })
        try file.write([2], at: 0)
        #expect(kind { try file.write([3], at: 0) } == .other)
        #expect(disk.isStopped)
        #expect(kind { _ = try file.read(1, at: 0) } == .other)
        #expect(kind { _ = try disk.list("/") } == .other)
        disk.crash(.keepAll)
        // The write under way reached the cache.
        #expect(try disk.contents("/a")[0] == 3)
    }

    @Test func aSyncCutOffByTheStopPromisesNothing() throws {
        try file.write([2], at: 0)
        disk.inject(Fault(.stop, on: [.synchronize]))
        #expect(kind { try file.synchronize() } == .other)
        disk.crash(.dropAll)
        #expect(try disk.contents("/a")[0] == 1)
    }

    @Test func aFullDiskTakesWhatFits() throws {
        disk.capacity = 1200
        #expect(kind { try file.allocate(1201) } == .outOfSpace)
        #expect(kind { try file.write(repeated(2, 500), at: 900) } == .outOfSpace)
        #expect(try file.byteCount() == 1200)
        try file.write([3], at: 0)
        #expect(kind { try disk.makeFile("/b", [1]) } == .outOfSpace)
        #expect(kind { try file.truncate(to: 1300) } == .outOfSpace)
        try file.truncate(to: 100)
        try disk.makeFile("/c", repeated(1, 1100))
        #expect(disk.usedByteCount == 1200)
        // A file without a name takes space until it is closed.
        try disk.remove("/a")
        #expect(disk.usedByteCount == 1200)
        try file.close()
        #expect(disk.usedByteCount == 1100)
    }

    @Test func tracesTellWhatHappened() throws {
        let count = (disk.operationCount, disk.mutationCount)
        disk.startTrace()
        try file.write([1, 2], at: 7)
        try disk.rename("/a", to: "/b")
        _ = try file.read(4, at: 0)
        let trace = disk.endTrace()
        #expect(trace.map(\.kind) == [.write, .rename, .read])
        #expect(trace[0].description == "#\(count.0) write /a [7, +2]")
        #expect(trace.map(\.isMutation) == [true, true, false])
        #expect((disk.operationCount, disk.mutationCount) == (count.0 + 3, count.1 + 2))
        #expect(disk.endTrace() == [])
    }
}
