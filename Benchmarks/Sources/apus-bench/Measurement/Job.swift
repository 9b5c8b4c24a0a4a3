// What the parent process tells a child to do. Every measurement has a process of its own, so that peak memory, CPU
// time and bytes written belong to one engine and one workload.

import FoundationEssentials
import Glibc

struct Job: Codable, Sendable {
    enum Purpose: String, Codable {
        /// Fill a data set for workloads that start with a full database.
        case prepare
        /// Fill a database and be killed.
        case crash
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
    var isCold: Bool
    /// Of the database's pages, the share that dropping left in memory. Nil unless cold.
    var residentShare: Double?
    /// After so many seconds the child is ended: an engine may wait for ever.
    var timeLimit: Int
    var machine: Machine
    var databasePath: String
    var resultPath: String

    /// `recovery` gives every engine so much memory that none needs to empty its log.
    static let recoveryMemoryBudget = 1 << 30

    var plan: Plan {
        Plan(
            kind: workload.kind,
            entries: entries,
            threads: threads,
            valueByteCount: valueByteCount,
            seed: seed,
            isCold: isCold
        )
    }

    var settings: EngineSettings {
        let kind = workload.kind
        let isRecovery = kind == .recovery && purpose != .prepare
        return EngineSettings(
            memoryBudget: isRecovery ? Self.recoveryMemoryBudget : memoryBudget,
            durability: purpose == .prepare ? .relaxed : kind.durability,
            entries: kind.databaseEntryCount(of: entries, valueByteCount: valueByteCount),
            valueByteCount: valueByteCount,
            threads: kind == .readwhilewriting ? threads + 1 : threads,
            keepsLog: isRecovery
        )
    }

    /// In the child.
    func perform() throws {
        alarm(UInt32(timeLimit))
        switch purpose {
        case .prepare:
            try engine.withAdapter(Preparation(job: self))
        case .crash:
            try engine.withAdapter(Crash(job: self))
        case .measure where workload.kind.opens:
            let run = OpeningRun(job: self)
            try engine.withAdapter(run)
            try write(run.measurement)
        case .measure:
            let run = MeasuredRun(job: self)
            try engine.withAdapter(run)
            try write(run.measurement)
        }
    }

    private func write(_ measurement: Measurement?) throws {
        guard let measurement else { throw BenchmarkError("nothing was measured") }
        try JSONEncoder().encode(measurement).write(to: URL(filePath: resultPath))
    }
}
