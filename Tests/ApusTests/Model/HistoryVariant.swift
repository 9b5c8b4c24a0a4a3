// Sets of options under which one and the same log of operations must give one and the same history: from what users
// have to what nobody would ask for.

@testable import Apus

struct HistoryVariant: Sendable {
    var name: String
    /// Starts from the sizes of a small database, in which little happens but what is asked for.
    var tune: @Sendable (inout Tuning) -> Void = { _ in }
    var compression = Compression.lz4
    var filterBitsPerKey = 10
    var valueSeparationThreshold: Int?
    var compaction = CompactionStyle.leveled
    /// Percentage of steps after which a background job gets a turn.
    var backgroundPercentage = 40

    /// What a keyspace of this history has, whatever was drawn.
    func settle(_ options: inout KeyspaceOptions) {
        options.compression = compression
        options.filterBitsPerKey = filterBitsPerKey
        options.valueSeparationThreshold = valueSeparationThreshold
        options.timeToLive = nil
    }

    /// Makes a few hundred entries a database of several levels.
    private static func small(_ tuning: inout Tuning) {
        tuning.writeBufferByteCount = 2_048
        tuning.blockByteCount = 256
        tuning.levels.baseByteCount = 2_048
        tuning.levels.tableByteCount = 1_024
        tuning.levels.ratio = 3
        tuning.levels.levelZeroTrigger = 2
        tuning.levels.levelZeroPatience = 2
        tuning.levels.levelZeroPressure = 4
        tuning.logSegmentByteCount = 8_192
        tuning.logByteCount = 20_000
        tuning.manifestByteCount = 4_096
    }

    private static func small(
        _ name: String, background: Int = 40, _ tune: @escaping @Sendable (inout Tuning) -> Void = { _ in }
    ) -> HistoryVariant {
        HistoryVariant(
            name: name,
            tune: {
                small(&$0)
                tune(&$0)
            },
            backgroundPercentage: background
        )
    }

    private static func small(_ name: String, _ change: (inout HistoryVariant) -> Void) -> HistoryVariant {
        var variant = small(name)
        change(&variant)
        return variant
    }

    static let all: [HistoryVariant] = [
        HistoryVariant(name: "as users have it"),
        small("small"),
        small("no background work but what writers wait for", background: 0),
        small("background work after every step", background: 100),
        small("blocks of one entry") { $0.blockByteCount = 1 },
        small("blocks of 4 KiB") { $0.blockByteCount = 4_096 },
        small("memtables of one entry") { $0.writeBufferByteCount = 1 },
        small("memtables of 64 bytes, one of them sealed") {
            $0.writeBufferByteCount = 64
            $0.maximumSealedMemtables = 1
        },
        small("tables of one entry") { $0.levels.tableByteCount = 1 },
        small("levels that double, from one byte on") {
            $0.levels.ratio = 2
            $0.levels.baseByteCount = 1
        },
        small("every flush compacted") {
            $0.levels.levelZeroTrigger = 1
            $0.levels.levelZeroPatience = 1
            $0.levels.levelZeroPressure = 1
        },
        small("writers that always wait") {
            $0.levelZeroSlowdown = 1
            $0.levelZeroStop = 3
            $0.debtSlowdown = 1
            $0.debtStop = 2
        },
        small("three compactions at once") { $0.maximumCompactions = 3 },
        small("every tombstone is urgent") { $0.levels.deletionPercentage = 1 },
        small("a manifest written anew by every edit") { $0.manifestByteCount = 1 },
        small("log segments of 4 KiB, let go of at once") {
            $0.logSegmentByteCount = 4_096
            $0.logByteCount = 4_096
        },
        small("no compression") { $0.compression = .none },
        small("zstd everywhere") { $0.compression = .zstd },
        small("LZ4, then zstd") { $0.compression = .lz4ThenZstd },
        small("no filters") { $0.filterBitsPerKey = 0 },
        small("filters of 32 bits") { $0.filterBitsPerKey = 32 },
        small("every value in a blob file") { $0.valueSeparationThreshold = 1 },
        small("every value in a blob file when it is committed") {
            $0.tune = {
                small(&$0)
                $0.leastValueByteCount = 1
                $0.leastSyncedValuesByteCount = 1
                $0.valueFileByteCount = 1_000
            }
            $0.valueSeparationThreshold = 1
        },
        small("some values in blob files, zstd") {
            $0.valueSeparationThreshold = 16
            $0.compression = .zstd
        },
        small("first in, first out, without a limit") { $0.compaction = .fifo(maximumByteCount: 1 << 40) },
        small("everything absurd at once") {
            $0.tune = {
                small(&$0)
                $0.writeBufferByteCount = 1
                $0.blockByteCount = 1
                $0.levels.tableByteCount = 1
                $0.levels.baseByteCount = 1
                $0.levels.ratio = 2
                $0.levels.levelZeroTrigger = 1
                $0.levels.levelZeroPatience = 1
                $0.manifestByteCount = 1
                $0.logSegmentByteCount = 4_096
                $0.logByteCount = 4_096
                $0.maximumCompactions = 3
                $0.leastValueByteCount = 1
                $0.leastSyncedValuesByteCount = 1
                $0.valueFileByteCount = 1
            }
            $0.valueSeparationThreshold = 1
            $0.filterBitsPerKey = 1
            $0.backgroundPercentage = 90
        },
    ]
}
