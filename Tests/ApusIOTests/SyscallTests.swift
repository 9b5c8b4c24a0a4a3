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

    /// What one call of a transfer does in the sweep below.
    private enum Outcome: CaseIterable {
        case nothing, one, three, all, interrupted, failed, full, overQuota, tooMany

        var code: Int32? {
            switch self {
            case .interrupted: EINTR
            case .failed: EIO
            case .full: ENOSPC
            case .overQuota: EDQUOT
            case .tooMany: EMFILE
            default: nil
            }
        }

        func count(_ rest: Int) -> Int {
            switch self {
            case .one: min(1, rest)
            case .three: min(3, rest)
            case .all: rest
            default: 0
            }
        }
    }

    @Test func everySequenceOfShortInterruptedAndFailingCallsEndsAsItShould() {
        let (length, byteCount) = (4, 8)
        let outcomes = Outcome.allCases
        for number in 0..<(0..<length).reduce(1, { product, _ in product * outcomes.count }) {
            var rest = number
            let sequence = (0..<length).map { _ in
                defer { rest /= outcomes.count }
                return outcomes[rest % outcomes.count]
            }
            // What must come of it.
            var (expected, code) = (0, Int32(0))
            for outcome in sequence + [.all] where expected < byteCount {
                if outcome == .interrupted { continue }
                if let failure = outcome.code {
                    code = failure
                    break
                }
                if outcome == .nothing { break }
                expected += outcome.count(byteCount - expected)
            }
            var (calls, transferred) = (0, 0)
            let result = Result(catching: { () throws(IOError) in
                try Syscalls.transferring(.write, "f", byteCount: byteCount) { done, rest in
                    let outcome = calls < sequence.count ? sequence[calls] : .all
                    calls += 1
                    #expect(done == transferred && rest == byteCount - done)
                    if let code = outcome.code {
                        errno = code
                        return -1
                    }
                    transferred += outcome.count(rest)
                    return outcome.count(rest)
                }
            })
            switch result {
            case .success(let done): #expect(done == expected && code == 0, "\(sequence)")
            case .failure(let error):
                #expect(error.code == code && transferred == expected, "\(sequence)")
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
