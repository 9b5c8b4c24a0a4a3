// One engine, one workload, one repetition: the object of one line of the JSON file.

import Histogram

struct Measurement: Codable, Sendable {
    var engine: String
    var engineVersion: String
    var workload: String
    var repetition: Int
    var entries: Int
    var keyBytes: Int
    var valueBytes: Int
    var threads: Int
    var batchEntries: Int
    var durability: Durability
    var compression: String
    var memoryBudget: Int
    var seed: UInt64
    var settings: String
    var operations: Int
    var seconds: Double
    var opsPerSecond: Double
    var p50: Double
    var p99: Double
    var p999: Double
    var max: Double
    var cpuSeconds: Double
    /// From the last operation until nothing was left to do in the background.
    var settleSeconds: Double
    var writtenBytes: Int
    var dirtiedBytes: Int
    /// Nil for workloads that write nothing.
    var writeAmplification: Double?
    var directoryBytes: Int
    /// Nil when no entry is left.
    var spaceAmplification: Double?
    /// Nil where the system does not tell.
    var peakResidentBytes: Int?

    enum CodingKeys: String, CodingKey {
        case engine
        case engineVersion = "engine_version"
        case workload
        case repetition
        case entries
        case keyBytes = "key_bytes"
        case valueBytes = "value_bytes"
        case threads
        case batchEntries = "batch_entries"
        case durability
        case compression
        case memoryBudget = "memory_budget"
        case seed
        case settings
        case operations
        case seconds
        case opsPerSecond = "ops_per_second"
        case p50 = "p50_us"
        case p99 = "p99_us"
        case p999 = "p999_us"
        case max = "max_us"
        case cpuSeconds = "cpu_seconds"
        case settleSeconds = "settle_seconds"
        case writtenBytes = "written_bytes"
        case dirtiedBytes = "dirtied_bytes"
        case writeAmplification = "write_amplification"
        case directoryBytes = "directory_bytes"
        case spaceAmplification = "space_amplification"
        case peakResidentBytes = "peak_rss_bytes"
    }
}

extension Measurement {
    init(
        job: Job,
        engineVersion: String,
        compression: String,
        settings: String,
        operations: Int,
        seconds: Double,
        latencies: Histogram<UInt32>,
        cpuSeconds: Double,
        settleSeconds: Double,
        written: ProcessCounters.Written,
        directoryByteCount: Int,
        liveEntries: Int,
        peakResidentByteCount: Int?
    ) {
        let kind = job.workload.kind
        func microseconds(_ percentile: Double) -> Double {
            Double(latencies.valueAtPercentile(percentile)) / 1_000
        }
        engine = job.engine.rawValue
        self.engineVersion = engineVersion
        workload = job.workload.description
        repetition = job.repetition
        entries = job.entries
        keyBytes = KeyBuffer.byteCount
        valueBytes = job.valueByteCount
        threads = job.threads
        batchEntries = kind == .fillbatch ? WorkloadKind.batchEntryCount : 1
        durability = kind.durability
        self.compression = compression
        memoryBudget = job.memoryBudget
        seed = job.seed
        self.settings = settings
        self.operations = operations
        self.seconds = seconds
        opsPerSecond = Double(operations) / seconds
        p50 = microseconds(50)
        p99 = microseconds(99)
        p999 = microseconds(99.9)
        max = microseconds(100)
        self.cpuSeconds = cpuSeconds
        self.settleSeconds = settleSeconds
        writtenBytes = written.byCalls
        dirtiedBytes = written.toPages
        // The kernel has two views, and each misses something (see ProcessCounters.Written): the larger one counts.
        let userBytes = operations * (keyBytes + (kind == .deleterandom ? 0 : valueBytes))
        writeAmplification = kind.writes ? Double(Swift.max(writtenBytes, dirtiedBytes)) / Double(userBytes) : nil
        directoryBytes = directoryByteCount
        let liveBytes = liveEntries * (keyBytes + valueBytes)
        spaceAmplification = liveBytes > 0 ? Double(directoryByteCount) / Double(liveBytes) : nil
        peakResidentBytes = peakResidentByteCount
    }

    /// Every field is there on every line: what is unknown is null.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(engine, forKey: .engine)
        try container.encode(engineVersion, forKey: .engineVersion)
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
        try container.encode(seed, forKey: .seed)
        try container.encode(settings, forKey: .settings)
        try container.encode(operations, forKey: .operations)
        try container.encode(seconds, forKey: .seconds)
        try container.encode(opsPerSecond, forKey: .opsPerSecond)
        try container.encode(p50, forKey: .p50)
        try container.encode(p99, forKey: .p99)
        try container.encode(p999, forKey: .p999)
        try container.encode(max, forKey: .max)
        try container.encode(cpuSeconds, forKey: .cpuSeconds)
        try container.encode(settleSeconds, forKey: .settleSeconds)
        try container.encode(writtenBytes, forKey: .writtenBytes)
        try container.encode(dirtiedBytes, forKey: .dirtiedBytes)
        try container.encode(writeAmplification, forKey: .writeAmplification)
        try container.encode(directoryBytes, forKey: .directoryBytes)
        try container.encode(spaceAmplification, forKey: .spaceAmplification)
        try container.encode(peakResidentBytes, forKey: .peakResidentBytes)
    }
}
