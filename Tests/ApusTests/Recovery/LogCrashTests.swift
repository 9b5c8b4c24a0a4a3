// Power loss at every call of log and manifest, also during the recovery that follows.

import ApusIO
import Testing

@testable import Apus

/// Power losses at every call that changes the disk, with every kind of leftover.
@Suite struct LogCrashTests {
    /// Commits until something fails; returns what was acknowledged as durable, and all that was tried.
    private func work(_ disk: LogTestFileSystem, from first: UInt64, count: Int) -> (durable: UInt64, tried: UInt64) {
        var durable = first - 1
        var tried = first - 1
        do {
            let database = try LogTestDatabase.open(disk, segmentByteCount: 4096, manifestByteCount: 4096)
            for index in 0..<count {
                tried = first + UInt64(index)
                let isDurable = index % 3 != 1
                try database.commit(tried, 200 + index * 37 % 900, isDurable: isDurable)
                if isDurable { durable = tried }
                if index % 4 == 3 { try database.logs.prepareNext() }
            }
        } catch {}
        return (durable, tried)
    }

    private func check(_ disk: LogTestFileSystem, _ durable: UInt64, _ tried: UInt64, _ what: String) -> UInt64? {
        // Refused, since nobody can tell whose it is; nothing was durable yet.
        if durable == 0, disk.holdsGarbledCreation { return 0 }
        do {
            let found = try LogTestDatabase.read(disk)?.1.sequences ?? []
            #expect(found == Array(1..<(UInt64(found.count) + 1)), "a hole: \(what)")
            #expect(UInt64(found.count) >= durable, "acknowledged batches are lost: \(what)")
            #expect(UInt64(found.count) <= tried, "batches out of nowhere: \(what)")
            return UInt64(found.count)
        } catch {
            Issue.record("unreadable (\(error)): \(what)")
            return nil
        }
    }

    @Test func everyPowerLossLeavesAPrefixWithAllThatWasDurable() throws {
        let whole = LogTestFileSystem()
        _ = work(whole, from: 1, count: 24)
        let callCount = whole.calls.count
        for index in 0..<callCount {
            let disk = LogTestFileSystem()
            disk.setFault { _, call in call >= index ? LogTestFileSystem.Fault(code: 5, isPartial: index % 2 == 0) : nil
            }
            let (durable, tried) = work(disk, from: 1, count: 24)
            for seed in 0..<12 {
                let what = "call \(index) of \(callCount), seed \(seed)"
                let after = disk.crashed(seed: UInt64(index * 100 + seed))
                _ = check(after, durable, tried, what)
            }
        }
    }

    @Test func aSecondPowerLossDuringOrAfterRecoveryLosesNothingEither() throws {
        var random = TestRandom(seed: 7)
        for round in 0..<250 {
            var disk = LogTestFileSystem()
            var kept: UInt64 = 0
            for life in 0..<4 {
                let stop = random.below(life == 0 ? 90 : 60)
                let partial = random.below(2) == 0
                disk.clearCalls()
                disk.setFault { _, call in call >= stop ? LogTestFileSystem.Fault(code: 5, isPartial: partial) : nil }
                let (durable, tried) = work(disk, from: kept + 1, count: 16)
                disk.setFault(nil)
                let seed = random.next()
                disk = disk.crashed(seed: seed)
                let what = "round \(round), life \(life), stopped at call \(stop), crash seed \(seed)"
                guard let found = check(disk, durable, max(tried, kept), what) else { return }
                kept = found
            }
        }
    }
}
