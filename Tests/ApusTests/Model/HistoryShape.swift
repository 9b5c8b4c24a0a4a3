// The sizes of one history's engine and the options of its keyspaces: from ordinary to absurd, chosen by the seed.

@testable import Apus

extension TestRandom {
    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }
    mutating func between(_ low: Int, _ high: Int) -> Int { low + below(high - low + 1) }
}

struct HistoryShape {
    var options: Options
    /// Keys to draw from: few, so that histories meet.
    var keys: [[UInt8]]
    var largestValue: Int
    var hasTimes: Bool
    /// Percentage of operations after which a background job gets a turn.
    var backgroundPercentage: Int
    /// The set of options that this history is to have whatever the seed says.
    private(set) var variant: HistoryVariant?

    init(_ random: inout TestRandom) {
        var options = Options(memoryBudget: 1 << 20, durability: random.chance(50) ? .durable : .relaxed)
        options.syncInterval = .milliseconds(random.pick([1, 50, 1_000]))
        options.mergeOperators = [TailMergeOperator()]
        options.tuning = HistoryShape.tuning(&random)
        self.options = options
        keys = HistoryShape.keys(&random)
        largestValue = random.pick([10, 40, 40, 300])
        hasTimes = random.chance(50)
        backgroundPercentage = random.pick([0, 15, 40, 90])
    }

    /// Leaves nothing to the seed but the operations. What may differ from one set of options to the other goes: relaxed
    /// commits, keyspaces that drop their oldest tables or forget themselves, and expiry, because a throttled writer
    /// spends time.
    mutating func apply(_ variant: HistoryVariant) {
        self.variant = variant
        var tuning = Tuning(memoryBudget: 1 << 20)
        variant.tune(&tuning)
        options.tuning = tuning
        options.durability = .durable
        backgroundPercentage = variant.backgroundPercentage
        hasTimes = false
    }

    private static func tuning(_ random: inout TestRandom) -> Tuning {
        var tuning = Tuning(memoryBudget: 1 << 20)
        tuning.writeBufferByteCount = random.chance(6) ? 64 : random.pick([2_048, 3_000, 4_096, 8_192])
        tuning.maximumSealedMemtables = random.pick([1, 2, 4])
        tuning.blockByteCount = random.pick([1, 128, 256, 1_024, 4_096])
        tuning.levels.ratio = UInt64(random.pick([2, 3, 10]))
        tuning.levels.levelZeroTrigger = random.pick([1, 2, 4])
        tuning.levels.levelZeroPatience = tuning.levels.levelZeroTrigger + random.pick([0, 1])
        tuning.levels.levelZeroPressure = tuning.levels.levelZeroTrigger + random.pick([1, 4])
        tuning.levels.baseByteCount = UInt64(random.pick([1, 600, 2_048, 8_192]))
        tuning.levels.tableByteCount = UInt64(random.chance(6) ? 1 : random.pick([512, 1_024, 4_096]))
        tuning.levels.deletionPercentage = UInt64(random.pick([1, 25, 50]))
        tuning.levels.expiryPatience = UInt64(random.pick([1, 1_000, 100_000]))
        tuning.maximumCompactions = random.pick([1, 1, 3])
        tuning.leastWastedSeeks = random.pick([1, 20, 1_000])
        tuning.levelZeroSlowdown = tuning.levels.levelZeroTrigger + random.pick([2, 6])
        tuning.levelZeroStop = tuning.levelZeroSlowdown + random.pick([1, 6])
        tuning.debtSlowdown = UInt64(random.pick([512, 4_096, 1 << 30]))
        tuning.debtStop = tuning.debtSlowdown * 4
        tuning.logSegmentByteCount = UInt64(random.pick([4_096, 8_192, 16_384]))
        tuning.logByteCount = UInt64(random.pick([4_096, 20_000, 1 << 20]))
        tuning.manifestByteCount = UInt64(random.pick([512, 4_096, 16_384]))
        tuning.leastValueByteCount = random.pick([1, 20, 4_096])
        tuning.leastSyncedValuesByteCount = random.pick([1, 100, 4_096])
        tuning.valueFileByteCount = UInt64(random.pick([300, 4_096, 1 << 20]))
        tuning.checksVersions = random.chance(25) || tuning.checksVersions
        return tuning
    }

    private static func keys(_ random: inout TestRandom) -> [[UInt8]] {
        let alphabets: [[UInt8]] = [[0, 0x61, 0x62, 0xFF], [0x61, 0x62, 0x63, 0x64, 0x65], [0xFE, 0xFF]]
        let alphabet = random.pick(alphabets)
        let prefix = random.chance(30) ? random.bytes(random.pick([3, 7, 8, 40]), alphabet: alphabet) : []
        return (0..<random.pick([6, 25, 50])).map { _ in
            var key = random.chance(80) ? prefix : []
            key += random.bytes(random.between(1, 4), alphabet: alphabet)
            if random.chance(3) { key += [UInt8](repeating: 0x7A, count: random.pick([200, 700])) }
            return key
        }
    }

    /// Options for a new keyspace, and what its `merge` does.
    func keyspaceOptions(_ random: inout TestRandom) -> (KeyspaceOptions, ModelOperator?) {
        let mergeOperator = random.chance(75) ? random.pick(ModelOperator.allCases) : nil
        var options = KeyspaceOptions()
        options.mergeOperator = mergeOperator?.engineOperator
        options.isEphemeral = random.chance(12)
        if random.chance(15) {
            options.compaction =
                random.chance(50)
                ? .fifo(maximumByteCount: 1 << 40)
                : .fifo(
                    maximumByteCount: random.pick([1, 2_000, 10_000]), maximumAge: random.pick([nil, .seconds(50)]))
        }
        if let variant {
            options.isEphemeral = false
            options.compaction = variant.compaction
        }
        vary(&options, &random)
        return (options, mergeOperator)
    }

    /// Changes what may change during a keyspace's life.
    func vary(_ options: inout KeyspaceOptions, _ random: inout TestRandom) {
        options.compression = random.pick([.none, .lz4, .lz4ThenZstd, .zstd])
        options.filterBitsPerKey = random.pick([0, 1, 10, 32])
        options.valueSeparationThreshold = random.pick([nil, nil, 1, 8, 64])
        options.timeToLive = hasTimes && random.chance(30) ? .milliseconds(random.pick([1, 500, 20_000])) : nil
        variant?.settle(&options)
    }
}
