// A view of a block in memory: searching it and reading its entries.  FORMAT.md §4.2 (drawn in BlockFormat.swift)
//
// Bytes from disk become a `Block` only through `Block.validate`, which walks every entry once; after that nothing
// here needs to check bounds.

import ApusIO

/// A validated block. Copying copies one pointer; valid while the memory is.
///
/// Invariant: `base` is 8-byte aligned, points to bytes that passed `validate`, and 8 readable bytes follow them.
struct Block {
    let base: UnsafeRawPointer

    @inline(__always)
    init(validated base: UnsafeRawPointer) { self.base = base }

    /// One entry, taken apart. `suffix` is the key without prefix and head.
    struct Entry {
        var trailer: Trailer
        var restCount: Int
        var suffix: UnsafeRawPointer
        var payload: UnsafeRawBufferPointer
        @inline(__always) var suffixCount: Int { max(restCount &- 8, 0) }
        /// Where the next entry in key order starts.
        @inline(__always) var end: UnsafeRawPointer { suffix + (suffixCount &+ payload.count) }
    }

    // MARK: - Columns

    @inline(__always)
    private var header: UInt64 { UInt64(littleEndian: base.load(as: UInt64.self)) }
    @inline(__always)
    var entryCount: Int { Int(truncatingIfNeeded: header & 0xFFFF_FFFF) }
    @inline(__always)
    var prefixCount: Int { Int(truncatingIfNeeded: header >> 32 & 0xFF_FFFF) }
    @inline(__always)
    private var hasWideOffsets: Bool { header >> 56 == 4 }
    @inline(__always)
    private var baseSequence: UInt64 { UInt64(littleEndian: base.load(fromByteOffset: 8, as: UInt64.self)) }
    @inline(__always)
    var prefix: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base + BlockFormat.headerByteCount, count: prefixCount)
    }
    @inline(__always)
    var heads: UnsafeRawPointer { base + BlockFormat.headsOffset(prefixCount: prefixCount) }
    @inline(__always)
    var entriesStart: UnsafeRawPointer { heads + entryCount &* (hasWideOffsets ? 12 : 10) }
    @inline(__always)
    var order: EytzingerOrder { EytzingerOrder(count: entryCount) }

    @inline(__always)
    func head(node: Int) -> UInt64 { Self.head(heads, node: node) }

    /// For cursors, which keep where the heads of their block are.
    @inline(__always)
    static func head(_ heads: UnsafeRawPointer, node: Int) -> UInt64 {
        UInt64(littleEndian: heads.load(fromByteOffset: (node &- 1) &* 8, as: UInt64.self))
    }

    @inline(__always)
    func entry(node: Int) -> Entry { entry(at: start(node: node)) }

    @inline(__always)
    private func start(node: Int) -> UnsafeRawPointer {
        let offsets = heads + entryCount &* 8
        if hasWideOffsets {
            let offset = UInt32(littleEndian: offsets.loadUnaligned(fromByteOffset: (node &- 1) &* 4, as: UInt32.self))
            return offsets + (entryCount &* 4 &+ Int(offset))
        }
        let offset = UInt16(littleEndian: offsets.load(fromByteOffset: (node &- 1) &* 2, as: UInt16.self))
        return offsets + (entryCount &* 2 &+ Int(offset))
    }

    @inline(__always)
    func entry(at start: UnsafeRawPointer) -> Entry {
        var next = start
        let restCount = Int(truncatingIfNeeded: Self.varint(&next))
        let kind = UInt64(next.load(as: UInt8.self))
        next += 1
        let sequence = baseSequence &+ Self.varint(&next)
        let payloadCount = Int(truncatingIfNeeded: Self.varint(&next))
        return Entry(
            trailer: Trailer(rawValue: sequence << 8 | kind),
            restCount: restCount,
            suffix: next,
            payload: UnsafeRawBufferPointer(start: next + max(restCount &- 8, 0), count: payloadCount)
        )
    }

    @inline(__always)
    private static func varint(_ next: inout UnsafeRawPointer) -> UInt64 {
        let first = next.load(as: UInt8.self)
        next += 1
        if first < 0x80 { return UInt64(first) }
        var value = UInt64(first & 0x7F)
        var shift: UInt64 = 7
        while true {
            let byte = next.load(as: UInt8.self)
            next += 1
            value |= UInt64(byte & 0x7F) &<< shift
            if byte < 0x80 { return value }
            shift &+= 7
        }
    }

    // MARK: - Searching

    /// The node of the first entry whose head is not less than `head`; 0 if there is none. Plain branches: the
    /// columns are rarely in cache, and speculation overlaps the misses.
    @inline(__always)
    private func firstNode(headAtLeast head: UInt64) -> Int {
        let count = entryCount
        let heads = heads
        var node = 1
        while node <= count {
            let here = UInt64(littleEndian: heads.load(fromByteOffset: (node &- 1) &* 8, as: UInt64.self))
            node = here < head ? 2 &* node &+ 1 : 2 &* node
        }
        // Undo the steps right at the end, and the step left before them.
        return node &>> ((~node).trailingZeroBitCount &+ 1)
    }

    /// The rank of the first entry at or after (`key`, `trailer`); the entry count if there is none.
    func lowerBound(_ key: UnsafeRawBufferPointer, _ trailer: Trailer) -> Int {
        let prefix = prefix
        if prefix.count > 0 {
            let start = UnsafeRawBufferPointer(start: key.baseAddress, count: min(key.count, prefix.count))
            let order = compareBytes(start, prefix)
            if order != 0 { return order < 0 ? 0 : entryCount }
        }
        let head = keyHead(key, from: prefix.count)
        let node = firstNode(headAtLeast: head)
        if node == 0 { return entryCount }
        let rank = order.rank(node: node)
        if self.head(node: node) != head { return rank }
        // Heads decide no more: the entries with this one are ordered by the rest of the key.
        var low = rank
        var high = endOfRun(head)
        while low < high {
            let middle = (low &+ high) / 2
            if compare(entry(node: order.node(rank: middle)), key, prefix.count, trailer) < 0 {
                low = middle &+ 1
            } else {
                high = middle
            }
        }
        return low
    }

    /// The newest entry of `key` that is not newer than `seek`. Allocates nothing.
    @inline(__always)
    func find(_ key: UnsafeRawBufferPointer, _ seek: Trailer) -> FoundEntry? {
        let prefix = prefix
        if prefix.count > 0 {
            guard key.count >= prefix.count else { return nil }
            guard equalBytes(UnsafeRawBufferPointer(start: key.baseAddress, count: prefix.count), prefix) else {
                return nil
            }
        }
        let head = keyHead(key, from: prefix.count)
        let node = firstNode(headAtLeast: head)
        guard node != 0 && self.head(node: node) == head else { return nil }
        let entry = entry(node: node)
        let order = compareKey(entry, key, prefix.count)
        if order > 0 { return nil }
        if order == 0 && entry.trailer.rawValue <= seek.rawValue {
            return FoundEntry(trailer: entry.trailer, payload: entry.payload)
        }
        return findInRun(key, seek, head, after: node)
    }

    /// Where the entry lies that `find` looks at first; nil if it finds nothing. Reads the columns, and no entry.
    @inline(__always)
    func firstCandidate(for key: UnsafeRawBufferPointer) -> UnsafeRawPointer? {
        guard key.count >= prefixCount else { return nil }
        let node = firstNode(headAtLeast: keyHead(key, from: prefixCount))
        return node == 0 ? nil : start(node: node)
    }

    /// The first entry with the key's head was not it: an older version, or another key with the same head, may be.
    @inline(never)
    private func findInRun(
        _ key: UnsafeRawBufferPointer,
        _ seek: Trailer,
        _ head: UInt64,
        after node: Int
    ) -> FoundEntry? {
        var low = order.rank(node: node) &+ 1
        let end = endOfRun(head)
        var high = end
        while low < high {
            let middle = (low &+ high) / 2
            if compare(entry(node: order.node(rank: middle)), key, prefixCount, seek) < 0 {
                low = middle &+ 1
            } else {
                high = middle
            }
        }
        guard low < end else { return nil }
        let entry = entry(node: order.node(rank: low))
        guard compareKey(entry, key, prefixCount) == 0 else { return nil }
        return FoundEntry(trailer: entry.trailer, payload: entry.payload)
    }

    /// The rank after the last entry with `head`.
    private func endOfRun(_ head: UInt64) -> Int {
        if head == .max { return entryCount }
        let node = firstNode(headAtLeast: head &+ 1)
        return node == 0 ? entryCount : order.rank(node: node)
    }

    /// Orders an entry against (`key`, `trailer`), given that prefix and head are the same.
    @inline(__always)
    private func compare(
        _ entry: Entry,
        _ key: UnsafeRawBufferPointer,
        _ prefixCount: Int,
        _ trailer: Trailer
    ) -> Int {
        let order = compareKey(entry, key, prefixCount)
        if order != 0 { return order }
        if entry.trailer.rawValue == trailer.rawValue { return 0 }
        return entry.trailer.rawValue > trailer.rawValue ? -1 : 1
    }

    /// Orders an entry's key against `key`, given that prefix and head are the same. Where one rest ends within the
    /// head, the zeros after it stand for nothing in one of them: the shorter sorts first.
    @inline(__always)
    private func compareKey(_ entry: Entry, _ key: UnsafeRawBufferPointer, _ prefixCount: Int) -> Int {
        let restCount = key.count &- prefixCount
        if entry.restCount > 8 && restCount > 8 {
            return compareBytes(
                UnsafeRawBufferPointer(start: entry.suffix, count: entry.restCount &- 8),
                UnsafeRawBufferPointer(start: key.baseAddress! + (prefixCount &+ 8), count: restCount &- 8)
            )
        }
        return entry.restCount &- restCount
    }
}
