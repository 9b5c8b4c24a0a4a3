// Opening a database: after it was closed cleanly, several times, or once after its process was killed. An opening
// counts until it has answered a get, so that engines which put work off do not look faster than they are.

final class OpeningRun: AdapterVisitor {
    private let job: Job
    private(set) var measurement: Measurement?

    init(job: Job) {
        self.job = job
    }

    func visit<Adapter: EngineAdapter>(_: Adapter.Type) throws {
        let plan = job.plan
        let key = KeyBuffer()
        var recorder = LatencyRecorder()
        var outcome = Outcome()
        var nanoseconds: UInt64 = 0
        var facts: EngineFacts?
        ProcessCounters.resetPeakResident()
        let writtenBefore = ProcessCounters.written
        for opening in 0..<plan.operations {
            let cpuBefore = ProcessCounters.cpuSeconds
            let start = monotonicNanoseconds()
            recorder.start()
            let adapter = try Adapter(path: job.databasePath, settings: job.settings)
            var session: Adapter.Session? = try adapter.makeSession()
            if try session?.get(key.set(plan.order[opening % plan.entries]), { _ in }) != true {
                throw BenchmarkError("\(job.engine.rawValue) \(job.workload): an entry is missing after opening")
            }
            recorder.lap()
            nanoseconds += monotonicNanoseconds() - start
            outcome.cpuSeconds += ProcessCounters.cpuSeconds - cpuBefore
            outcome.tally.operations += 1
            if opening == plan.operations - 1 {
                outcome.pendingByteCount = try adapter.pendingByteCount()
                outcome.settleSeconds = Idleness.wait()
                outcome.peakResidentByteCount = ProcessCounters.peakResidentByteCount
                outcome.liveEntries = try WriteCheck(plan: plan).run(on: try adapter.makeSession(), engine: job.engine)
                facts = EngineFacts(adapter, job)
            }
            session = nil
            try adapter.close()
        }
        outcome.seconds = Double(nanoseconds) / 1e9
        outcome.latencies = recorder.histogram
        outcome.written = ProcessCounters.written - writtenBefore
        outcome.directoryByteCount = Folder.allocatedByteCount(job.databasePath)
        guard let facts else { return }
        measurement = Measurement(job: job, engine: facts, outcome: outcome)
    }
}
