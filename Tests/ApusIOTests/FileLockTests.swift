// Locks exclude each other within one process and across processes, and survive nothing but their holder.

import ApusIO
import Synchronization
import Testing

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

@Suite struct FileLockTests {
    let disk = POSIXFileSystem()
    let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
    }

    @Test func twoHandlesOfOneProcessExcludeEachOther() throws {
        let path = directory / "LOCK"
        let lock = try disk.lock(path, exclusive: true, holder: "the first")
        let refusal = IOError(.lock, path: path, code: ErrorCode.locked, detail: "the first")
        #expect(refusal.kind == .locked)
        #expect(throws: refusal) { try disk.lock(path, exclusive: true, holder: "the second") }
        #expect(throws: refusal) { try disk.lock(path, exclusive: false, holder: "") }
        // Opening and closing the file by other means drops nothing.
        try disk.open(path, .update).close()
        #expect(throws: refusal) { try disk.lock(path, exclusive: true, holder: "the second") }
        lock.release()
        lock.release()
        try disk.lock(path, exclusive: true, holder: "2").release()
        #expect(try disk.status(of: path)?.byteCount == 1)
    }

    @Test func aForgottenLockIsReleased() throws {
        let path = directory / "LOCK"
        _ = try disk.lock(path, exclusive: true, holder: "a")
        try disk.lock(path, exclusive: true, holder: "b").release()
    }

    @Test func sharedLocksStandBesideEachOther() throws {
        let path = directory / "LOCK"
        try disk.lock(path, exclusive: true, holder: "gone").release()
        let first = try disk.lock(path, exclusive: false, holder: "")
        let second = try disk.lock(path, exclusive: false, holder: "")
        // The writer that described itself is gone: it is not the one to name.
        let readers = IOError(.lock, path: path, code: ErrorCode.locked, detail: "another process, for reading")
        #expect(throws: readers) { try disk.lock(path, exclusive: true, holder: "writer") }
        first.release()
        #expect(throws: IOError.self) { try disk.lock(path, exclusive: true, holder: "writer") }
        second.release()
        try disk.lock(path, exclusive: true, holder: "writer").release()
    }

    @Test func readersNeedNoLockFileAndCreateNone() throws {
        chmod(directory.path, 0o555)
        try disk.lock(directory / "LOCK", exclusive: false, holder: "").release()
        #expect(try disk.list(directory.path) == [])
    }

    @Test func aReplacedLockFileIsNoticed() throws {
        let path = directory / "LOCK"
        let orphan = try disk.lock(path, exclusive: true, holder: "a")
        try disk.remove(path)
        let lock = try disk.lock(path, exclusive: true, holder: "b")
        orphan.release()
        #expect(throws: IOError(.lock, path: path, code: ErrorCode.locked, detail: "b")) {
            try disk.lock(path, exclusive: true, holder: "c")
        }
        lock.release()
    }

    @Test func ofManyRacingThreadsOneHoldsTheLock() throws {
        let path = directory / "LOCK"
        let holders = Atomic(0)
        let wins = Atomic(0)
        let scheduler = ThreadScheduler(compactionThreads: 4)
        let remaining = Monitor(4)
        for thread in 0..<4 {
            scheduler.run(.compaction) {
                for _ in 0..<250 {
                    guard let lock = try? POSIXFileSystem().lock(path, exclusive: true, holder: "\(thread)") else {
                        continue
                    }
                    let holderCount = holders.add(1, ordering: .sequentiallyConsistent).newValue
                    #expect(holderCount == 1)
                    wins.add(1, ordering: .relaxed)
                    holders.subtract(1, ordering: .sequentiallyConsistent)
                    lock.release()
                }
                remaining.withLock { $0 -= 1 }
                remaining.broadcast()
            }
        }
        remaining.waitUntil(helping: scheduler) { $0 == 0 ? true : nil }
        scheduler.shutDown()
        let winCount = wins.load(ordering: .relaxed)
        #expect(winCount > 0)
    }

    #if os(Linux)
    @Test(.enabled(if: access("/usr/bin/flock", X_OK) == 0)) func anotherProcessIsExcluded() throws {
        let path = directory / "LOCK"
        let lock = try disk.lock(path, exclusive: true, holder: currentProcessDescription)
        #expect(try run("/usr/bin/flock", "-n", path, "/bin/true") == 1)
        lock.release()
        #expect(try run("/usr/bin/flock", "-n", path, "/bin/true") == 0)
    }

    /// The exit code of a command.
    private func run(_ command: String...) throws -> Int32 {
        var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) }
        defer { for argument in arguments { free(argument) } }
        arguments.append(nil)
        var child = pid_t()
        try #require(posix_spawn(&child, command[0], nil, nil, arguments, nil) == 0)
        var status: Int32 = 0
        while waitpid(child, &status, 0) == -1, errno == EINTR {}
        return (status >> 8) & 0xFF
    }
    #endif

    @Test func theHolderNamesItsProcess() {
        #expect(currentProcessDescription.hasPrefix("process \(getpid()) on "))
    }
}
