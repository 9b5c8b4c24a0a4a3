// Interrupted calls are repeated, short transfers continued, and nothing spins on a device that makes no progress.

import Testing

@testable import ApusIO

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

@Suite struct SyscallTests {
    @Test func shortAndInterruptedTransfersAreContinued() throws {
        var results = [3, -1, 1, -1, -1, 6]
        var calls: [[Int]] = []
        let done = try Syscalls.transferring(.write, "f", byteCount: 10) { done, rest in
            calls.append([done, rest])
            errno = EINTR
            return results.removeFirst()
        }
        #expect(done == 10)
        #expect(calls == [[0, 10], [3, 7], [3, 7], [4, 6], [4, 6], [4, 6]])
    }

    @Test func anErrorAfterAShortTransferIsThrown() {
        var results = [3, -1]
        #expect(throws: IOError(.write, path: "f", code: ENOSPC)) {
            _ = try Syscalls.transferring(.write, "f", byteCount: 10) { _, _ in
                errno = ENOSPC
                return results.removeFirst()
            }
        }
    }

    @Test func aTransferOfNothingEndsIt() throws {
        var calls = 0
        let done = try Syscalls.transferring(.read, "f", byteCount: 10) { _, _ in
            calls += 1
            return calls == 1 ? 4 : 0
        }
        #expect(done == 4)
        #expect(calls == 2)
    }

    @Test func largeTransfersAreCut() throws {
        var largest = 0
        let byteCount = Syscalls.maximumTransferByteCount * 3 + 5
        let done = try Syscalls.transferring(.read, "f", byteCount: byteCount) { _, rest in
            largest = max(largest, rest)
            return rest
        }
        #expect(done == byteCount)
        #expect(largest == Syscalls.maximumTransferByteCount)
    }

    @Test func zerosAreWrittenWhereSpaceCannotBeReserved() throws {
        let directory = try TemporaryDirectory()
        let disk = POSIXFileSystem()
        let file = try disk.open(directory / "a", .create)
        try file.write([1, 2, 3], at: 0)
        let descriptor = try Syscalls.open(directory / "a", O_RDWR)
        try Syscalls.fillWithZeros(descriptor, from: 3, to: 600_001, path: "a")
        try Syscalls.close(descriptor, path: "a")
        #expect(try file.byteCount() == 600_001)
        #expect(try file.read(5, at: 0) == [1, 2, 3, 0, 0])
        #expect(try file.read(5, at: 599_999) == [0, 0])
    }

    #if os(Linux)
    @Test func aFullDeviceIsOutOfSpace() throws {
        let file = try POSIXFileSystem().open("/dev/full", .update)
        #expect(throws: IOError(.write, path: "/dev/full", code: ENOSPC)) { try file.write([1], at: 0) }
    }
    #endif
}
