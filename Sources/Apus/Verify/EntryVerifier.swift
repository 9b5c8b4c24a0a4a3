// What no table can tell alone, checked in one pass over the merged entries of a keyspace: memory is bounded by a block
// per source, however many entries there are.
//
//   1. Whoever finds an entry first has found the newest: for each user key, sequence numbers descend from the newest
//      table of level 0 to its oldest, then level by level. Two entries of a key never have the same number.
//   2. Every reference to a separated value leads to a record of that key and that length.
//
// Tables that are known to be damaged are left out: what is found here is nothing else's consequence.

import ApusIO

/// One pass over one version. One thread.
struct EntryVerifier {
    private let keyspace: String
    private let blobs: BlobStore
    /// Those whose references are checked.
    private let blobFiles: Set<FileNumber>
    /// A heap: no entry is before that of the first.
    private var sources: [EntryVerifierSource] = []
    /// The last entry's key.
    private var key: [UInt8] = []
    /// Where the entries of that key have led so far, at the deepest.
    private var deepest: (rank: Int, place: String, sequence: SequenceNumber)?
    private var problemCount = 0

    /// Findings beyond these are only counted.
    static let problemLimit = 100

    init(
        _ version: Version,
        keyspace: String,
        without damagedTables: Set<FileNumber>,
        _ unreadableBlobFiles: Set<FileNumber>,
        _ blobs: BlobStore
    ) {
        self.keyspace = keyspace
        self.blobs = blobs
        blobFiles = Set(version.blobFiles.map(\.number)).subtracting(unreadableBlobFiles)
        var rank = 0
        for (level, tables) in version.levels.enumerated() {
            var run: [Table] = []
            for table in tables where !damagedTables.contains(table.metadata.number) {
                let overlaps = run.last.map { !TableOrder.ends($0.metadata, before: table.metadata.smallest) } ?? false
                if level == 0 || overlaps {
                    add(run, level, rank)
                    run = []
                    if level == 0 { rank += 1 }
                }
                run.append(table)
            }
            add(run, level, rank)
            rank += 1
        }
    }

    private mutating func add(_ run: [Table], _ level: Int, _ rank: Int) {
        if !run.isEmpty { sources.append(EntryVerifierSource(run, level: level, rank: rank)) }
    }

    mutating func run(_ report: (ApusError) -> Void) {
        for source in sources { source.advance(report) }
        sources.removeAll { !$0.isValid }
        sources.sort { $0.isBefore($1) }
        while let first = sources.first {
            check(first, report)
            first.advance(report)
            if !first.isValid {
                sources.swapAt(0, sources.count - 1)
                sources.removeLast()
            }
            sink()
        }
        if problemCount > Self.problemLimit {
            report(
                ApusError(
                    .corruption,
                    "\(problemCount - Self.problemLimit) more entries of keyspace \"\(keyspace)\" are out of place or refer"
                        + " to what is not there"))
        }
    }

    /// Restores the heap after a change of its first source.
    private mutating func sink() {
        var index = 0
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2]
            where child < sources.count && sources[child].isBefore(sources[least]) { least = child }
            if least == index { return }
            sources.swapAt(index, least)
            index = least
        }
    }

    // MARK: - One entry

    private mutating func check(_ source: EntryVerifierSource, _ report: (ApusError) -> Void) {
        guard let entry = source.cursor else { return }
        let sequence = entry.trailer.sequence
        let isSameKey = deepest != nil && key.withUnsafeBytes { equalBytes($0, entry.key) }
        if !isSameKey {
            key.removeAll(keepingCapacity: true)
            key.append(contentsOf: entry.key)
            deepest = nil
        }
        if let deepest, source.rank < deepest.rank || sequence == deepest.sequence && source.rank != deepest.rank {
            let this = (rank: source.rank, place: source.place, sequence: sequence)
            let (upper, lower) = this.rank < deepest.rank ? (this, deepest) : (deepest, this)
            note(
                .corruption(
                    "\(upper.place) of keyspace \"\(keyspace)\" holds \(DumpText.quoted(entry.key)) at sequence"
                        + " \(upper.sequence.rawValue), but \(lower.place) below it holds it at"
                        + " \(lower.sequence.rawValue)",
                    file: source.path),
                report)
        }
        if deepest.map({ source.rank >= $0.rank }) ?? true { deepest = (source.rank, source.place, sequence) }
        checkReference(entry, report)
    }

    private mutating func checkReference(_ entry: EntryCursor, _ report: (ApusError) -> Void) {
        guard case .separated(let reference, _) = EntryPayload(entry.trailer, entry.payload),
            blobFiles.contains(reference.file)
        else { return }
        do throws(ApusError) {
            try blobs.check(reference, of: entry.key)
        } catch {
            var error = error
            error.message += ": it stands at key \(DumpText.quoted(entry.key)) of keyspace \"\(keyspace)\""
            note(error, report)
        }
    }

    private mutating func note(_ problem: ApusError, _ report: (ApusError) -> Void) {
        problemCount += 1
        if problemCount <= Self.problemLimit { report(problem) }
    }
}

/// Tables of one level that do not overlap, in order, opened one after the other.
private final class EntryVerifierSource {
    /// Smaller where entries are newer.
    let rank: Int
    /// At the current entry; nil before the first and behind the last.
    private(set) var cursor: EntryCursor?

    private let tables: [Table]
    private let level: Int
    private var nextTable = 0

    init(_ tables: [Table], level: Int, rank: Int) {
        self.tables = tables
        self.level = level
        self.rank = rank
    }

    var isValid: Bool { cursor != nil }
    var place: String { "table \(tables[nextTable - 1].metadata.number) of level \(level)" }
    var path: String { tables[nextTable - 1].path }

    func isBefore(_ other: EntryVerifierSource) -> Bool {
        guard let a = cursor, let b = other.cursor else { return false }
        let order = compareInternal(a.key, a.trailer, b.key, b.trailer)
        return order != 0 ? order < 0 : rank < other.rank
    }

    /// Goes to the next entry. A table that cannot be read to its end is reported and left.
    func advance(_ report: (ApusError) -> Void) {
        while true {
            do throws(ApusError) {
                if let cursor {
                    try cursor.next()
                } else {
                    guard nextTable < tables.count else { return }
                    nextTable += 1
                    let opened = tables[nextTable - 1].makeCursor(fillCache: false, readahead: true)
                    cursor = opened
                    try opened.seekToFirst()
                }
            } catch {
                report(error)
                cursor = nil
                continue
            }
            if cursor?.isValid == true { return }
            cursor = nil
        }
    }
}
