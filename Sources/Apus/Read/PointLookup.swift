// One key, newest source first: memtables, then level 0, then one table a level; the first source that knows the key
// or has deleted its range ends the search, unless it only holds merge operands.
//
// The caller holds an epoch pin on the view's domain. Nothing is allocated and no reference count is touched unless
// merge operands have to be folded.

import ApusIO

/// The state of one key as a reader sees it. Views are valid while the reader's pin lasts.
enum Resolution {
    case absent
    case value(UnsafeRawBufferPointer, expiresAt: UInt64)
    case separated(BlobReference, expiresAt: UInt64)
    case merged([UInt8], expiresAt: UInt64)
}

/// Looks one key up in one view.
///
/// Invariant of the unsafe part: whoever makes one holds `tree` for as long.
struct PointLookup {
    unowned(unsafe) let tree: Tree
    let key: UnsafeRawBufferPointer
    let snapshot: SequenceNumber
    private let hash: UInt64
    private let located: LocatedBlock?
    private var chain: MergeChain?
    private var outcome = Resolution.absent

    /// - Parameter located: where the key has been found to lie in one of the tables, so that it is not looked for again.
    @inline(__always)
    init(tree: Tree, key: UnsafeRawBufferPointer, snapshot: SequenceNumber, located: LocatedBlock? = nil) {
        self.tree = tree
        self.key = key
        self.snapshot = snapshot
        self.located = located
        hash = KeyHash.of(key)
    }

    /// - Parameter time: what counts as expired, ms since 1970; if nil the clock is asked, where it matters.
    mutating func resolve(in view: ReadView, at time: UInt64? = nil) throws(ApusError) -> Resolution {
        let inMemory = try view.anyMemtable { (memtable) throws(ApusError) in try visit(memtable) }
        if !inMemory {
            _ = try view.levels.anyTable(for: key) { (table) throws(ApusError) in try visit(table) }
        }
        if let chain {
            let folded = try fold(chain)
            return isExpired(folded.expiresAt, at: time)
                ? .absent : .merged(folded.value, expiresAt: folded.expiresAt)
        }
        switch outcome {
        case .value(_, let expiresAt) where isExpired(expiresAt, at: time): return .absent
        case .separated(_, let expiresAt) where isExpired(expiresAt, at: time): return .absent
        default: return outcome
        }
    }

    @inline(__always)
    private func isExpired(_ expiresAt: UInt64, at time: UInt64?) -> Bool {
        expiresAt != 0 && expiresAt <= (time ?? tree.clock.now())
    }

    /// True if the search ends here.
    private mutating func visit(_ memtable: Memtable) throws(ApusError) -> Bool {
        let covered = memtable.newestRangeDeletion(covering: key, atMost: snapshot)
        let key = key
        return try consume(covered) { (seek) throws(ApusError) in memtable.find(key, seek) }
    }

    private mutating func visit(_ table: Table) throws(ApusError) -> Bool {
        var covered = SequenceNumber.zero
        if table.metadata.rangeDeletionCount > 0 {
            covered = try table.rangeDeletions()?.newestSequence(covering: key, atMost: snapshot) ?? .zero
        }
        let (key, hash, newest) = (key, hash, Trailer.seek(snapshot))
        if let located, located.isOf(table) {
            return try consume(covered) { (seek) throws(ApusError) in
                // Older versions of the key may lie in the next block.
                guard seek == newest else { return try table.find(key, hash: hash, seek, fill: true) }
                return table.find(key, hash: hash, seek, in: located.block)
            }
        }
        return try consume(covered) { (seek) throws(ApusError) in
            try table.find(key, hash: hash, seek, fill: true)
        }
    }

    @inline(__always)
    private mutating func consume(
        _ covered: SequenceNumber, _ find: (Trailer) throws(ApusError) -> FoundEntry?
    ) throws(ApusError) -> Bool {
        var seek = Trailer.seek(snapshot)
        while let found = try find(seek) {
            // Compaction sets the sequence of entries at the bottom to zero; no two others are equal.
            if found.trailer.sequence < covered { return true }
            switch EntryPayload(found.trailer, found.payload) {
            case .value(let value, let expiresAt):
                outcome = .value(value, expiresAt: expiresAt)
                return true
            case .separated(let reference, let expiresAt):
                outcome = .separated(reference, expiresAt: expiresAt)
                return true
            case .deletion:
                return true
            case .merge(let operand, let writtenAt, let expiresAt):
                if chain == nil { chain = MergeChain() }
                chain!.add(operand: operand, writtenAt: writtenAt, expiresAt: expiresAt)
                guard found.trailer.sequence > .zero else { return true }
                seek = .seek(SequenceNumber(found.trailer.sequence.rawValue - 1))
            case .rangeDeletion, nil:
                throw ApusError(.corruption, "an entry of keyspace \"\(tree.name)\" has a malformed payload")
            }
        }
        return covered != .zero
    }

    private func fold(_ chain: MergeChain) throws(ApusError) -> (value: [UInt8], expiresAt: UInt64) {
        switch outcome {
        case .absent, .merged:
            return try chain.resolve(base: nil, key: key, operator: tree.mergeOperator)
        case .value(let value, let expiresAt):
            return try chain.resolve(base: (value, expiresAt), key: key, operator: tree.mergeOperator)
        case .separated(let reference, let expiresAt):
            let value = try tree.blobs.value(of: reference)
            return try value.withBytes { (value) throws(ApusError) in
                try chain.resolve(base: (value, expiresAt), key: key, operator: tree.mergeOperator)
            }
        }
    }
}
