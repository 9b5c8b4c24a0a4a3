// What a reader of one keyspace looks at: its memtables and its version, pinned together. Immutable; replaced as a
// whole when a memtable is sealed, a flush or a compaction ends. Point lookups reach it through an epoch pin without
// touching a reference count; cursors and snapshots hold it strongly.

import ApusIO

/// The memtables and tables of a keyspace at one moment.
///
/// Invariant of the unsafe parts: `memtablePointers` holds `memtableCount` unretained references to the elements of
/// `memtables`, which this object keeps alive; both are immutable after `init`.
final class ReadView: @unchecked Sendable {
    /// Newest first; the first is the active one, unless the keyspace is being dropped.
    let memtables: [Memtable]
    let version: Version
    let levels: LevelIndexes
    /// Keeps blob files that the version refers to.
    private let blobFiles: [ObsoleteFiles.Lease]

    private let memtablePointers: UnsafeMutablePointer<Unmanaged<Memtable>>
    private let memtableCount: Int

    /// - Parameter previous: the view this one replaces; its level indexes are reused if the version is the same.
    init(memtables: [Memtable], version: Version, blobFiles: [ObsoleteFiles.Lease], previous: ReadView?) {
        self.memtables = memtables
        self.version = version
        self.blobFiles = blobFiles
        if let previous, previous.version === version {
            levels = previous.levels
        } else {
            levels = LevelIndexes(version)
        }
        memtableCount = memtables.count
        memtablePointers = .allocate(capacity: Swift.max(1, memtables.count))
        for (index, memtable) in memtables.enumerated() {
            memtablePointers.advanced(by: index).initialize(to: Unmanaged.passUnretained(memtable))
        }
    }

    deinit {
        memtablePointers.deallocate()
    }

    /// Calls `body` with each memtable, newest first, until it returns true; without reference counting.
    @inline(__always)
    func anyMemtable(_ body: (Memtable) throws(ApusError) -> Bool) throws(ApusError) -> Bool {
        var index = 0
        while index < memtableCount {
            if try memtablePointers[index].withBorrowed(body) { return true }
            index &+= 1
        }
        return false
    }
}
