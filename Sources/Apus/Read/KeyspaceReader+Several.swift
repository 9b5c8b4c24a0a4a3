// Several keys at one moment. A lookup in much data waits for memory most of its time, one miss after the other; so the
// lookups of a group go side by side, step by step: first the blocks that they will search are fetched, then they are
// searched and the values fetched, then the values are shown. The misses of a group overlap.

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

    /// - Parameter body: throws whatever it likes.
    func withValues(_ keys: KeyList, passingErrorsOf body: (Int, RawSpan?) throws -> Void) throws {
        var failure: (any Error)?
        try visit(keys) { index, value in
            do {
                try body(index, value?.bytes)
                return .next
            } catch {
                failure = error
                return .stop
            }
        }
        if let failure { throw failure }
    }

    /// What a group has found. Nearly always that is values to be shown where they lie; the rest is kept apart.
    private struct Found {
        var values = ContiguousArray<UnsafeRawBufferPointer?>()
        /// Separated and merged values, by the index of their keys, ascending.
        var others: [(index: Int, resolution: Resolution)] = []
    }

    /// Calls `body` with the index and value of each key, in the order of the keys, until it returns `.stop`.
    private func visit(_ keys: KeyList, _ body: (Int, UnsafeRawBufferPointer?) -> ScanStep) throws(ApusError) {
        var found = Found()
        found.values.reserveCapacity(Self.groupSize)
        try keys.bytes.withBytes { (bytes) throws(ApusError) in
            for start in stride(from: 0, to: keys.count, by: Self.groupSize) {
                let group = start..<min(start + Self.groupSize, keys.count)
                if try visit(keys, bytes, group, &found, body) == .stop { return }
            }
        }
    }

    private func visit(
        _ keys: KeyList, _ bytes: UnsafeRawBufferPointer, _ group: Range<Int>,
        _ found: inout Found, _ body: (Int, UnsafeRawBufferPointer?) -> ScanStep
    ) throws(ApusError) -> ScanStep {
        let pin = engine.epochs.pin()
        defer { engine.epochs.unpin(pin) }
        for index in group {
            view.levels.prefetch(UnsafeRawBufferPointer(rebasing: bytes[keys.range(index)]), snapshot)
        }
        found.values.removeAll(keepingCapacity: true)
        found.others.removeAll(keepingCapacity: true)
        for index in group {
            let key = UnsafeRawBufferPointer(rebasing: bytes[keys.range(index)])
            var lookup = PointLookup(tree: tree, key: key, snapshot: snapshot)
            switch try lookup.resolve(in: view, at: time) {
            case .value(let value, _):
                Self.prefetch(value)
                found.values.append(value)
            case .absent:
                found.values.append(nil)
            case let other:
                found.values.append(nil)
                found.others.append((index, other))
            }
        }
        var nextOther = 0
        for index in group {
            var step = ScanStep.next
            if nextOther < found.others.count, found.others[nextOther].index == index {
                try engine.present(found.others[nextOther].resolution) { (value) throws(ApusError) in
                    step = body(index, value)
                }
                nextOther += 1
            } else {
                step = body(index, found.values[index &- group.lowerBound])
            }
            if step == .stop { return .stop }
        }
        return .next
    }

    /// The first lines of a value; the processor itself goes on from there.
    @inline(__always)
    private static func prefetch(_ value: UnsafeRawBufferPointer) {
        guard let start = value.baseAddress else { return }
        for offset in stride(from: 0, to: min(value.count, 4 * 64), by: 64) { apus_prefetch(start + offset) }
    }
}

extension LevelIndexes {
    /// Starts fetching what a lookup of `key` will search in the last level, where most entries are.
    @inline(__always)
    func prefetch(_ key: UnsafeRawBufferPointer, _ snapshot: SequenceNumber) {
        withLastTable(for: key) { $0.prefetch(key, .seek(snapshot)) }
    }
}

extension Table {
    /// Starts fetching the block that may hold `key`, as far as that is known without waiting for the disk. The caller
    /// holds an epoch pin.
    func prefetch(_ key: UnsafeRawBufferPointer, _ seek: Trailer) {
        guard let table = openedTable else { return }
        let partition = table.pointee.partition(for: key, seek)
        guard partition < table.pointee.partitionCount, let leaf = Self.cached(table.pointee.leafSlot(partition)) else {
            return
        }
        let rank = Block(validated: leaf.bytes).lowerBound(key, seek)
        guard rank < table.pointee.partitions[partition].blockCount else { return }
        Self.cached(table.pointee.slots + (table.pointee.partitions[partition].firstBlock &+ rank))?.prefetch()
    }
}
