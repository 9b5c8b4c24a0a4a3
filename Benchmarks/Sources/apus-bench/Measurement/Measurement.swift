// One engine, one workload, one repetition: the object of one line of the JSON file.

import Histogram

struct Measurement: Codable, Sendable {
    var engine: String
    var engineVersion: String
    /// How its library was compiled; nil if it was built together with this tool.
    var engineBuild: String?
    var workload: String
    var repetition: Int
    /// As asked for: fillsync puts fewer, fillsustained more.
    var entries: Int
    var keyBytes: Int
    var valueBytes: Int
    var threads: Int
    var batchEntries: Int
    var durability: Durability
    var compression: String
    /// What the engine was given; `recovery` gives more than was asked for.
    var memoryBudget: Int
    /// What was asked for.
    var askedMemoryBudget: Int
    /// The page cache was dropped before, and nothing was warmed up.
    var isCold: Bool
    /// Of the database's pages, the share that dropping left in memory.
    var coldResidentShare: Double?
    var seed: UInt64
    var settings: String
    /// How a bulk load was done.
    var method: String?
    var operations: Int
    /// Of the writer beside the readers in readwhilewriting.
    var backgroundOperations: Int
    var seconds: Double
    var opsPerSecond: Double
    var p50: Double
    var p99: Double
    var p999: Double
    var max: Double
    var cpuSeconds: Double
    /// From the last operation until nothing was left to do in the background.
    var settleSeconds: Double
    /// Bytes written meanwhile.
    var settleWrittenBytes: Int
    /// What the engine itself says is still to be flushed or compacted at the last operation; nil if it does not tell.
    var pendingBytes: Int?
    var writtenBytes: Int
    var dirtiedBytes: Int
    /// Nil for workloads that write nothing.
    var writeAmplification: Double?
    var directoryBytes: Int
    /// Nil when no entry is left.
    var spaceAmplification: Double?
    /// Nil where the system does not tell.
    var peakResidentBytes: Int?
    var machine: Machine?

    enum CodingKeys: String, CodingKey {
        case engine
        case engineVersion = "engine_version"
        case engineBuild = "engine_build"
        case workload
        case repetition
        case entries
        case keyBytes = "key_bytes"
        case valueBytes = "value_bytes"
        case threads
        case batchEntries = "batch_entries"
        case durability
        case compression
        case memoryBudget = "engine_memory_budget"
        case askedMemoryBudget = "memory_budget"
        case isCold = "cold"
        case coldResidentShare = "cold_resident_share"
        case seed
        case settings
        case method
        case operations
        case backgroundOperations = "background_operations"
        case seconds
        case opsPerSecond = "ops_per_second"
        case p50 = "p50_us"
        case p99 = "p99_us"
        case p999 = "p999_us"
        case max = "max_us"
        case cpuSeconds = "cpu_seconds"
        case settleSeconds = "settle_seconds"
        case settleWrittenBytes = "settle_written_bytes"
        case pendingBytes = "pending_bytes"
        case writtenBytes = "written_bytes"
        case dirtiedBytes = "dirtied_bytes"
        case writeAmplification = "write_amplification"
        case directoryBytes = "directory_bytes"
        case spaceAmplification = "space_amplification"
        case peakResidentBytes = "peak_rss_bytes"
        case machine
    }
}

extension Measurement {
    init(job: Job, engine facts: EngineFacts, outcome: Outcome) {
        let kind = job.workload.kind
        func microseconds(_ percentile: Double) -> Double {
            Double(outcome.latencies.valueAtPercentile(percentile)) / 1_000
        }
        engine = job.engine.rawValue
        engineVersion = facts.version
        engineBuild = facts.build
        workload = job.workload.description
        repetition = job.repetition
        entries = job.entries
        keyBytes = KeyBuffer.byteCount
        valueBytes = job.valueByteCount
        threads = job.threads
        batchEntries = kind.entriesPerStep
        durability = kind.durability
        compression = facts.compression
        memoryBudget = job.settings.memoryBudget
        askedMemoryBudget = job.memoryBudget
        isCold = job.isCold
        coldResidentShare = job.residentShare
        seed = job.seed
        settings = facts.settings
        method = facts.method
        operations = outcome.tally.operations
        backgroundOperations = outcome.backgroundOperations
        seconds = outcome.seconds
        opsPerSecond = Double(operations) / seconds
        p50 = microseconds(50)
        p99 = microseconds(99)
        p999 = microseconds(99.9)
        max = microseconds(100)
        cpuSeconds = outcome.cpuSeconds
        settleSeconds = outcome.settleSeconds
        settleWrittenBytes = outcome.settleWritten.total
        pendingBytes = outcome.pendingByteCount
        writtenBytes = outcome.written.byCalls
        dirtiedBytes = outcome.written.toPages
        let userBytes = outcome.tally.userByteCount
        writeAmplification = userBytes > 0 ? Double(outcome.written.total) / Double(userBytes) : nil
        directoryBytes = outcome.directoryByteCount
        let liveBytes = outcome.liveEntries * (keyBytes + valueBytes)
        spaceAmplification = liveBytes > 0 ? Double(directoryBytes) / Double(liveBytes) : nil
        peakResidentBytes = outcome.peakResidentByteCount
        machine = job.machine
    }

    var peakResidentMiB: Double? { peakResidentBytes.map { Double($0) / Double(1 << 20) } }

    /// Every field is there on every line: what is unknown is null.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(engine, forKey: .engine)
        try container.encode(engineVersion, forKey: .engineVersion)
        try container.encode(engineBuild, forKey: .engineBuild)
        try container.encode(workload, forKey: .workload)
        try container.encode(repetition, forKey: .repetition)
        try container.encode(entries, forKey: .entries)
        try container.encode(keyBytes, forKey: .keyBytes)
        try container.encode(valueBytes, forKey: .valueBytes)
        try container.encode(threads, forKey: .threads)
        try container.encode(batchEntries, forKey: .batchEntries)
        try container.encode(durability, forKey: .durability)
        try container.encode(compression, forKey: .compression)
        try container.encode(memoryBudget, forKey: .memoryBudget)
        try container.encode(askedMemoryBudget, forKey: .askedMemoryBudget)
        try container.encode(isCold, forKey: .isCold)
        try container.encode(coldResidentShare, forKey: .coldResidentShare)
        try container.encode(seed, forKey: .seed)
        try container.encode(settings, forKey: .settings)
        try container.encode(method, forKey: .method)
        try container.encode(operations, forKey: .operations)
        try container.encode(backgroundOperations, forKey: .backgroundOperations)
        try container.encode(seconds, forKey: .seconds)
        try container.encode(opsPerSecond, forKey: .opsPerSecond)
        try container.encode(p50, forKey: .p50)
        try container.encode(p99, forKey: .p99)
        try container.encode(p999, forKey: .p999)
        try container.encode(max, forKey: .max)
        try container.encode(cpuSeconds, forKey: .cpuSeconds)
        try container.encode(settleSeconds, forKey: .settleSeconds)
        try container.encode(settleWrittenBytes, forKey: .settleWrittenBytes)
        try container.encode(pendingBytes, forKey: .pendingBytes)
        try container.encode(writtenBytes, forKey: .writtenBytes)
        try container.encode(dirtiedBytes, forKey: .dirtiedBytes)
        try container.encode(writeAmplification, forKey: .writeAmplification)
        try container.encode(directoryBytes, forKey: .directoryBytes)
        try container.encode(spaceAmplification, forKey: .spaceAmplification)
        try container.encode(peakResidentBytes, forKey: .peakResidentBytes)
        try container.encode(machine, forKey: .machine)
    }
}
