// The one interface of everything that holds sorted entries: memtables, tables, levels, and merges of them.
//
// A class with stored current-entry fields, not a protocol: a merge compares the current entries of its sources
// without a dynamic call, and advancing costs one virtual call.

import ApusIO

/// A position in a sorted sequence of entries. One thread at a time; not `Sendable`.
///
/// Contract: a positioning call either throws, or leaves `isValid` true with `key`, `trailer` and `payload` set, or
/// false if there is no such entry. The views stay valid until the next positioning call or the cursor's end.
/// Range deletions are not entries here: sources carry them beside (see `RangeDeletions`).
class EntryCursor {
    final var isValid = false
    /// The user key of the current entry.
    final var key = UnsafeRawBufferPointer(start: nil, count: 0)
    final var trailer = Trailer(rawValue: 0)
    final var payload = UnsafeRawBufferPointer(start: nil, count: 0)

    func seekToFirst() throws(ApusError) { preconditionFailure("EntryCursor is abstract") }
    func seekToLast() throws(ApusError) { preconditionFailure("EntryCursor is abstract") }
    /// The first entry at or after (`key`, `trailer`).
    func seek(_ key: UnsafeRawBufferPointer, _ trailer: Trailer) throws(ApusError) {
        preconditionFailure("EntryCursor is abstract")
    }
    /// The last entry strictly before (`key`, `trailer`).
    func seekBefore(_ key: UnsafeRawBufferPointer, _ trailer: Trailer) throws(ApusError) {
        preconditionFailure("EntryCursor is abstract")
    }
    /// - Precondition: `isValid`.
    func next() throws(ApusError) { preconditionFailure("EntryCursor is abstract") }
    /// - Precondition: `isValid`.
    func previous() throws(ApusError) { preconditionFailure("EntryCursor is abstract") }
}

/// What a point lookup found in one source: the newest entry of the key that the reader may see. The view is valid
/// while the reader's epoch pin (or its hold on the source) lasts.
struct FoundEntry {
    var trailer: Trailer
    var payload: UnsafeRawBufferPointer
}
