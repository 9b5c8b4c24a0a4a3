// Without crashes and faults the simulated disk behaves like a real one, and can be damaged on request.

import ApusIO
import ApusSimulation
import Testing

@Suite struct SimulatedDiskTests {
    let disk = SimulatedDisk(seed: 11)

    @Test func filesReadBackWhatWasWritten() throws {
        let file = try disk.open("/a", .create)
        try file.write([1, 2, 3], at: 0)
        try file.write([9, 9], at: 10)
        #expect(try file.byteCount() == 12)
        #expect(try file.read(100, at: 0) == [1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 9, 9])
        #expect(try file.read(5, at: 11) == [9])
        #expect(try file.read(5, at: 12) == [])
        #expect(try file.read(5, at: .max) == [])
        #expect(kind { try file.write([1], at: .max) } == .outOfSpace)
        #expect(kind { try file.allocate(.max) } == .outOfSpace)
        try file.allocate(20)
        try file.allocate(5)
        #expect(try file.byteCount() == 20)
        try file.truncate(to: 2)
        try file.truncate(to: 4)
        #expect(try file.read(10, at: 0) == [1, 2, 0, 0])
        try file.close()
        #expect(kind { _ = try file.byteCount() } == .other)
        let reader = try disk.open("/a", .read)
        #expect(kind { try reader.write([1], at: 0) } == .other)
    }

    @Test func namesBehaveAsOnARealDisk() throws {
        try disk.createDirectory("/db")
        try disk.createDirectory("/db/sub/")
        let a = try disk.makeFile("db/a", [1])
        try disk.makeFile("/db/../db/./b", [2, 2])
        #expect(try disk.list("/db").sorted() == ["a", "b", "sub"])
        #expect(try disk.status(of: "/db")?.isDirectory == true)
        #expect(try disk.status(of: "/") == FileStatus(isDirectory: true, byteCount: 0))
        #expect(try disk.status(of: "/db/b") == FileStatus(isDirectory: false, byteCount: 2))
        #expect(try disk.status(of: "/none/b") == nil)
        #expect(try disk.status(of: "/db/a/b") == nil)

        #expect(kind { _ = try disk.open("/db/a", .create) } == .alreadyExists)
        #expect(kind { _ = try disk.open("/db/none", .update) } == .notFound)
        #expect(kind { _ = try disk.open("/none/a", .create) } == .notFound)
        #expect(kind { _ = try disk.open("/db", .read) } == .other)
        #expect(kind { try disk.createDirectory("/db") } == .alreadyExists)
        #expect(kind { try disk.createDirectory("/x/y") } == .notFound)
        #expect(kind { _ = try disk.list("/none") } == .notFound)
        #expect(kind { _ = try disk.list("/db/a") } == .other)
        #expect(kind { try disk.synchronizeDirectory("/none") } == .notFound)
        #expect(kind { try disk.remove("/db") } == .alreadyExists)
        #expect(kind { try disk.rename("/db/none", to: "/db/a") } == .notFound)
        #expect(kind { try disk.rename("/db/a", to: "/db/sub") } == .other)

        try disk.rename("/db/a", to: "/db/b")
        #expect(try disk.contents("/db/b") == [1])
        // Open files follow their names and outlive them.
        try a.write([5], at: 0)
        #expect(try disk.contents("/db/b") == [5])
        try disk.remove("/db/b")
        try disk.synchronizeDirectory("/db")
        #expect(try a.read(1, at: 0) == [5])
        #expect(kind { try disk.remove("/db/b") } == .notFound)
        try disk.remove("/db/sub")
        try disk.remove("/db")
        #expect(try disk.list("/") == [])
    }

    @Test func locksExcludeEachOther() throws {
        try disk.lock("/LOCK", exclusive: false, holder: "").release()
        #expect(try disk.list("/") == [])
        let lock = try disk.lock("/LOCK", exclusive: true, holder: "the first")
        let refusal = IOError(.lock, path: "/LOCK", code: ErrorCode.locked, detail: "the first")
        #expect(throws: refusal) { try disk.lock("/LOCK", exclusive: true, holder: "the second") }
        #expect(throws: refusal) { try disk.lock("/LOCK", exclusive: false, holder: "") }
        lock.release()
        lock.release()
        let first = try disk.lock("/LOCK", exclusive: false, holder: "")
        let second = try disk.lock("/LOCK", exclusive: false, holder: "")
        first.release()
        #expect(kind { _ = try disk.lock("/LOCK", exclusive: true, holder: "") } == .locked)
        second.release()
        try disk.lock("/LOCK", exclusive: true, holder: "").release()
        let old = try disk.lock("/LOCK", exclusive: true, holder: "")
        disk.crash(.keepAll)
        let new = try disk.lock("/LOCK", exclusive: true, holder: "new")
        // A lock of the time before the crash releases nothing any more.
        old.release()
        #expect(kind { _ = try disk.lock("/LOCK", exclusive: true, holder: "") } == .locked)
        new.release()
    }

    @Test func listingsComeInNoOrder() throws {
        for number in 0..<20 { try disk.makeFile("/\(number)") }
        let first = try disk.list("/")
        #expect(first.sorted() == (0..<20).map(String.init).sorted())
        #expect(try disk.list("/") != first)
    }

    @Test func damageIsDurable() throws {
        try disk.makeFile("/a", repeated(0, 10)).write([7], at: 0)
        #expect(disk.flipBit(of: "/a", at: 9, bit: 3))
        #expect(!disk.flipBit(of: "/a", at: 10))
        #expect(!disk.flipBit(of: "/none", at: 0))
        try disk.synchronizeDirectory("/")
        disk.crash(.dropAll)
        #expect(disk.contents(of: "/a") == [7] + repeated(0, 8) + [8])
        #expect(disk.truncate("/a", to: 3))
        #expect(!disk.truncate("/a", to: 4))
        #expect(disk.replaceContents(of: "/b", with: [1, 2]))
        #expect(!disk.replaceContents(of: "/none/b", with: []))
        #expect(disk.filePaths == ["/a", "/b"])
        disk.crash(.dropAll)
        #expect(disk.contents(of: "/a") == [7, 0, 0])
        #expect(disk.contents(of: "/b") == [1, 2])
        #expect(disk.delete("/a"))
        #expect(!disk.delete("/a"))
        disk.crash(.dropAll)
        #expect(disk.filePaths == ["/b"])
        #expect(disk.contents(of: "/a") == nil)
    }

    @Test func removedFilesAreForgotten() throws {
        for _ in 0..<100 {
            try disk.makeFile("/a", repeated(1, 100)).close()
            try disk.remove("/a")
            try disk.synchronizeDirectory("/")
        }
        #expect(disk.usedByteCount == 0)
        #expect(disk.openFileCount == 0)
    }

    @Test func manyThreadsMayUseItAtOnce() async throws {
        let file = try disk.makeFile("/shared", repeated(0, 8 * 512))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for round in 1...50 as ClosedRange<UInt8> {
                        try file.write(repeated(round, 512), at: UInt64(task) * 512)
                        #expect(try file.read(512, at: UInt64(task) * 512) == repeated(round, 512))
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(disk.contents(of: "/shared") == repeated(50, 8 * 512))
    }
}
