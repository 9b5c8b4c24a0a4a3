// The span of user keys that a table, or the whole of a compaction, covers. Its upper end may be exclusive: a range
// deletion ends before its end key, and two tables may meet in such a key without overlapping.

import ApusIO

/// A span of user keys: from `smallest`, inclusive, to `largest`, inclusive or not.
struct KeyBounds: Hashable, Sendable {
    var smallest: [UInt8]
    var largest: [UInt8]
    var largestIsExclusive = false

    /// True if every key of this span sorts before every key of `other`.
    func endsBefore(_ other: KeyBounds) -> Bool { endsBefore(other.smallest) }

    /// True if every key of this span sorts before `key`.
    func endsBefore(_ key: [UInt8]) -> Bool {
        key.withUnsafeBytes { endsBefore($0) }
    }

    func endsBefore(_ key: UnsafeRawBufferPointer) -> Bool {
        let order = largest.withUnsafeBytes { compareBytes($0, key) }
        return order < 0 || (order == 0 && largestIsExclusive)
    }

    func overlaps(_ other: KeyBounds) -> Bool { !endsBefore(other) && !other.endsBefore(self) }

    func contains(_ key: UnsafeRawBufferPointer) -> Bool {
        smallest.withUnsafeBytes { compareBytes($0, key) } <= 0 && !endsBefore(key)
    }

    /// True if a key of this span lies in [`from`, `to`); nil is unbounded.
    func overlaps(from: [UInt8]?, to: [UInt8]?) -> Bool {
        if let from, endsBefore(from) { return false }
        if let to, !smallest.sortsBefore(to) { return false }
        return true
    }

    /// The smallest span that holds both.
    func union(_ other: KeyBounds) -> KeyBounds {
        var result = self
        if other.smallest.sortsBefore(smallest) { result.smallest = other.smallest }
        if largest == other.largest {
            result.largestIsExclusive = largestIsExclusive && other.largestIsExclusive
        } else if largest.sortsBefore(other.largest) {
            result.largest = other.largest
            result.largestIsExclusive = other.largestIsExclusive
        }
        return result
    }

    /// The span of several tables; nil if there are none.
    static func of(_ tables: some Sequence<TableMetadata>) -> KeyBounds? {
        var result: KeyBounds?
        for table in tables { result = result?.union(table.bounds) ?? table.bounds }
        return result
    }
}

extension TableMetadata {
    var bounds: KeyBounds {
        KeyBounds(smallest: smallest, largest: largest, largestIsExclusive: largestIsExclusive)
    }
}

extension [UInt8] {
    /// Unsigned byte order, a proper prefix first.
    func sortsBefore(_ other: [UInt8]) -> Bool {
        withUnsafeBytes { own in other.withUnsafeBytes { compareBytes(own, $0) } } < 0
    }
}
