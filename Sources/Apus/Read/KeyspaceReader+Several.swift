// Several keys at one moment. A lookup in much data waits for memory most of its time, one miss after the other; so the
// lookups of a group go side by side, step by step, and the misses of a group overlap:
//
// 1. of each key the block that may hold it is found, and its heads fetched
// 2. the heads are searched, and the entry fetched
// 3. the entry is compared with the key, and the value fetched
// 4. the values are shown

import ApusIO
import CApusCPU

/// Keys, one behind the other. Made in the caller's module, where the type of its keys is known.
@usableFromInline
struct KeyList {
    @usableFromInline var bytes: [UInt8] = []
    @usableFromInline var ends: [Int] = []

    @inlinable
    init(_ keys: [some ByteRepresentable]) {
        ends.reserveCapacity(keys.count)
        for key in keys {
            key.withBytes { bytes.append(contentsOf: $0) }
            ends.append(bytes.count)
        }
    }

    var count: Int { ends.count }

    @inline(__always)
    func range(_ index: Int) -> Range<Int> { (index == 0 ? 0 : ends[index &- 1])..<ends[index] }
}

extension KeyspaceReader {
    /// As many misses as a processor core keeps under way, and a few more.
    private static let groupSize = 16

    func get(_ keys: KeyList) throws(ApusError) -> [[UInt8]?] {
        var values: [[UInt8]?] = []
        values.reserveCapacity(keys.count)
        try visit(keys) { _, value in
            values.append(value.map { [UInt8]($0) })
            return .next
        }
        return values
    }

    /// - Parameter body: throws whatever it likes; called until it returns `.stop`.
    func withValues(_ keys: KeyList, _ body: (Int, RawSpan?) throws -> ScanStep) throws {
        var failure: (any Error)?
        try visit(keys) { index, value in
            do {
                return try body(index, value?.bytes)
            } catch {
                failure = error
                return .stop
            }
        }
        if let failure { throw failure }
    }

    /// One key of a group, and what is known of it.
    private struct Member {
        var key: UnsafeRawBufferPointer
        var block: LocatedBlock?
        /// Nearly always that is a value to be shown where it lies.
        var value: UnsafeRawBufferPointer?
    }

    /// Calls `body` with the index and value of each key, in the order of the keys, until it returns `.stop`.
    private func visit(_ keys: KeyList, _ body: (Int, UnsafeRawBufferPointer?) -> ScanStep) throws(ApusError) {
        let members = UnsafeMutablePointer<Member>.allocate(capacity: Self.groupSize)
        defer { members.deallocate() }
        try keys.bytes.withBytes { (bytes) throws(ApusError) in
            for start in stride(from: 0, to: keys.count, by: Self.groupSize) {
                let count = min(Self.groupSize, keys.count &- start)
                for index in 0..<count {
                    let key = UnsafeRawBufferPointer(rebasing: bytes[keys.range(start &+ index)])
                    members.advanced(by: index).initialize(to: Member(key: key))
                }
                let group = UnsafeMutableBufferPointer(start: members, count: count)
                if try visit(group, from: start, body) == .stop { return }
            }
        }
    }

    private func visit(
        _ group: UnsafeMutableBufferPointer<Member>, from start: Int,
        _ body: (Int, UnsafeRawBufferPointer?) -> ScanStep
    ) throws(ApusError) -> ScanStep {
        let pin = engine.epochs.pin()
        defer { engine.epochs.unpin(pin) }
        for index in group.indices { group[index].block = view.levels.locate(group[index].key, snapshot) }
        for index in group.indices { group[index].block?.prefetchEntry(of: group[index].key) }
        /// Separated and merged values, by the index of their keys, ascending.
        var others: [(index: Int, resolution: Resolution)] = []
        for index in group.indices {
            var lookup = PointLookup(
                tree: tree, key: group[index].key, snapshot: snapshot, located: group[index].block)
            switch try lookup.resolve(in: view, at: time) {
            case .value(let value, _):
                Self.prefetch(value)
                group[index].value = value
            case .absent: break
            case let other: others.append((index, other))
            }
        }
        var nextOther = 0
        for index in group.indices {
            var step = ScanStep.next
            if nextOther < others.count, others[nextOther].index == index {
                try engine.present(others[nextOther].resolution) { (value) throws(ApusError) in
                    step = body(start &+ index, value)
                }
                nextOther += 1
            } else {
                step = body(start &+ index, group[index].value)
            }
            if step == .stop { return .stop }
        }
        return .next
    }

    /// The first lines of a value; the processor itself goes on from there.
    @inline(__always)
    private static func prefetch(_ value: UnsafeRawBufferPointer) {
        guard let start = value.baseAddress else { return }
        for offset in stride(from: 0, to: min(value.count, 8 * 64), by: 64) { apus_prefetch(start + offset) }
    }
}

/// The block of a table in which the newest entry of a key lies, if the table has one.
///
/// Invariant: whoever keeps one holds an epoch pin, and the view that the table is of.
struct LocatedBlock {
    let table: Unmanaged<Table>
    let block: CachedBlock

    @inline(__always)
    func isOf(_ table: Table) -> Bool { self.table.toOpaque() == Unmanaged.passUnretained(table).toOpaque() }

    /// Starts fetching the entry that a search for `key` will look at.
    func prefetchEntry(of key: UnsafeRawBufferPointer) {
        guard let entry = Block(validated: block.bytes).firstCandidate(for: key) else { return }
        apus_prefetch(entry)
        apus_prefetch(entry + 64)
    }
}

extension LevelIndexes {
    /// Finds the block of the last level, where most entries are, that a lookup of `key` will search, and starts fetching
    /// it. nil where that is not known without waiting for the disk. The caller holds an epoch pin.
    @inline(__always)
    func locate(_ key: UnsafeRawBufferPointer, _ snapshot: SequenceNumber) -> LocatedBlock? {
        var located: LocatedBlock?
        withLastTable(for: key) { table in
            guard let block = table.cachedBlock(for: key, .seek(snapshot)) else { return }
            block.prefetch()
            located = LocatedBlock(table: Unmanaged.passUnretained(table), block: block)
        }
        return located
    }
}

extension Table {
    /// The block that the newest entry of `key` up to `seek` is in, if there is one, as far as that is known without
    /// waiting for the disk. The caller holds an epoch pin.
    func cachedBlock(for key: UnsafeRawBufferPointer, _ seek: Trailer) -> CachedBlock? {
        guard let table = openedTable else { return nil }
        let partition = table.pointee.partition(for: key, seek)
        guard partition < table.pointee.partitionCount, let leaf = Self.cached(table.pointee.leafSlot(partition)) else {
            return nil
        }
        let rank = Block(validated: leaf.bytes).lowerBound(key, seek)
        guard rank < table.pointee.partitions[partition].blockCount else { return nil }
        return Self.cached(table.pointee.slots + (table.pointee.partitions[partition].firstBlock &+ rank))
    }
}
