// What a power loss takes and what it must leave.

import ApusIO
import Testing

@testable import ApusSimulation

@Suite struct DurabilityTests {
    let disk = SimulatedDisk(seed: 1)

    @Test(arguments: CrashMode.allCases, 0..<20)
    func whatWasSyncedSurvivesEveryCrash(_ mode: CrashMode, _ seed: Int) throws {
        let disk = SimulatedDisk(seed: UInt64(seed))
        try disk.createDirectory("/db")
        try disk.synchronizeDirectory("/")
        let file = try disk.makeFile("/db/a", repeated(1, 5000))
        try disk.synchronizeDirectory("/db")
        disk.crash(mode)
        #expect(try disk.contents("/db/a") == repeated(1, 5000), "seed \(seed)")
        #expect(kind { _ = try file.read(1, at: 0) } == .other)
        #expect(try disk.list("/db") == ["a"])
    }

    @Test func withoutSyncsNothingNeedSurvive() throws {
        try disk.createDirectory("/db")
        try disk.makeFile("/db/a", [1])
        disk.crash(.dropAll)
        #expect(try disk.list("/") == [])

        let other = SimulatedDisk(seed: 1)
        try other.createDirectory("/db")
        try other.makeFile("/db/a", [1])
        other.crash(.keepAll)
        #expect(try other.contents("/db/a") == [1])
    }

    @Test func aSyncedFileInAnUnsyncedDirectoryIsLostWithItsName() throws {
        try disk.makeFile("/old", [1])
        try disk.synchronizeDirectory("/")
        try disk.makeFile("/new", [2])
        disk.crash(.dropAll)
        #expect(try disk.list("/") == ["old"])
    }

    @Test func aNameSyncedWithoutItsBytesIsAnEmptyFile() throws {
        let file = try disk.open("/a", .create)
        try file.write([1, 2, 3], at: 0)
        try disk.synchronizeDirectory("/")
        disk.crash(.dropAll)
        #expect(try disk.contents("/a") == [])
    }

    @Test func aRenameIsWholeOrNotAtAll() throws {
        var outcomes = Set<[UInt8]>()
        for seed in 0..<60 as Range<UInt64> {
            for mode in [CrashMode.orderedNames, .anyNames] {
                let disk = SimulatedDisk(seed: seed)
                try disk.makeFile("/CURRENT", [1])
                try disk.makeFile("/temporary", [2])
                try disk.synchronizeDirectory("/")
                try disk.rename("/temporary", to: "/CURRENT")
                disk.crash(mode)
                let current = try disk.contents("/CURRENT")
                outcomes.insert(current)
                #expect(try disk.list("/").count == (current == [1] ? 2 : 1), "seed \(seed)")
            }
        }
        #expect(outcomes == [[1], [2]])
    }

    @Test func aRenameCanSurviveTheNameItReplaced() throws {
        // Strict POSIX: the creation is lost and the rename is not; the file has its new name all the same.
        var sawIt = false
        for seed in 0..<60 as Range<UInt64> {
            let disk = SimulatedDisk(seed: seed)
            try disk.makeFile("/temporary", [2])
            try disk.rename("/temporary", to: "/CURRENT")
            try disk.makeFile("/other")
            disk.crash(.anyNames)
            let names = try disk.list("/").sorted()
            sawIt = sawIt || names == ["CURRENT"]
            #expect(!names.contains("CURRENT") || !names.contains("temporary"), "seed \(seed)")
        }
        #expect(sawIt)
    }

    @Test func orderedNamesSurviveAsAPrefixAndOthersAsAnySubset() throws {
        func outcomes(_ mode: CrashMode) throws -> Set<[String]> {
            var seen = Set<[String]>()
            for seed in 0..<300 as Range<UInt64> {
                let disk = SimulatedDisk(seed: seed)
                for name in ["a", "b", "c"] { try disk.makeFile("/" + name) }
                disk.crash(mode)
                seen.insert(try disk.list("/").sorted())
            }
            return seen
        }
        #expect(try outcomes(.orderedNames) == [[], ["a"], ["a", "b"], ["a", "b", "c"]])
        #expect(try outcomes(.anyNames).count == 8)
    }

    @Test func directoriesAreJournalledApartFromEachOther() throws {
        var seen = Set<[Int]>()
        for seed in 0..<200 as Range<UInt64> {
            let disk = SimulatedDisk(seed: seed)
            for directory in ["/a", "/b"] { try disk.createDirectory(directory) }
            try disk.synchronizeDirectory("/")
            for name in ["1", "2"] {
                for directory in ["/a/", "/b/"] { try disk.makeFile(directory + name) }
            }
            disk.crash(.orderedNames)
            seen.insert([try disk.list("/a").count, try disk.list("/b").count])
        }
        #expect(seen.count == 9)
    }

    @Test func syncingOneDirectoryTakesAMoveFromAnotherAlong() throws {
        for directory in ["/a", "/b"] { try disk.createDirectory(directory) }
        try disk.synchronizeDirectory("/")
        try disk.makeFile("/a/x", [1])
        try disk.rename("/a/x", to: "/b/x")
        try disk.synchronizeDirectory("/b")
        disk.crash(.keepAll)
        #expect(try disk.list("/a") == [])
        #expect(try disk.contents("/b/x") == [1])
    }

    @Test func removalsComeBackUnlessSynced() throws {
        try disk.makeFile("/a", [1])
        try disk.makeFile("/b", [2])
        try disk.synchronizeDirectory("/")
        try disk.remove("/a")
        try disk.synchronizeDirectory("/")
        try disk.remove("/b")
        #expect(try disk.list("/") == [])
        disk.crash(.dropAll)
        #expect(try disk.list("/") == ["b"])
        #expect(try disk.contents("/b") == [2])
    }

    @Test func aNameUsedAgainNeverShowsTheOldFile() throws {
        for seed in 0..<50 as Range<UInt64> {
            let disk = SimulatedDisk(seed: seed)
            try disk.makeFile("/a", [1])
            try disk.synchronizeDirectory("/")
            try disk.remove("/a")
            try disk.makeFile("/a", [2])
            try disk.synchronizeDirectory("/")
            disk.crash(.anyNames)
            #expect(try disk.contents("/a") == [2], "seed \(seed)")
        }
    }

    @Test func aProcessCrashKeepsEverythingWrittenAndSavesNothing() throws {
        let file = try disk.open("/a", .create)
        try file.write([1, 2], at: 0)
        _ = try disk.lock("/LOCK", exclusive: true, holder: "old")
        disk.restart()
        #expect(kind { try file.write([3], at: 0) } == .other)
        #expect(try disk.contents("/a") == [1, 2])
        let lock = try disk.lock("/LOCK", exclusive: true, holder: "new")
        disk.crash(.dropAll)
        #expect(try disk.list("/") == [])
        lock.release()
    }

    @Test func oneSeedGivesOneOutcome() throws {
        func history(_ seed: UInt64) throws -> [String: [UInt8]] {
            let disk = SimulatedDisk(seed: seed)
            for number in 0..<10 as Range<UInt8> {
                let file = try disk.open("/\(number)", .create)
                for part in 0..<10 as Range<UInt64> {
                    try file.write(repeated(number, 700), at: part * 600)
                    if part == UInt64(number) { try file.synchronize() }
                }
                if number.isMultiple(of: 4) { try disk.synchronizeDirectory("/") }
            }
            disk.crash(.anyNames)
            return Dictionary(uniqueKeysWithValues: disk.filePaths.map { ($0, disk.contents(of: $0) ?? []) })
        }
        #expect(try history(3) == history(3))
        #expect(try history(3) != history(4))
    }

    @Test func aCloneIsCrashedWithoutItsOriginal() throws {
        let file = try disk.makeFile("/a", [1])
        try disk.synchronizeDirectory("/")
        try file.write([2], at: 0)
        _ = try disk.lock("/LOCK", exclusive: true, holder: "me")
        var outcomes = Set<[UInt8]>()
        for seed in 0..<50 as Range<UInt64> {
            let copy = disk.clone(seed: seed)
            try copy.lock("/LOCK", exclusive: true, holder: "other").release()
            copy.crash()
            outcomes.insert(try copy.contents("/a"))
        }
        #expect(outcomes == [[1], [2]])
        #expect(try file.read(1, at: 0) == [2])
    }
}
