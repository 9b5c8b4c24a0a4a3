// The one loop. Every engine runs exactly this code; it is generic over the session so that it is compiled once for
// each engine with the engine's calls in place (Engines/Engine.swift). What the operations are is in WriteOperations,
// ReadOperations and MixedOperations.

/// One thread's work. Used by one thread at a time: prepared by the main thread, run by its own, read by the main
/// thread after that has ended.
final class Worker<Session: EngineSession>: @unchecked Sendable {
    enum Role {
        /// Does its share of the operations, which are measured.
        case measured
        /// Overwrites random entries, so many a second, until the measured threads are done.
        case writer
    }

    let plan: Plan
    let session: Session
    let thread: Int
    let key = KeyBuffer()
    let role: Role
    private let countdown: Countdown
    private(set) var latencies = LatencyRecorder()
    var tally = Tally()
    private(set) var failure: (any Error)?
    private(set) var finishedAt: UInt64 = 0

    init(plan: Plan, session: Session, thread: Int, role: Role = .measured, countdown: Countdown = Countdown(1)) {
        self.plan = plan
        self.session = session
        self.thread = thread
        self.role = role
        self.countdown = countdown
    }

    func run() {
        var recorder = LatencyRecorder()
        do {
            switch role {
            case .measured: try run(plan.share(of: thread), &recorder)
            case .writer: try overwrite(until: countdown, &recorder)
            }
        } catch {
            failure = error
        }
        finishedAt = monotonicNanoseconds()
        if role == .measured { countdown.finishOne() }
        latencies = recorder
    }

    /// Fills the engine's caches: everything once in order, then a tenth of the workload itself if it changes nothing.
    func warmUp() throws {
        var recorder = LatencyRecorder()
        try scan(.forward, &recorder)
        if !plan.kind.writes, !plan.kind.isScan {
            try run(0..<plan.operations / 10, &recorder)
        }
        tally = Tally()
    }

    private func run(_ share: Range<Int>, _ latencies: inout LatencyRecorder) throws {
        switch plan.kind {
        case .fillseq: try put(share, &latencies) { index, _ in index }
        case .fillrandom, .fillsync, .fillsustained:
            try put(share, &latencies) { [order = plan.order] index, _ in order[index] }
        case .overwrite, .overwritesustained:
            try put(share, &latencies) { [entries = plan.entries] _, random in random.next(below: entries) }
        case .fillbatch: try putBatches(share, &latencies) { [order = plan.order] index in order[index] }
        case .bulkload: try loadInBulk(share, &latencies)
        case .deleterandom: try delete(share, &latencies)
        case .deleterange: try deleteRanges(share, &latencies)
        case .readrandom, .readwhilewriting:
            try get(share, &latencies) { [entries = plan.entries] random in random.next(below: entries) }
        case .readmissing: try getMissing(share, &latencies)
        case .readhot: try getHot(share, &latencies)
        case .multiget: try getMany(share, &latencies)
        case .seekrandom: try seek(share, &latencies)
        case .readseq: try scan(.forward, &latencies)
        case .readreverse: try scan(.backward, &latencies)
        case .ycsbA, .ycsbB, .ycsbC, .ycsbD, .ycsbE, .ycsbF: try runMix(share, &latencies)
        case .open, .recovery: throw BenchmarkError("\(plan.kind.rawValue) is not a loop over operations")
        }
    }
}
