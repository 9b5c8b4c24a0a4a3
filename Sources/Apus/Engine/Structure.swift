// Which keyspaces there are and what each is made of: the part of the engine's state that changes when memtables are
// sealed, flushes and compactions end, keyspaces come and go. Guarded by `Engine.structure`.

import ApusIO

struct Structure {
    var trees: [UInt32: TreeState] = [:]
    var snapshots = SnapshotList()
    /// Background jobs that have been scheduled or are running.
    var flushJobs = 0
    var compactionJobs = 0
    /// Set while the device is full: background work waits, writers get an error instead of a stall.
    var spaceError: ApusError?
    var isClosing = false

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
    /// Tables that a running compaction reads.
    var busy: Set<FileNumber> = []
    /// Ranges that `compact(range)` still has to bring down.
    var manualCompactions: [ManualCompaction] = []
    /// Compaction of this tree stopped because one of its files is damaged.
    var compactionError: ApusError?

    var sealed: ArraySlice<Memtable> { memtables.dropFirst() }

    /// Publishes the current memtables and version to readers.
    func publish() {
        tree.replaceView(memtables: memtables, version: version, blobFiles: Array(blobFiles.values))
    }
}

/// A `compact(range)` in progress.
struct ManualCompaction {
    let id: UInt64
    /// Inclusive; nil = from the first key.
    let lower: [UInt8]?
    /// Exclusive; nil = to the last key.
    let upper: [UInt8]?
}
