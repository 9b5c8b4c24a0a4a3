// What the parent process tells a child to do, and the child itself. Every measurement has a process of its own, so
// that peak memory, CPU time and bytes written belong to one engine and one workload.

import FoundationEssentials
import Histogram

struct Job: Codable, Sendable {
    enum Purpose: String, Codable {
        /// Fill a data set for workloads that start with a full database.
        case prepare
        case measure
    }

    var purpose: Purpose
    var engine: Engine
    var workload: Workload
    var threads: Int
    var entries: Int
    var valueByteCount: Int
    var memoryBudget: Int
    var seed: UInt64
    var repetition: Int
    var databasePath: String
    var resultPath: String

    var settings: EngineSettings {
        EngineSettings(
            memoryBudget: memoryBudget,
            durability: purpose == .prepare ? .relaxed : workload.kind.durability,
            entries: entries,
            valueByteCount: valueByteCount,
            threads: threads
        )
    }

    /// In the child.
    func perform() throws {
        switch purpose {
        case .prepare:
            try engine.withAdapter(Preparation(job: self))
        case .measure:
            let run = MeasuredRun(job: self)
            try engine.withAdapter(run)
            guard let measurement = run.measurement else { throw BenchmarkError("nothing was measured") }
            try JSONEncoder().encode(measurement).write(to: URL(filePath: resultPath))
        }
    }
}

/// Fills a database with every key in random order, lets it come to rest, and opens it once more for engines that do
/// part of that work on opening.
private final class Preparation: AdapterVisitor {
    private let job: Job

    init(job: Job) {
        self.job = job
    }

    func visit<Adapter: EngineAdapter>(_: Adapter.Type) throws {
        let plan = Plan(
            kind: .fillbatch,
            entries: job.entries,
            threads: 1,
            valueByteCount: job.valueByteCount,
            seed: job.seed
        )
        try withAdapter(Adapter.self) { adapter in
            let worker = Worker(plan: plan, session: try adapter.makeSession(), thread: 0)
            worker.run()
            if let failure = worker.failure { throw failure }
            try adapter.flush()
        }
        try withAdapter(Adapter.self) { _ in }
    }

    private func withAdapter<Adapter: EngineAdapter>(_: Adapter.Type, _ body: (Adapter) throws -> Void) throws {
        let adapter = try Adapter(path: job.databasePath, settings: job.settings)
        try body(adapter)
        Idleness.wait()
        try adapter.close()
    }
}

/// One workload on one engine, from opening the database to closing it.
private final class MeasuredRun: AdapterVisitor {
    private let job: Job
    private(set) var measurement: Measurement?

    init(job: Job) {
        self.job = job
    }

    func visit<Adapter: EngineAdapter>(_: Adapter.Type) throws {
        let kind = job.workload.kind
        let plan = Plan(
            kind: kind,
            entries: job.entries,
            threads: job.threads,
            valueByteCount: job.valueByteCount,
            seed: job.seed
        )
        ProcessCounters.resetPeakResident()
        let adapter = try Adapter(path: job.databasePath, settings: job.settings)
        var workers: [Worker<Adapter.Session>] = []
        for thread in 0..<job.threads {
            workers.append(Worker(plan: plan, session: try adapter.makeSession(), thread: thread))
        }
        if kind.startsFull { Idleness.wait() }
        if !kind.writes {
            for worker in workers { try worker.warmUp() }
        }

        let writtenBefore = ProcessCounters.written
        let cpuBefore = ProcessCounters.cpuSeconds
        let start = monotonicNanoseconds()
        try ThreadTeam.run(count: workers.count) { [workers] in workers[$0].run() }
        let end = monotonicNanoseconds()
        let cpuSeconds = ProcessCounters.cpuSeconds - cpuBefore

        var tally = Tally()
        var latencies = LatencyRecorder()
        for worker in workers {
            if let failure = worker.failure { throw failure }
            tally += worker.tally
            latencies.merge(worker.latencies)
        }
        try check(tally)
        var settleSeconds = 0.0
        if kind.writes {
            let settleStart = monotonicNanoseconds()
            try adapter.flush()
            settleSeconds = Double(monotonicNanoseconds() - settleStart) / 1e9 + Idleness.wait()
        }
        let peakResident = ProcessCounters.peakResidentByteCount
        let liveEntries = try WriteCheck(plan: plan).run(on: try adapter.makeSession(), engine: job.engine)
        workers = []
        try adapter.close()
        let written = ProcessCounters.written - writtenBefore

        measurement = Measurement(
            job: job,
            engineVersion: adapter.version,
            compression: Adapter.compression,
            settings: Adapter.describe(job.settings),
            operations: tally.operations,
            seconds: Double(end - start) / 1e9,
            latencies: latencies.histogram,
            cpuSeconds: cpuSeconds,
            settleSeconds: settleSeconds,
            written: written,
            directoryByteCount: Folder.allocatedByteCount(job.databasePath),
            liveEntries: liveEntries,
            peakResidentByteCount: peakResident
        )
    }

    private func check(_ tally: Tally) throws {
        let name = "\(job.engine.rawValue) \(job.workload)"
        if tally.found != tally.expected {
            throw BenchmarkError("\(name): found \(tally.found) entries where \(tally.expected) should be")
        }
        if tally.wrongValues > 0 {
            throw BenchmarkError("\(name): \(tally.wrongValues) entries were not what was written")
        }
    }
}

/// Looks up a sample of what a workload wrote or deleted, and counts the entries that must be left.
private struct WriteCheck {
    let plan: Plan

    func run<Session: EngineSession>(on session: Session, engine: Engine) throws -> Int {
        guard plan.kind.writes else { return plan.entries }
        var isLive = [Bool](repeating: true, count: plan.entries)
        if plan.kind == .deleterandom {
            for thread in 0..<plan.threads {
                var random = plan.random(of: thread)
                for _ in plan.share(of: thread) { isLive[random.next(below: plan.entries)] = false }
            }
        }
        if engine != .loop {
            let key = KeyBuffer()
            for index in stride(from: 0, to: plan.entries, by: max(1, plan.entries / 1_000)) {
                var valueByteCount = 0
                let isFound = try session.get(key.set(index)) { valueByteCount = $0.count }
                guard isFound == isLive[index], !isFound || valueByteCount == plan.valueByteCount else {
                    throw BenchmarkError("\(engine.rawValue) \(plan.kind.rawValue): key \(index) is not as written")
                }
            }
        }
        return isLive.count(where: { $0 })
    }
}
