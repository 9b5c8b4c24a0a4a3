// The one interface of everything that holds sorted entries: memtables, tables, levels, and merges of them.
//
// A class with stored current-entry fields, not a protocol: a merge compares the current entries of its sources
// without a dynamic call, and advancing costs one virtual call. Exclusivity of its fields is not checked at run time:
// one thread uses a cursor, no call keeps a field open, and the checks cost more than the steps.

import ApusIO

/// A position in a sorted sequence of entries. One thread at a time; not `Sendable`.
///
/// Contract: a positioning call either throws, or leaves `isValid` true with `key`, `trailer` and `payload` set, or
/// false if there is no such entry. The views stay valid until the next positioning call or the cursor's end.
/// Range deletions are not entries here: sources carry them beside (see `RangeDeletions`).
class EntryCursor {
    @exclusivity(unchecked) final var isValid = false
    /// The user key of the current entry.
    @exclusivity(unchecked) final var key = UnsafeRawBufferPointer(start: nil, count: 0)
    @exclusivity(unchecked) final var trailer = Trailer(rawValue: 0)
    @exclusivity(unchecked) final var payload = UnsafeRawBufferPointer(start: nil, count: 0)
    /// No entry that the cursor's reader may see is newer. Set by the source that knows; a range deletion newer than
    /// this hides all that it covers here.
    @exclusivity(unchecked) final var newestSequence = SequenceNumber.max

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

    /// Stands nowhere from now on, and lets go of what it need not hold until it is positioned again.
    func rest() { isValid = false }

    /// As `next`, but entries before `end` that are older than `sequence` may be left out: a range deletion of that
    /// number covers everything from the current entry to `end`.
    func next(hiddenUntil end: UnsafeRawBufferPointer, below sequence: SequenceNumber) throws(ApusError) {
        if newestSequence < sequence { try seek(end, .first) } else { try next() }
    }
    /// As `previous`, but entries at or after `start` that are older than `sequence` may be left out.
    func previous(hiddenFrom start: UnsafeRawBufferPointer, below sequence: SequenceNumber) throws(ApusError) {
        if newestSequence < sequence { try seekBefore(start, .first) } else { try previous() }
    }
}

/// What a point lookup found in one source: the newest entry of the key that the reader may see. The view is valid
/// while the reader's epoch pin (or its hold on the source) lasts.
struct FoundEntry {
    var trailer: Trailer
    var payload: UnsafeRawBufferPointer
}
