// The newest entries of a keyspace, sorted, in memory: where every commit goes after the log, and where every read
// looks first. When full it is sealed, written to a table, and dropped.

import ApusIO
import Synchronization

/// A sorted set of entries that grows while it is read.
///
/// One thread at a time inserts (the leader of a commit); any number of threads read beside it, without locks. What
/// an insert added is visible to readers that start after the inserting thread has published its sequence number.
///
/// Why `@unchecked Sendable` is true: `writer` is used by inserting calls only, which the caller serialises; readers
/// go through `list`, whose shared words are atomic; figures and range deletions are atomic too.
final class Memtable: @unchecked Sendable {
    /// Bytes of entries, nodes and range deletions that fit.
    let capacity: Int
    let list: SkipList

    private let pool: ArenaPool?
    private let arena: Arena
    private let writer: SkipListWriter

    /// The published `RangeDeletions`, retained by `rangeDeletionSets`.
    private let currentRangeDeletions = Atomic<UnsafeRawPointer?>(nil)
    /// Every set ever published: a reader may still look at an old one. Writer only.
    @exclusivity(unchecked) private var rangeDeletionSets: [RangeDeletions] = []

    /// Takes large values as they are committed; nil while there are none. Set by the commit leader while the memtable is
    /// active, read by it, and by the flush afterwards.
    @exclusivity(unchecked) var valueFile: ValueFile?

    private let entryTotal = Atomic<Int>(0)
    private let entryByteTotal = Atomic<Int>(0)
    private let rawByteTotal = Atomic<Int>(0)
    private let deletionTotal = Atomic<Int>(0)
    private let rangeDeletionTotal = Atomic<Int>(0)
    private let rangeDeletionByteTotal = Atomic<Int>(0)
    private let usedTotal = Atomic<Int>(0)
    private let first = Atomic<UInt64>(0)
    private let last = Atomic<UInt64>(0)
    private let expiry = Atomic<UInt64>(0)

    /// - Parameter capacity: address space to reserve; memory is taken as it fills up.
    init(capacity: Int, pool: ArenaPool?) {
        self.pool = pool
        let byteCount = max(capacity, Memtable.capacity(forEntries: 1, byteCount: 0))
        let memory = pool?.take(byteCount: byteCount) ?? ArenaPool.map(byteCount: byteCount)
        self.capacity = byteCount
        arena = Arena(memory: memory)
        writer = SkipListWriter(arena: arena)
        list = writer.list
        usedTotal.store(arena.used, ordering: .relaxed)
    }

    deinit {
        pool?.giveBack(arena.memory)
    }

    // MARK: - Writing: one thread at a time

    /// A capacity that has room for so many entries, of so many bytes of keys and payloads, in an empty memtable.
    static func capacity(forEntries count: Int, byteCount: Int) -> Int {
        byteCount + count * (ArenaEntry.headerByteCount + 7 + SkipListWriter.averageByteCount) + fixedByteCount
    }
    /// The root word, the first entry and node, and the nodes that a level may be ahead of its average.
    private static let fixedByteCount = 8192

    /// True if so many more entries, of so many bytes of keys and payloads, fit whatever they are.
    func hasRoom(forEntries count: Int, byteCount: Int) -> Bool {
        let needed = byteCount + count * (ArenaEntry.headerByteCount + 7)
        let deletions = rangeDeletionByteTotal.load(ordering: .relaxed)
        // Two bounds hold; the first is closer for small batches, the second for large ones.
        let worst = count * (writer.height + 2) * SkipListWriter.worstByteCountPerLevel
        if arena.used + deletions + needed + worst <= capacity { return true }
        let entries = entryTotal.load(ordering: .relaxed) + count
        return entryByteTotal.load(ordering: .relaxed) + deletions + needed
            + entries * SkipListWriter.averageByteCount + Memtable.fixedByteCount <= capacity
    }

    /// Adds an entry of any kind but `rangeDeletion`.
    /// - Precondition: `hasRoom` was true for it, and no entry has the same key and trailer.
    func insert(_ key: UnsafeRawBufferPointer, _ trailer: Trailer, _ payload: UnsafeRawBufferPointer) {
        let byteCount = writer.insert(key, trailer, payload)
        add(1, to: entryTotal)
        add(byteCount, to: entryByteTotal)
        add(key.count &+ payload.count, to: rawByteTotal)
        usedTotal.store(arena.used, ordering: .relaxed)
        note(trailer.sequence)
        switch trailer.kind {
        case .deletion: add(1, to: deletionTotal)
        case .expiringValue, .expiringSeparatedValue: noteExpiry(payload.littleEndian(at: 0))
        case .mergeOperand: noteExpiry(payload.littleEndian(at: 8))
        case .value, .separatedValue, .rangeDeletion, nil: break
        }
    }

    /// Adds a range deletion. O(log² n) amortised.
    func insertRangeDeletion(
        start: UnsafeRawBufferPointer,
        end: UnsafeRawBufferPointer,
        _ sequence: SequenceNumber
    ) {
        let deletion = RangeDeletion(start: Array(start), end: Array(end), sequence: sequence)
        let set = (rangeDeletionSets.last ?? RangeDeletions([])).adding(deletion)
        rangeDeletionSets.append(set)
        currentRangeDeletions.store(Unmanaged.passUnretained(set).toOpaque(), ordering: .releasing)
        add(1, to: rangeDeletionTotal)
        add(set.addedByteCount, to: rangeDeletionByteTotal)
        add(start.count + end.count, to: rawByteTotal)
        note(sequence)
    }

    @inline(__always)
    private func add(_ amount: Int, to total: borrowing Atomic<Int>) {
        // One writer: no read-modify-write instruction needed.
        total.store(total.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    @inline(__always)
    private func note(_ sequence: SequenceNumber) {
        if first.load(ordering: .relaxed) == 0 { first.store(sequence.rawValue, ordering: .relaxed) }
        last.store(sequence.rawValue, ordering: .relaxed)
    }

    private func noteExpiry(_ time: UInt64) {
        guard time != 0 else { return }
        let earliest = expiry.load(ordering: .relaxed)
        if earliest == 0 || time < earliest { expiry.store(time, ordering: .relaxed) }
    }

    // MARK: - Reading: any thread

    /// The newest entry of `key` with a trailer of at most `seek`. Allocates nothing. The view lives as long as the
    /// memtable. Range deletions are not considered.
    @inline(__always)
    func find(_ key: UnsafeRawBufferPointer, _ seek: Trailer) -> FoundEntry? {
        guard let entry = list.find(key, seek) else { return nil }
        return FoundEntry(trailer: entry.trailer, payload: entry.payload)
    }

    /// For a reader whose sequence number is already fixed: what is inserted later is none of its business.
    func makeCursor() -> EntryCursor { MemtableCursor(self) }

    /// The range deletions so far; nil while there are none. Retains the set: see `newestRangeDeletion`.
    var rangeDeletions: RangeDeletions? {
        guard let current = currentRangeDeletions.load(ordering: .acquiring) else { return nil }
        return Unmanaged<RangeDeletions>.fromOpaque(current).takeUnretainedValue()
    }

    /// The newest range deletion that covers `key` and is not newer than `limit`; zero if there is none. For point
    /// look-ups: touches no reference count, and costs one load while there are no range deletions.
    @inline(__always)
    func newestRangeDeletion(
        covering key: UnsafeRawBufferPointer,
        atMost limit: SequenceNumber
    ) -> SequenceNumber {
        guard let current = currentRangeDeletions.load(ordering: .acquiring) else { return .zero }
        return Unmanaged<RangeDeletions>.fromOpaque(current)._withUnsafeGuaranteedRef {
            $0.newestSequence(covering: key, atMost: limit)
        }
    }

    /// Entries, without range deletions.
    var entryCount: Int { entryTotal.load(ordering: .relaxed) }
    var rangeDeletionCount: Int { rangeDeletionTotal.load(ordering: .relaxed) }
    var deletionCount: Int { deletionTotal.load(ordering: .relaxed) }
    var isEmpty: Bool { entryCount == 0 && rangeDeletionCount == 0 }
    /// False if nothing up to `sequence`, a number that was visible before the call, is here or will ever be.
    func mayHold(upTo sequence: SequenceNumber) -> Bool {
        let first = first.load(ordering: .relaxed)
        return first != 0 && first <= sequence.rawValue
    }
    /// Memory in use.
    var byteCount: Int {
        usedTotal.load(ordering: .relaxed) + rangeDeletionByteTotal.load(ordering: .relaxed)
    }
    /// Bytes of keys and payloads.
    var rawByteCount: Int { rawByteTotal.load(ordering: .relaxed) }
    /// Zero while the memtable is empty.
    var firstSequence: SequenceNumber { SequenceNumber(first.load(ordering: .relaxed)) }
    /// Zero while the memtable is empty.
    var lastSequence: SequenceNumber { SequenceNumber(last.load(ordering: .relaxed)) }
    /// The earliest expiry of any entry, 0 if none expires.
    var earliestExpiry: UInt64 { expiry.load(ordering: .relaxed) }
}
