// One keyspace at one sequence number: the common ground of `Keyspace`, `Snapshot` and `Transaction` reads that need
// more than one lookup.

import ApusIO

/// Reads a tree at a fixed moment. Holds the view strongly, so that it stays readable whatever happens meanwhile.
struct KeyspaceReader: Sendable {
    let keyspace: Keyspace
    let view: ReadView
    let snapshot: SequenceNumber
    /// What counts as expired: at or before this time, ms since 1970.
    let time: UInt64

    var engine: Engine { keyspace.engine }
    var tree: Tree { keyspace.tree }

    func get(_ key: UnsafeRawBufferPointer) throws(ApusError) -> [UInt8]? {
        var result: [UInt8]?
        try withValue(key) { (value) throws(ApusError) in result = [UInt8](value) }
        return result
    }

    func withValue(
        _ key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws(ApusError) -> Void
    ) throws(ApusError) {
        let pin = engine.epochs.pin()
        defer { engine.epochs.unpin(pin) }
        var lookup = PointLookup(tree: tree, key: key, snapshot: snapshot)
        let resolution = try lookup.resolve(in: view, at: time)
        try engine.present(resolution, body)
    }

    func contains(_ key: UnsafeRawBufferPointer) throws(ApusError) -> Bool {
        let pin = engine.epochs.pin()
        defer { engine.epochs.unpin(pin) }
        var lookup = PointLookup(tree: tree, key: key, snapshot: snapshot)
        if case .absent = try lookup.resolve(in: view, at: time) { return false }
        return true
    }

    /// - Parameter body: throws whatever it likes.
    func scan(
        _ range: KeyRange, reversed: Bool, limit: Int,
        passingErrorsOf body: (_ key: RawSpan, _ value: RawSpan) throws -> ScanStep
    ) throws {
        try range.check()
        try Self.walk(try visibleCursor(range), reversed: reversed, limit: limit, body)
    }

    func entries(_ range: KeyRange, reversed: Bool, limit: Int) throws(ApusError) -> [Entry] {
        try range.check()
        return try Self.collect(try visibleCursor(range), reversed: reversed, limit: limit)
    }

    /// Calls `body` with one entry after the other, from one end of the cursor's range.
    static func walk(
        _ cursor: VisibleCursor, reversed: Bool, limit: Int,
        _ body: (_ key: RawSpan, _ value: RawSpan) throws -> ScanStep
    ) throws {
        var left = limit
        guard left > 0 else { return }
        try reversed ? cursor.seekToLast() : cursor.seekToFirst()
        while cursor.isValid {
            let value = try cursor.value()
            let key = cursor.key
            if try body(key.bytes, value.bytes) == .stop { return }
            left -= 1
            if left == 0 { return }
            try reversed ? cursor.previous() : cursor.next()
        }
    }

    /// Copies entries, from one end of the cursor's range.
    static func collect(_ cursor: VisibleCursor, reversed: Bool, limit: Int) throws(ApusError) -> [Entry] {
        var entries: [Entry] = []
        guard limit > 0 else { return entries }
        try reversed ? cursor.seekToLast() : cursor.seekToFirst()
        while cursor.isValid {
            entries.append(Entry(key: [UInt8](cursor.key), value: [UInt8](try cursor.value())))
            if entries.count == limit { break }
            try reversed ? cursor.previous() : cursor.next()
        }
        return entries
    }

    func makeCursor(_ range: KeyRange) throws(ApusError) -> Cursor {
        try range.check()
        // A bounded cursor leaves out tables that its range does not touch, so it has sources of its own.
        let tables = range == .all && !view.version.hasRangeDeletions ? view.version.takeSources() : nil
        let sources = if let tables { sources(tables) } else { try sources(range) }
        return Cursor(
            reader: self, visible: makeVisibleCursor(sources.merged, sources.rangeDeletions, range, at: snapshot),
            tables: tables, extraRunCount: sources.extraRunCount)
    }

    /// Merges every source of the view.
    func visibleCursor(_ range: KeyRange) throws(ApusError) -> VisibleCursor {
        let sources = try sources(range)
        if sources.extraRunCount > 0 { engine.noteSeek(extraRunCount: sources.extraRunCount, in: tree) }
        return makeVisibleCursor(sources.merged, sources.rangeDeletions, range, at: snapshot)
    }

    /// The same with a transaction's own writes on top: the view is cut off at the snapshot, and the writes at the last
    /// one so far, lest a walk meet what is written during it.
    func visibleCursor(
        _ range: KeyRange, above own: Memtable, upTo newest: SequenceNumber
    ) throws(ApusError) -> VisibleCursor {
        let sources = try sources(range)
        var deletions = sources.rangeDeletions.map { $0.atMost(snapshot) }
        if let ownDeletions = own.rangeDeletions { deletions.append(ownDeletions) }
        return makeVisibleCursor(
            MergingCursor([
                CutoffCursor(own.makeCursor(), newest: newest), CutoffCursor(sources.merged, newest: snapshot),
            ]), deletions, range, at: .max)
    }

    private func makeVisibleCursor(
        _ source: EntryCursor, _ rangeDeletions: [RangeDeletions], _ range: KeyRange, at sequence: SequenceNumber
    ) -> VisibleCursor {
        VisibleCursor(
            source: source, rangeDeletions: rangeDeletions, snapshot: sequence, now: time, lower: range.lower,
            upper: range.upper, context: tree, view: view)
    }

    private struct Sources {
        var cursors: [EntryCursor] = []
        var rangeDeletions: [RangeDeletions] = []
        /// Sorted runs of tables beyond the first.
        var extraRunCount = 0

        var merged: EntryCursor { cursors.count == 1 ? cursors[0] : MergingCursor(cursors) }
    }

    private func memtableSources() -> Sources {
        var sources = Sources()
        // What is empty now gets nothing any more that the reader may see.
        for memtable in view.memtables where memtable.mayHold(upTo: snapshot) {
            sources.cursors.append(memtable.makeCursor())
            if let deletions = memtable.rangeDeletions { sources.rangeDeletions.append(deletions) }
        }
        return sources
    }

    private func sources(_ tables: TableSources) -> Sources {
        var sources = memtableSources()
        sources.extraRunCount = max(0, tables.cursors.count - 1)
        if sources.cursors.isEmpty { sources.cursors = tables.cursors } else { sources.cursors += tables.cursors }
        return sources
    }

    private func sources(_ range: KeyRange) throws(ApusError) -> Sources {
        var sources = memtableSources()
        let memtableCount = sources.cursors.count
        for (level, tables) in view.version.levels.enumerated() where !tables.isEmpty {
            let relevant = view.version.tables(level: level, from: range.lower, through: range.upper)
            for table in relevant where table.metadata.rangeDeletionCount > 0 {
                if let deletions = try table.rangeDeletions() { sources.rangeDeletions.append(deletions) }
            }
            if level == 0 {
                for table in relevant { sources.cursors.append(table.makeCursor(fillCache: true, readahead: true)) }
            } else if !relevant.isEmpty {
                sources.cursors.append(LevelCursor(relevant, fillCache: true))
            }
        }
        sources.extraRunCount = max(0, sources.cursors.count - memtableCount - 1)
        return sources
    }
}

extension RawSpan {
    /// The bytes as an array.
    public func copied() -> [UInt8] {
        withUnsafeBytes { [UInt8]($0) }
    }
}
