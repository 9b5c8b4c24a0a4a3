// Which keyspaces there are and what each is made of: the part of the engine's state that changes when memtables are
// sealed, flushes and compactions end, keyspaces come and go. Guarded by `Engine.structure`.

import ApusIO
import Synchronization

struct Structure {
    var trees: [UInt32: TreeState] = [:]
    var nextKeyspaceID: UInt32 = 1
    var snapshots = SnapshotList()
    /// Background jobs that have been scheduled or are running.
    var flushJobs = 0
    var compactionJobs = 0
    /// Set while the device is full or background work fails for another passing reason: it waits, and writers get the
    /// error instead of a stall.
    var pauseError: ApusError?
    var isClosing = false
    /// Number of the last `compact(range)`.
    var lastRequestID: UInt64 = 0

    /// The keyspaces in the order of their ids. A dictionary's own order is another one in every instance, and nothing
    /// that reaches the disk may depend on it: a seed has to repeat its history.
    var orderedTrees: [TreeState] { trees.values.sorted { $0.tree.id < $1.tree.id } }

    func tree(named name: String) -> TreeState? {
        trees.values.first { $0.tree.name == name }
    }
}

struct TreeState {
    let tree: Tree
    /// Newest first; the first is active, the others are sealed.
    var memtables: [Memtable]
    var version: Version
    /// Keeps the blob files of `version` until no reader needs them.
    var blobFiles: [FileNumber: ObsoleteFiles.Lease] = [:]
    var isFlushing = false
    /// What running compactions occupy.
    var running: [CompactionFootprint] = []
    /// Requests of `compact(range)` that are not done yet.
    var manualCompactions: [UInt64: ManualCompaction] = [:]
    /// What cursors or a pause of writes have asked for, when nothing else is due.
    var optionalCompaction: ManualCompaction?
    /// Compaction of this tree stopped because one of its files is damaged.
    var compactionError: ApusError?

    var sealed: ArraySlice<Memtable> { memtables.dropFirst() }

    /// What compaction decides by.
    var summary: TreeSummary {
        TreeSummary(levels: version.levels.map { $0.map(\.metadata) }, blobFiles: version.blobFiles)
    }

    /// Which keyspace compaction serves first: requests, then pressure, then level-0 tables.
    var urgency: Int {
        (manualCompactions.isEmpty ? 0 : 1 << 24) + Int(tree.pressure.load(ordering: .relaxed)) << 12
            + version.levels[0].count
    }

    /// Publishes the current memtables and version to readers.
    func publish() {
        tree.replaceView(memtables: memtables, version: version, blobFiles: Array(blobFiles.values))
    }
}
