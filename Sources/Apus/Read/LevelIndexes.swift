// Finds the tables of a version that may hold a key, without reference counting: the tables of level 0 newest first,
// and for each deeper level the one table whose range covers the key.

import ApusIO

/// The tables of one version, arranged for point lookups.
///
/// Invariant of the unsafe parts: all pointers refer to memory allocated in `init`, immutable afterwards and freed in
/// `deinit`; the unretained tables are kept alive by `version`.
final class LevelIndexes: @unchecked Sendable {
    private let version: Version
    private let levels: UnsafeMutablePointer<LevelIndex>
    private let levelCount: Int

    init(_ version: Version) {
        self.version = version
        // Only levels that have tables, so that an empty level costs a lookup nothing.
        let occupied = version.levels.enumerated().filter { !$0.element.isEmpty }
        levelCount = occupied.count
        levels = .allocate(capacity: Swift.max(1, occupied.count))
        for (index, level) in occupied.enumerated() {
            levels.advanced(by: index).initialize(to: LevelIndex(level.element, isSorted: level.offset > 0))
        }
    }

    deinit {
        for index in 0..<levelCount { levels[index].deallocate() }
        levels.deallocate()
    }

    /// Calls `body` with each table that may hold `key`, newest first, until it returns true.
    @inline(__always)
    func anyTable(
        for key: UnsafeRawBufferPointer, _ body: (Table) throws(ApusError) -> Bool
    ) throws(ApusError) -> Bool {
        let head = keyHead(key)
        var level = 0
        while level < levelCount {
            if try levels[level].anyTable(key, head, body) { return true }
            level &+= 1
        }
        return false
    }

    /// Calls `body` with the table of the last level whose range has `key`, if there are sorted levels.
    @inline(__always)
    func withLastTable(for key: UnsafeRawBufferPointer, _ body: (Table) -> Void) {
        guard levelCount > 0 else { return }
        levels[levelCount &- 1].withSortedTable(for: key, keyHead(key), body)
    }
}

/// One level. `bounds[i]` describes the key range of `tables[i]`; the bytes of the keys lie in `keyBytes`.
private struct LevelIndex {
    struct Bounds {
        var smallestHead: UInt64
        var largestHead: UInt64
        var smallestOffset: Int
        var smallestCount: Int
        var largestOffset: Int
        var largestCount: Int
        var largestIsExclusive: Bool
    }

    private let count: Int
    private let isSorted: Bool
    private let tables: UnsafeMutablePointer<Unmanaged<Table>>
    private let bounds: UnsafeMutablePointer<Bounds>
    private let keyBytes: UnsafeMutableRawPointer

    init(_ level: [Table], isSorted: Bool) {
        count = level.count
        self.isSorted = isSorted
        tables = .allocate(capacity: level.count)
        bounds = .allocate(capacity: level.count)
        let keyByteCount = level.reduce(0) { $0 + $1.metadata.smallest.count + $1.metadata.largest.count }
        keyBytes = .allocate(byteCount: Swift.max(1, keyByteCount), alignment: 8)
        var offset = 0
        for (index, table) in level.enumerated() {
            let metadata = table.metadata
            tables.advanced(by: index).initialize(to: Unmanaged.passUnretained(table))
            let smallestOffset = offset
            metadata.smallest.withUnsafeBytes {
                keyBytes.advanced(by: offset).copyMemory(from: $0.baseAddress!, byteCount: $0.count)
            }
            offset += metadata.smallest.count
            let largestOffset = offset
            metadata.largest.withUnsafeBytes {
                keyBytes.advanced(by: offset).copyMemory(from: $0.baseAddress!, byteCount: $0.count)
            }
            offset += metadata.largest.count
            bounds.advanced(by: index).initialize(
                to: Bounds(
                    smallestHead: metadata.smallest.withUnsafeBytes { keyHead($0) },
                    largestHead: metadata.largest.withUnsafeBytes { keyHead($0) },
                    smallestOffset: smallestOffset, smallestCount: metadata.smallest.count,
                    largestOffset: largestOffset, largestCount: metadata.largest.count,
                    largestIsExclusive: metadata.largestIsExclusive))
        }
    }

    private static func copy(_ key: [UInt8], to target: UnsafeMutableRawPointer) {
        key.withUnsafeBytes { UnsafeMutableRawBufferPointer(start: target, count: $0.count).copyMemory(from: $0) }
    }

    func deallocate() {
        tables.deallocate()
        bounds.deallocate()
        keyBytes.deallocate()
    }

    @inline(__always)
    func anyTable(
        _ key: UnsafeRawBufferPointer, _ head: UInt64, _ body: (Table) throws(ApusError) -> Bool
    ) throws(ApusError) -> Bool {
        var index = isSorted ? firstEndingAtOrAfter(key, head) : 0
        let end = isSorted ? Swift.min(index &+ 1, count) : count
        while index < end {
            if covers(index, key, head),
                try tables[index].withBorrowed(body)
            {
                return true
            }
            index &+= 1
        }
        return false
    }

    @inline(__always)
    func withSortedTable(for key: UnsafeRawBufferPointer, _ head: UInt64, _ body: (Table) -> Void) {
        guard isSorted else { return }
        let index = firstEndingAtOrAfter(key, head)
        if index < count { tables[index]._withUnsafeGuaranteedRef { body($0) } }
    }

    /// The first table that does not end before `key`.
    @inline(__always)
    private func firstEndingAtOrAfter(_ key: UnsafeRawBufferPointer, _ head: UInt64) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low &+ high) >> 1
            if endsBefore(middle, key, head) { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    @inline(__always)
    private func endsBefore(_ index: Int, _ key: UnsafeRawBufferPointer, _ head: UInt64) -> Bool {
        let largestHead = bounds[index].largestHead
        if largestHead != head { return largestHead < head }
        let order = compareBytes(largest(index), key)
        return order < 0 || (order == 0 && bounds[index].largestIsExclusive)
    }

    @inline(__always)
    private func covers(_ index: Int, _ key: UnsafeRawBufferPointer, _ head: UInt64) -> Bool {
        let smallestHead = bounds[index].smallestHead
        if smallestHead > head { return false }
        if smallestHead == head && compareBytes(smallest(index), key) > 0 { return false }
        return !endsBefore(index, key, head)
    }

    @inline(__always)
    private func smallest(_ index: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: keyBytes.advanced(by: bounds[index].smallestOffset), count: bounds[index].smallestCount)
    }

    @inline(__always)
    private func largest(_ index: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: keyBytes.advanced(by: bounds[index].largestOffset), count: bounds[index].largestCount)
    }
}
