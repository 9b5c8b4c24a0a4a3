// The cursors over the tables of one version, kept from one short-lived cursor to the next: an application that seeks,
// reads a few entries and drops the cursor would otherwise spend half of its time making and freeing them.

import ApusIO
import Synchronization

/// One cursor for each sorted run of a version's tables, newest first, for its whole range of keys.
final class TableSources {
    let cursors: [EntryCursor]

    /// - Precondition: no table has range deletions; they belong to a reader, not to its sources.
    init(_ version: Version) {
        var cursors: [EntryCursor] = []
        for table in version.levels[0] { cursors.append(table.makeCursor(fillCache: true, readahead: true)) }
        for level in 1..<version.levels.count where !version.levels[level].isEmpty {
            cursors.append(LevelCursor(version.levels[level], fillCache: true))
        }
        self.cursors = cursors
    }

    /// Lets go of blocks and buffers; the cursors stand nowhere.
    func rest() {
        for cursor in cursors { cursor.rest() }
    }
}

/// Room for the sources that nobody uses at the moment: one set, since a thread needs no more at a time.
///
/// Invariant of the unsafe part: `spare` is a retained `TableSources` or nil, and whoever takes it out owns it.
final class SpareTableSources: @unchecked Sendable {
    private let spare = Atomic<UnsafeRawPointer?>(nil)

    deinit { _ = take() }

    func take() -> TableSources? {
        guard let taken = spare.exchange(nil, ordering: .acquiringAndReleasing) else { return nil }
        return Unmanaged<TableSources>.fromOpaque(taken).takeRetainedValue()
    }

    /// - Precondition: nobody uses `sources` any more.
    func giveBack(_ sources: TableSources) {
        sources.rest()
        let own = UnsafeRawPointer(Unmanaged.passRetained(sources).toOpaque())
        guard let other = spare.exchange(own, ordering: .acquiringAndReleasing) else { return }
        Unmanaged<TableSources>.fromOpaque(other).release()
    }
}
