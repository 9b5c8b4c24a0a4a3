// What the engine gives a flush or compaction: settings of the keyspace, what readers still need, where files go.

import ApusIO
import Synchronization

extension Engine {
    /// How long after its expiry an entry of a keyspace with a merge operator stays: longer than a commit takes from
    /// its time stamp to its memtable, because an operand on its way may still build on the entry.
    private static let mergeGrace: UInt64 = 10_000

    func compactionInput(
        _ tree: Tree, sources: [EntryCursor], rangeDeletions: [RangeDeletions], targetLevel: Int,
        elision: TombstoneElision
    ) -> CompactionInput {
        let settings = tree.settings
        let retention = retention()
        let mergeOperator = tree.mergeOperator
        let mayHoldOperands = mergeOperator != nil || !settings.mergeOperatorName.isEmpty
        let isLast = targetLevel == tuning.levels.lastLevel
        return CompactionInput(
            sources: sources, rangeDeletions: rangeDeletions, targetLevel: targetLevel, snapshots: retention.snapshots,
            expiryHorizon: mayHoldOperands
                ? retention.expiryHorizon - Swift.min(retention.expiryHorizon, Self.mergeGrace)
                : retention.expiryHorizon,
            elision: elision, policy: levelPolicy(settings), mergeOperator: mergeOperator,
            mayHoldOperands: mayHoldOperands,
            tableOptions: TableWriterOptions(
                blockByteCount: tuning.blockByteCount, codec: isLast ? settings.bottomCodec : settings.codec,
                filterBitsPerKey: Int(settings.filterBitsPerKey), keyspace: tree.id),
            createdAt: retention.now, blobs: blobs,
            separationThreshold: settings.separationThreshold == 0 ? nil : Int(settings.separationThreshold))
    }

    /// - Parameter cancellable: compactions end early when the database closes; flushes do not.
    func compactionEnvironment(cancellable: Bool) -> CompactionEnvironment {
        let directory = directory
        let numbers = nextFileNumber
        return CompactionEnvironment(
            fileSystem: environment.fileSystem, nextFileNumber: { numbers.take() },
            path: { $0.path(in: directory) },
            isCancelled: { [link] in
                cancellable && link.engine?.isClosing.load(ordering: .relaxed) != false
            })
    }
}
