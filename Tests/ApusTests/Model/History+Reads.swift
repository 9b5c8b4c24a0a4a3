// Reads of a history: by key, by range, through snapshots, and through cursors that stay open over everything else.

import ApusSimulation

@testable import Apus

/// A cursor with the entries that it must show, however long it lives.
final class TrackedCursor {
    let cursor: Cursor
    let keyspace: ModelKeyspace
    let entries: [Entry]
    /// Index of the current entry; nil if the cursor stands on none.
    var position: Int?

    init(_ cursor: Cursor, _ keyspace: ModelKeyspace, _ entries: [Entry]) {
        self.cursor = cursor
        self.keyspace = keyspace
        self.entries = entries
    }
}

extension History {
    func check(
        _ found: [UInt8]?, _ key: [UInt8], _ keyspace: ModelKeyspace, at sequence: UInt64, time: UInt64, _ what: String
    ) throws {
        observe("\(what) of \(key.shown) in \(keyspace.name) at \(sequence): \(found.map { "\($0)" } ?? "nothing")")
        if keyspace.isExact {
            let expected = keyspace.value(of: key, at: sequence, time: time)
            guard found != expected else { return }
            throw HistoryFailure(
                "\(what) of \(key.shown) in \(keyspace.name) at \(sequence): found \(found?.shown ?? "nothing"), "
                    + "expected \(expected?.shown ?? "nothing")\n" + keyspace.whereabouts(of: key))
        }
        guard !keyspace.allows(found, for: key, at: sequence, time: time) else { return }
        throw HistoryFailure("\(what) of \(key.shown) in \(keyspace.name): \(found?.shown ?? "nothing") is impossible")
    }

    func check(
        _ found: [Entry], _ expected: [Entry], _ keyspace: ModelKeyspace, at sequence: UInt64, time: UInt64,
        _ what: String
    ) throws {
        observe("\(what) in \(keyspace.name) at \(sequence): \(found.map { "\($0.key)=\($0.value)" })")
        if keyspace.isExact {
            if found == expected { return }
            let index = zip(found, expected).prefix { $0 == $1 }.count
            func shown(_ entries: [Entry]) -> String {
                index < entries.count ? "\(entries[index].key.shown)=\(entries[index].value.shown)" : "the end"
            }
            throw HistoryFailure(
                "\(what) in \(keyspace.name) at \(sequence): entry \(index) is \(shown(found)), expected "
                    + "\(shown(expected)) (\(found.count) found, \(expected.count) expected)")
        }
        for entry in found { try check(entry.value, entry.key, keyspace, at: sequence, time: time, what) }
    }

    // MARK: By key

    func readSome() throws {
        let keyspace = keyspace()
        let handle = keyspace.handle
        let key = key()
        let (time, sequence) = (now, lastSequence)
        switch random.below(4) {
        case 0:
            // Sometimes more than are looked up side by side.
            let keys = (0..<random.between(1, random.below(8) == 0 ? 40 : 8)).map { _ in self.key() }
            note("get \(keys.count) keys of \(keyspace.name)")
            for (key, value) in zip(keys, try handle.get(keys)) {
                try check(value, key, keyspace, at: sequence, time: time, "multi-get")
            }
        case 1:
            note("contains \(key.shown) in \(keyspace.name)")
            let found = try handle.contains(key)
            let value = keyspace.isExact ? keyspace.value(of: key, at: sequence, time: time) : try handle.get(key)
            guard found == (value != nil) else {
                throw HistoryFailure("contains \(key.shown) in \(keyspace.name) is \(found)")
            }
        case 2:
            note("withValue \(key.shown) in \(keyspace.name)")
            let value = try handle.withValue(for: key) { $0.copied() }
            try check(value, key, keyspace, at: sequence, time: time, "withValue")
        default:
            note("get \(key.shown) in \(keyspace.name)")
            try check(try handle.get(key), key, keyspace, at: sequence, time: time, "get")
        }
    }

    func scan() throws {
        let keyspace = keyspace()
        let (range, isReversed) = (range(), random.chance(50))
        let limit = random.chance(40) ? random.below(6) : .max
        let (time, sequence) = (now, lastSequence)
        note("entries of \(keyspace.name) \(range.shown) reversed \(isReversed) limit \(limit)")
        let found = try keyspace.handle.entries(range, reversed: isReversed, limit: limit)
        var expected = keyspace.entries(range, at: sequence, time: time)
        if isReversed { expected.reverse() }
        try check(found, Array(expected.prefix(limit)), keyspace, at: sequence, time: time, "scan")
    }

    // MARK: Snapshots

    func useSnapshot() throws {
        if snapshots.isEmpty || random.chance(30) && snapshots.count < 4 {
            note("snapshot at \(lastSequence)")
            snapshots.append(PinnedSnapshot(snapshot: try database.snapshot(), sequence: lastSequence, time: now))
            return
        }
        let index = random.below(snapshots.count)
        let pinned = snapshots[index]
        guard pinned.snapshot.sequence == pinned.sequence else {
            throw HistoryFailure("the snapshot at \(pinned.sequence) says \(pinned.snapshot.sequence)")
        }
        if random.chance(25) {
            note("release the snapshot at \(pinned.sequence)")
            if random.chance(50) { pinned.snapshot.release() }
            snapshots.remove(at: index)
            return
        }
        try check(pinned)
    }

    func check(_ pinned: PinnedSnapshot) throws {
        let keyspace = keyspace()
        let (sequence, time) = (pinned.sequence, pinned.time)
        if random.chance(40) {
            let keys = (0..<random.between(1, 4)).map { _ in key() }
            note("get at snapshot \(sequence) of \(keyspace.name)")
            for (key, value) in zip(keys, try pinned.snapshot.get(keys, in: keyspace.handle)) {
                try check(value, key, keyspace, at: sequence, time: time, "get at snapshot")
                guard try pinned.snapshot.contains(key, in: keyspace.handle) == (value != nil) else {
                    throw HistoryFailure("contains at snapshot \(sequence) of \(key.shown) in \(keyspace.name)")
                }
            }
        } else {
            let (range, isReversed) = (range(), random.chance(50))
            note("entries at snapshot \(sequence) of \(keyspace.name) \(range.shown) reversed \(isReversed)")
            let found = try pinned.snapshot.entries(range, in: keyspace.handle, reversed: isReversed)
            let expected = keyspace.entries(range, at: sequence, time: time)
            try check(
                found, isReversed ? expected.reversed() : expected, keyspace, at: sequence, time: time,
                "scan at snapshot")
        }
    }

    // MARK: Cursors

    func moveCursor() throws {
        if cursors.isEmpty || random.chance(25) && cursors.count < 5 { try makeCursor() }
        guard !cursors.isEmpty else { return }
        let cursor = random.pick(cursors)
        for _ in 0..<random.between(1, 10) { try move(cursor) }
        if random.chance(15) {
            note("cursor goes")
            cursors.removeAll { $0 === cursor }
        }
    }

    private func makeCursor() throws {
        let keyspace = keyspace()
        guard keyspace.isExact else { return }
        let range = range()
        note("cursor over \(keyspace.name) \(range.shown)")
        defer { if let last = cursors.last { note("  has \(last.entries.map(\.key.shown))") } }
        if let pinned = snapshots.last, random.chance(30) {
            let expected = keyspace.entries(range, at: pinned.sequence, time: pinned.time)
            let cursor = try pinned.snapshot.makeCursor(range, in: keyspace.handle)
            cursors.append(TrackedCursor(cursor, keyspace, expected))
        } else {
            let expected = keyspace.entries(range, at: lastSequence, time: now)
            cursors.append(TrackedCursor(try keyspace.handle.makeCursor(range), keyspace, expected))
        }
    }

    private func move(_ model: TrackedCursor) throws {
        let (cursor, entries) = (model.cursor, model.entries)
        var what: String
        switch random.below(12) {
        case 0:
            what = "seekToFirst"
            try cursor.seekToFirst()
            model.position = entries.isEmpty ? nil : 0
        case 1:
            what = "seekToLast"
            try cursor.seekToLast()
            model.position = entries.isEmpty ? nil : entries.count - 1
        case 2, 3:
            let key = key()
            what = "seek \(key.shown)"
            try cursor.seek(key)
            model.position = entries.firstIndex { !($0.key < key) }
        case 4, 5:
            let key = key()
            what = "seek at or before \(key.shown)"
            try cursor.seek(atOrBefore: key)
            model.position = entries.lastIndex { !(key < $0.key) }
        case 6..<9:
            what = "next"
            try cursor.next()
            let next = model.position.map { $0 + 1 } ?? 0
            model.position = next < entries.count ? next : nil
        default:
            what = "previous"
            try cursor.previous()
            let previous = model.position.map { $0 - 1 } ?? entries.count - 1
            model.position = previous >= 0 ? previous : nil
        }
        note("cursor of \(model.keyspace.name): \(what), on \(cursor.isValid ? cursor.key.shown : "no entry")")
        observe("cursor of \(model.keyspace.name): \(what), on \(cursor.isValid ? "\(cursor.key)" : "no entry")")
        guard let position = model.position else {
            if cursor.isValid {
                throw HistoryFailure(
                    "cursor of \(model.keyspace.name), \(what): on \(cursor.key.shown), expected none\n"
                        + model.keyspace.whereabouts(of: cursor.key))
            }
            return
        }
        let expected = entries[position]
        guard cursor.isValid, cursor.key == expected.key else {
            let found = cursor.isValid ? cursor.key.shown : "no entry"
            throw HistoryFailure(
                "cursor of \(model.keyspace.name), \(what): on \(found), expected \(expected.key.shown)\n"
                    + (cursor.isValid ? model.keyspace.whereabouts(of: cursor.key) : ""))
        }
        let value = random.chance(50) ? try cursor.value() : try cursor.withEntry { $1.copied() }
        guard value == expected.value else {
            throw HistoryFailure(
                "cursor of \(model.keyspace.name) on \(expected.key.shown): value \(value.shown), expected "
                    + expected.value.shown)
        }
    }
}

extension ModelKeyspace {
    /// Where the engine has what about a key, for failures.
    func whereabouts(of key: [UInt8]) -> String {
        let view = handle.tree.retainedView()
        var lines: [String] = []
        for memtable in view.memtables {
            let found = key.withUnsafeBytes { memtable.find($0, .first)?.trailer }
            lines.append("memtable \(found.map { "\($0)" } ?? "-") \(memtable.rangeDeletions?.all().count ?? 0)")
        }
        for (level, tables) in view.version.levels.enumerated() {
            for table in tables {
                let metadata = table.metadata
                let found = key.withUnsafeBytes { key in
                    (try? table.find(key, hash: KeyHash.of(key), .first, fill: false)).flatMap { $0 }.map {
                        "\($0.trailer)"
                    }
                }
                let cursor = table.makeCursor(fillCache: false, readahead: false)
                let sought = key.withUnsafeBytes { key -> String in
                    try? cursor.seek(key, .first)
                    var text = cursor.isValid ? "\([UInt8](cursor.key).shown) \(cursor.trailer.rawValue)" : "end"
                    try? cursor.seek(key, .last)
                    text += cursor.isValid ? ", then \([UInt8](cursor.key).shown) \(cursor.trailer.rawValue)" : ", end"
                    return text
                }
                let deletions = (try? table.rangeDeletions())??.all() ?? []
                lines.append(
                    "level \(level) table \(metadata.number) \(metadata.smallest.shown) to \(metadata.largest.shown)"
                        + " exclusive \(metadata.largestIsExclusive) \(metadata.smallestSequence) to "
                        + "\(metadata.largestSequence): find \(found ?? "-") cursor \(sought) deletions "
                        + deletions.map { "\($0.start.shown)–\($0.end.shown)@\($0.sequence)" }.joined(separator: " "))
            }
        }
        return lines.joined(separator: "\n")
    }
}
