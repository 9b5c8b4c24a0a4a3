// The real disk keeps what the file-system seam promises.

import ApusIO
import Testing

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

@Suite struct POSIXFileSystemTests {
    let disk = POSIXFileSystem()
    let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
    }

    private func kind(_ body: () throws -> Void) -> IOError.Kind? {
        do {
            try body()
            return nil
        } catch {
            return (error as? IOError)?.kind
        }
    }

    @Test func whatIsWrittenIsReadBackAtAnyOffset() throws {
        let file = try disk.open(directory / "a", .create)
        try file.write([1, 2, 3], at: 0)
        try file.write([9, 9], at: 10)
        try file.synchronize()
        #expect(try file.byteCount() == 12)
        #expect(try file.read(100, at: 0) == [1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 9, 9])
        #expect(try file.read(2, at: 1) == [2, 3])
        #expect(try file.read(5, at: 11) == [9])
        #expect(try file.read(5, at: 12) == [])
        try file.close()
    }

    @Test func absurdOffsetsNeverTrap() throws {
        let file = try disk.open(directory / "a", .create)
        #expect(try file.read(8, at: .max) == [])
        #expect(try file.read(8, at: UInt64(Int64.max) - 3) == [])
        #expect(kind { try file.write([1], at: .max) } == .outOfSpace)
        #expect(kind { try file.truncate(to: .max) } == .outOfSpace)
        #expect(kind { try file.allocate(.max) } == .outOfSpace)
        #expect(try file.byteCount() == 0)
    }

    @Test func creatingFailsWhereTheNameIsTaken() throws {
        try disk.open(directory / "a", .create).close()
        #expect(kind { _ = try disk.open(directory / "a", .create) } == .alreadyExists)
        #expect(kind { _ = try disk.open(directory / "b", .update) } == .notFound)
        #expect(kind { _ = try disk.open(directory / "b", .read) } == .notFound)
        #expect(kind { try disk.createDirectory(directory.path) } == .alreadyExists)
        #expect(kind { try disk.createDirectory(directory / "no/where") } == .notFound)
    }

    @Test func aFileOpenedForReadingRefusesWrites() throws {
        try disk.open(directory / "a", .create).close()
        let file = try disk.open(directory / "a", .read)
        #expect(kind { try file.write([1], at: 0) } == .other)
    }

    @Test func aClosedFileFailsInsteadOfReachingAnother() throws {
        let first = try disk.open(directory / "a", .create)
        try first.close()
        let second = try disk.open(directory / "b", .create)
        #expect(throws: IOError(.write, path: directory / "a", code: ErrorCode.badDescriptor)) {
            try first.write([1], at: 0)
        }
        try first.close()
        try second.write([1], at: 0)
        #expect(try disk.status(of: directory / "b")?.byteCount == 1)
    }

    @Test func allocatingReservesZerosAndNeverShrinks() throws {
        let file = try disk.open(directory / "a", .create)
        try file.write([7], at: 0)
        try file.allocate(10_000)
        #expect(try file.byteCount() == 10_000)
        #expect(try file.read(10_000, at: 0) == [7] + [UInt8](repeating: 0, count: 9999))
        try file.allocate(10)
        #expect(try file.byteCount() == 10_000)
        try file.truncate(to: 1)
        #expect(try file.read(9, at: 0) == [7])
    }

    @Test func directoriesListStatRenameAndRemove() throws {
        try disk.createDirectory(directory / "sub")
        try disk.open(directory / "a", .create).close()
        let replaced = try disk.open(directory / "b", .create)
        try replaced.write([1, 2], at: 0)
        #expect(try disk.list(directory.path).sorted() == ["a", "b", "sub"])
        #expect(try disk.status(of: directory / "sub")?.isDirectory == true)
        #expect(try disk.status(of: directory / "b") == FileStatus(isDirectory: false, byteCount: 2))
        #expect(try disk.status(of: directory / "none") == nil)
        #expect(try disk.status(of: directory / "a/below") == nil)

        try disk.rename(directory / "b", to: directory / "a")
        try disk.synchronizeDirectory(directory.path)
        #expect(try disk.list(directory.path).sorted() == ["a", "sub"])
        #expect(try disk.status(of: directory / "a")?.byteCount == 2)
        // The open file moved with its name.
        try replaced.write([3], at: 2)
        #expect(try disk.status(of: directory / "a")?.byteCount == 3)

        try disk.open(directory / "sub/c", .create).close()
        #expect(kind { try disk.remove(directory / "sub") } == .alreadyExists)
        try disk.remove(directory / "sub/c")
        try disk.remove(directory / "sub")
        try disk.remove(directory / "a")
        #expect(kind { try disk.remove(directory / "a") } == .notFound)
        #expect(kind { _ = try disk.list(directory / "sub") } == .notFound)
        #expect(kind { try disk.synchronizeDirectory(directory / "sub") } == .notFound)
        #expect(try disk.list(directory.path) == [])
    }

    @Test func longAndNonASCIINamesAreListedWhole() throws {
        let names = ["x", "\u{1F600}\u{E9}", String(repeating: "n", count: 255)]
        for name in names { try disk.open(directory / name, .create).close() }
        #expect(try disk.list(directory.path).sorted() == names.sorted())
    }

    @Test func aPathWithAZeroByteIsRefused() throws {
        #expect(throws: IOError(.open, path: "\(directory / "a")\0b", code: ErrorCode.invalidArgument)) {
            try disk.open("\(directory / "a")\0b", .create)
        }
        #expect(try disk.list(directory.path) == [])
    }

    @Test func descriptorsAreNotLeaked() throws {
        let before = try openDescriptorCount()
        for index in 0..<50 {
            let file = try disk.open(directory / "\(index)", .create)
            if index.isMultiple(of: 2) { try file.close() }
            try disk.synchronizeDirectory(directory.path)
            try disk.lock(directory / "LOCK", exclusive: true, holder: "me").release()
            #expect(kind { _ = try disk.open(directory / "none", .read) } == .notFound)
        }
        // Other tests of this process open files too, but not fifty.
        #expect(try openDescriptorCount() < before + 40)
    }

    private func openDescriptorCount() throws -> Int {
        #if os(Linux)
        try disk.list("/proc/self/fd").count
        #else
        try disk.list("/dev/fd").count
        #endif
    }

    @Test func errorsSayWhatFailedWhereAndWhy() throws {
        let path = directory / "none"
        #expect(throws: IOError(.open, path: path, code: ENOENT)) { try disk.open(path, .read) }
        let error = IOError(.write, path: "/x/7.log", code: ENOSPC, detail: "half")
        #expect(error.description == "write of /x/7.log failed: No space left on device (half)")
    }
}
