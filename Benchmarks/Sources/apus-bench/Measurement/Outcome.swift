// What a run found out, before it becomes a measurement.

import Histogram

struct Outcome {
    var tally = Tally()
    /// Of a thread that works beside those that are measured.
    var backgroundOperations = 0
    var seconds = 0.0
    var latencies = LatencyRecorder().histogram
    var cpuSeconds = 0.0
    /// From the last operation until nothing was left to do in the background.
    var settleSeconds = 0.0
    /// From the first operation until the database was closed.
    var written = ProcessCounters.Written()
    /// The part of it after the last operation.
    var settleWritten = ProcessCounters.Written()
    /// The engine's own figure at the last operation.
    var pendingByteCount: Int?
    var directoryByteCount = 0
    var liveEntries = 0
    var peakResidentByteCount: Int?
}

/// What is known of the engine itself.
struct EngineFacts {
    var version: String
    var build: String?
    var compression: String
    var settings: String
    /// How a bulk load was done; nil for other workloads.
    var method: String?

    init<Adapter: EngineAdapter>(_ adapter: Adapter, _ job: Job) {
        version = adapter.version
        build = Adapter.build?.description
        compression = Adapter.compression
        settings = Adapter.describe(job.settings)
        method = job.workload.kind == .bulkload ? Adapter.bulkLoadMethod : nil
    }
}
