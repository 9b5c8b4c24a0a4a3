// The tables of one sorted level as one sequence. A table is opened only when the cursor reaches it.

import ApusIO

/// A cursor over tables whose key ranges ascend and do not overlap.
///
/// Invariant of the unsafe part: `borrowed` is `current`, which this object keeps alive; nil together.
final class LevelCursor: EntryCursor {
    private let tables: [Table]
    private let fillCache: Bool
    @exclusivity(unchecked) private var index = -1
    @exclusivity(unchecked) private var current: TableCursor?
    /// For steps without reference counting.
    @exclusivity(unchecked) private var borrowed: Unmanaged<TableCursor>?

    init(_ tables: [Table], fillCache: Bool) {
        self.tables = tables
        self.fillCache = fillCache
        super.init()
        newestSequence = tables.reduce(.zero) { Swift.max($0, $1.metadata.largestSequence) }
    }

    override func rest() {
        isValid = false
        current?.rest()
    }

    override func seekToFirst() throws(ApusError) {
        try open(0)
        try current?.seekToFirst()
        try settleForward()
    }

    override func seekToLast() throws(ApusError) {
        try open(tables.count - 1)
        try current?.seekToLast()
        try settleBackward()
    }

    override func seek(_ key: UnsafeRawBufferPointer, _ trailer: Trailer) throws(ApusError) {
        // The first table that does not end before the key; entries of one user key never span two tables. A table may
        // end just before the key, with a range deletion, where the next one begins: that next one is to be searched.
        var low = 0
        var high = tables.count
        while low < high {
            let middle = (low + high) / 2
            if tables[middle].metadata.ends(before: key) { low = middle + 1 } else { high = middle }
        }
        try open(low)
        try current?.seek(key, trailer)
        try settleForward()
    }

    override func seekBefore(_ key: UnsafeRawBufferPointer, _ trailer: Trailer) throws(ApusError) {
        // The last table that does not start after the key.
        var low = 0
        var high = tables.count
        while low < high {
            let middle = (low + high) / 2
            let order = tables[middle].metadata.smallest.withUnsafeBytes { compareBytes($0, key) }
            if order <= 0 { low = middle + 1 } else { high = middle }
        }
        try open(low - 1)
        try current?.seekBefore(key, trailer)
        try settleBackward()
    }

    override func next() throws(ApusError) {
        let stands = try borrowed!.withBorrowed { (cursor) throws(ApusError) in
            try cursor.next()
            return show(cursor)
        }
        if !stands { try settleForward() }
    }

    override func previous() throws(ApusError) {
        let stands = try borrowed!.withBorrowed { (cursor) throws(ApusError) in
            try cursor.previous()
            return show(cursor)
        }
        if !stands { try settleBackward() }
    }

    private func open(_ newIndex: Int) throws(ApusError) {
        if newIndex == index, current != nil { return }
        index = newIndex
        current =
            tables.indices.contains(newIndex)
            ? tables[newIndex].makeCursor(fillCache: fillCache, readahead: true) : nil
        borrowed = current.map { Unmanaged.passUnretained($0) }
    }

    private func settleForward() throws(ApusError) {
        while let cursor = current, !cursor.isValid {
            try open(index + 1)
            try current?.seekToFirst()
        }
        isValid = current.map(show) ?? false
    }

    private func settleBackward() throws(ApusError) {
        while let cursor = current, !cursor.isValid {
            try open(index - 1)
            try current?.seekToLast()
        }
        isValid = current.map(show) ?? false
    }

    /// Makes the table's current entry this cursor's; false if it has none.
    @inline(__always)
    private func show(_ cursor: TableCursor) -> Bool {
        guard cursor.isValid else { return false }
        key = cursor.key
        trailer = cursor.trailer
        payload = cursor.payload
        return true
    }
}
