// One workload on one engine, from opening the database to closing it.

final class MeasuredRun: AdapterVisitor {
    private let job: Job
    private(set) var measurement: Measurement?

    init(job: Job) {
        self.job = job
    }

    func visit<Adapter: EngineAdapter>(_: Adapter.Type) throws {
        let kind = job.workload.kind
        let plan = job.plan
        ProcessCounters.resetPeakResident()
        let adapter = try Adapter(path: job.databasePath, settings: job.settings)
        var workers = try makeWorkers(plan, adapter)
        if kind.start == .full { Idleness.wait() }
        if kind.reads, !job.isCold {
            for worker in workers where worker.role == .measured { try worker.warmUp() }
        }

        let writtenBefore = ProcessCounters.written
        let cpuBefore = ProcessCounters.cpuSeconds
        let start = monotonicNanoseconds()
        try ThreadTeam.run(count: workers.count) { [workers] in workers[$0].run() }
        let cpuSeconds = ProcessCounters.cpuSeconds - cpuBefore
        let writtenInTime = ProcessCounters.written
        let pending = try adapter.pendingByteCount()

        var outcome = try Self.collect(workers, start: start)
        try check(outcome.tally)
        if kind.writes {
            let settleStart = monotonicNanoseconds()
            try adapter.flush()
            outcome.settleSeconds = Double(monotonicNanoseconds() - settleStart) / 1e9 + Idleness.wait()
        }
        outcome.cpuSeconds = cpuSeconds
        outcome.pendingByteCount = pending
        outcome.peakResidentByteCount = ProcessCounters.peakResidentByteCount
        outcome.liveEntries = try WriteCheck(plan: plan, inserted: outcome.tally.inserted)
            .run(on: try adapter.makeSession(), engine: job.engine)
        workers = []
        try adapter.close()
        outcome.written = ProcessCounters.written - writtenBefore
        outcome.settleWritten = ProcessCounters.written - writtenInTime
        outcome.directoryByteCount = Folder.allocatedByteCount(job.databasePath)
        measurement = Measurement(job: job, engine: EngineFacts(adapter, job), outcome: outcome)
    }

    private func makeWorkers<Adapter: EngineAdapter>(
        _ plan: Plan,
        _ adapter: Adapter
    ) throws -> [Worker<Adapter.Session>] {
        let countdown = Countdown(plan.threads)
        let roles = [Worker<Adapter.Session>.Role](repeating: .measured, count: plan.threads)
        return try (roles + (plan.kind == .readwhilewriting ? [.writer] : [])).enumerated().map { thread, role in
            Worker(plan: plan, session: try adapter.makeSession(), thread: thread, role: role, countdown: countdown)
        }
    }

    /// The run ends with its last measured operation: a writer in the background may still be stalled in its own.
    private static func collect<Session>(_ workers: [Worker<Session>], start: UInt64) throws -> Outcome {
        var outcome = Outcome()
        var latencies = LatencyRecorder()
        var end = start
        for worker in workers {
            if let failure = worker.failure { throw failure }
            switch worker.role {
            case .measured:
                outcome.tally += worker.tally
                latencies.merge(worker.latencies)
                end = max(end, worker.finishedAt)
            case .writer:
                outcome.backgroundOperations = worker.tally.operations
                outcome.tally.userByteCount += worker.tally.userByteCount
            }
        }
        outcome.seconds = Double(end - start) / 1e9
        outcome.latencies = latencies.histogram
        return outcome
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
