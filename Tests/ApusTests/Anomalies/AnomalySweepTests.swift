// Every call that the engine makes to the disk fails once, in every way in which it can fail, and the machine stops at
// every call. A test run takes a sample, spread so that different errors meet different calls; APUS_SWEEP=full takes
// all of it and prints figures.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Whether the sweeps of anomalies and of corruption run completely.
let isFullSweep = getenv("APUS_SWEEP").map { String(cString: $0) } == "full"

@Suite("Anomalies")
struct AnomalySweepTests {
    /// Runs of each sweep in the sample.
    private static let sampleCount = 26
    /// Parts of a sweep, so that it can use more than one processor.
    private static let partCount = isFullSweep ? 4 : 1

    struct Sweep: Sendable, CustomTestStringConvertible {
        var fault: AnomalyFault
        var isPersistent: Bool
        var part: Int
        var testDescription: String { "\(fault) \(isPersistent ? "from a call on" : "once"), part \(part)" }
    }

    static let sweeps: [Sweep] = AnomalyFault.allCases.flatMap { fault in
        [false, true].flatMap { isPersistent in
            (0..<partCount).map { Sweep(fault: fault, isPersistent: isPersistent, part: $0) }
        }
    }.filter { !($0.fault == .stop && $0.isPersistent) }

    /// The calls of the workload when nothing fails.
    private static let operations: [DiskOperation] = {
        let run = AnomalyRun()
        run.machine.disk.startTrace()
        try? run.run()
        return run.machine.disk.endTrace()
    }()

    @Test("the workload comes through everything that it is meant for")
    func workload() throws {
        let run = AnomalyRun()
        run.machine.disk.startTrace()
        try run.run()
        let operations = run.machine.disk.endTrace()
        #expect(run.stepName == "the end" && run.errors.isEmpty, "\(run.stepName): \(run.errors)")
        func count(_ kind: IOError.Operation, _ suffix: String) -> Int {
            operations.count { $0.kind == kind && $0.path.hasSuffix(suffix) }
        }
        // Each of the five opens writes a manifest; more of them are roll-overs.
        let made = operations.filter { $0.kind == .allocate && $0.path.hasSuffix(".manifest") }
        #expect(made.count { $0.path.hasPrefix(AnomalyRun.directory + "/") } > 5)
        #expect(count(.rename, ".log") > 0, "a segment is reused")
        #expect(count(.remove, ".blob") > 0, "blob files are collected")
        #expect(count(.remove, ".table") > 10, "tables are compacted")
        #expect(count(.synchronize, ".log") > 20)
        #expect(run.readCompactionCount > 0, "reads lead to a compaction")
        let journal = try run.database!.existingKeyspace("journal")
        #expect(try journal.count() < run.keyspaces.first { $0.name == "journal" }!.allKeys.count, "FIFO drops tables")
        let brief = run.keyspaces.first { $0.name == "brief" }!
        #expect(try brief.handle.count() < brief.allKeys.count, "entries expire")
        _ = try AnomalyRecovery.check(run, AnomalyRecovery.Ending.allCases, losesCache: false)
        print("anomalies: the workload makes \(operations.count) calls")
    }

    @Test("every failing call ends in an error or success, and in a legal state", arguments: sweeps)
    func sweep(_ sweep: Sweep) {
        let total = Self.operations.count { sweep.fault.concerns($0) }
        let stride = isFullSweep ? 1 : Swift.max(total / Self.sampleCount, 1)
        // Different sweeps start elsewhere, so that the sample meets different calls with different errors.
        let index = AnomalyFault.allCases.firstIndex(of: sweep.fault)! * 2 + (sweep.isPersistent ? 1 : 0)
        var (runs, recoveries, retries, failures) = (0, 0, 0, 0)
        for number in Swift.stride(from: index * 7 % stride, to: total, by: stride)
        where number / stride % Self.partCount == sweep.part {
            let run = AnomalyRun()
            run.isOnce = !sweep.isPersistent
            run.machine.disk.inject(sweep.fault.fault(at: number, isPersistent: sweep.isPersistent))
            do {
                try run.run()
                recoveries += try AnomalyRecovery.check(
                    run, endings(sweep.fault, number / stride), losesCache: sweep.fault == .syncDropsPages)
            } catch {
                failures += 1
                let report: Comment =
                    "\(sweep.testDescription), call \(number), \(run.stepName): \(error)\n  \(run.errors)"
                if failures < 10 { Issue.record(report) }
            }
            runs += 1
            retries += run.retryCount
        }
        if isFullSweep {
            print("anomalies: \(sweep.testDescription): \(runs) runs, \(retries) retries, \(recoveries) recoveries")
        }
    }

    private func endings(_ fault: AnomalyFault, _ number: Int) -> [AnomalyRecovery.Ending] {
        let all = AnomalyRecovery.Ending.allCases.filter { fault != .stop || $0 != .close }
        if isFullSweep {
            // The engine tells these two from EIO and ENOSPC by nothing but their number, so at every call they take
            // every other ending; the other two take all of them.
            let isTwin = fault == .interrupted || fault == .overQuota
            return isTwin ? all.enumerated().filter { ($0.offset + number) % 2 == 0 }.map(\.element) : all
        }
        return [all[number % all.count], all[(number + 2) % all.count]].sorted { a, _ in a != .close }
    }
}
