// A position in the entries of a keyspace, in key order: forward, backward, by key. The public face of VisibleCursor.

import ApusIO

/// Walks the entries of a key range as they were when the cursor was made.
///
/// ```swift
/// let cursor = try users.makeCursor(.prefix("a"))
/// try cursor.seekToFirst()
/// while cursor.isValid {
///     try cursor.withEntry { key, value in … }
///     try cursor.next()
/// }
/// ```
/// Writers and compaction go on meanwhile and change nothing for the cursor. It keeps the files and memory that it may
/// still read, so do not keep it for ever. One thread at a time.
public final class Cursor {
    private let reader: KeyspaceReader
    private let visible: VisibleCursor
    /// What the version lends, and has back when the cursor goes.
    private let tables: TableSources?
    /// Sorted runs of tables that every seek looks into besides the first.
    private let extraRunCount: Int

    init(reader: KeyspaceReader, visible: VisibleCursor, tables: TableSources?, extraRunCount: Int) {
        self.reader = reader
        self.visible = visible
        self.tables = tables
        self.extraRunCount = extraRunCount
    }

    deinit {
        // `visible` goes with this object, and never touches its sources again.
        if let tables { reader.view.version.spareSources.giveBack(tables) }
    }

    /// Whether the cursor stands on an entry. False before the first seek and after running off either end.
    public var isValid: Bool { visible.isValid }

    /// Moves to the first entry of the range.
    public func seekToFirst() throws(ApusError) {
        try beginSeek()
        try visible.seekToFirst()
    }

    /// Moves to the last entry of the range.
    public func seekToLast() throws(ApusError) {
        try beginSeek()
        try visible.seekToLast()
    }

    /// Moves to the first entry whose key is at or after `key`.
    public func seek(_ key: some ByteRepresentable) throws(ApusError) {
        try beginSeek()
        try key.withBytes { (key) throws(ApusError) in try visible.seek(atOrAfter: key) }
    }

    /// Moves to the last entry whose key is at or before `key`.
    public func seek(atOrBefore key: some ByteRepresentable) throws(ApusError) {
        try beginSeek()
        try key.withBytes { (key) throws(ApusError) in try visible.seek(atOrBefore: key) }
    }

    /// Moves to the next entry. On a cursor that stands nowhere: to the first.
    public func next() throws(ApusError) {
        try checkOpen()
        try visible.isValid ? visible.next() : visible.seekToFirst()
    }

    /// Moves to the previous entry. On a cursor that stands nowhere: to the last.
    public func previous() throws(ApusError) {
        try checkOpen()
        try visible.isValid ? visible.previous() : visible.seekToLast()
    }

    /// Calls `body` with the current key and value where they lie.
    /// - Throws: `invalidArgument` unless `isValid`.
    public func withEntry<Result>(
        _ body: (_ key: RawSpan, _ value: RawSpan) throws -> Result
    ) throws -> Result {
        try checkPosition()
        let value = try visible.value()
        let key = visible.key
        return try body(key.bytes, value.bytes)
    }

    /// Calls `body` with the current key; a separated value is not read.
    /// - Precondition: `isValid`.
    public func withKey<Result, Failure: Error>(_ body: (RawSpan) throws(Failure) -> Result) throws(Failure) -> Result {
        precondition(visible.isValid, "the cursor stands on no entry")
        let key = visible.key
        return try body(key.bytes)
    }

    /// The current key, copied.
    /// - Precondition: `isValid`.
    public var key: [UInt8] {
        precondition(visible.isValid, "the cursor stands on no entry")
        return [UInt8](visible.key)
    }

    /// The current value, copied.
    /// - Throws: `invalidArgument` unless `isValid`.
    public func value() throws(ApusError) -> [UInt8] {
        try checkPosition()
        return [UInt8](try visible.value())
    }

    private func checkPosition() throws(ApusError) {
        try checkOpen()
        guard visible.isValid else { throw ApusError(.invalidArgument, "the cursor stands on no entry") }
    }

    private func beginSeek() throws(ApusError) {
        try checkOpen()
        if extraRunCount > 0 { reader.engine.noteSeek(extraRunCount: extraRunCount, in: reader.tree) }
    }

    private func checkOpen() throws(ApusError) {
        try reader.engine.checkOpen()
        if reader.tree.isDropped { throw ApusError(.closed, "keyspace \"\(reader.tree.name)\" was dropped") }
    }
}
