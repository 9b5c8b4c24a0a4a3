// The sound entries of a run of tables, in order, while everything else goes to the report.

import ApusIO

/// Goes forward only, from `seekToFirst`, once. Entries ascend strictly whatever the files hold: one that does not is
/// reported and left out.
///
/// Invariant of the unsafe part: `keys` is room for two keys, owned by the cursor; `key` views one half, the next key
/// is put together in the other.
final class SalvageCursor: EntryCursor {
    private let tables: [SalvageTable]
    private let keyspace: String
    private let directory: String
    private let fileSystem: any FileSystem
    private let recorder: SalvageRecorder

    private let keys: UnsafeMutableRawPointer
    private var usesSecondHalf = false
    private var hasLast = false

    private var nextTable = 0
    private var walk: TableWalk?
    private var block: Block?
    private var blockOffset: UInt64 = 0
    private var rank = 0
    private var nextEntry: UnsafeRawPointer?
    /// Whether the last sound entry is one of the current table.
    private var isInTable = false
    /// Losses since that entry, or since the table's beginning.
    private var openLosses: [Int] = []

    private static let keyRoom = Limits.keyByteCount.upperBound + 8

    init(
        _ tables: [SalvageTable],
        keyspace: String,
        in directory: String,
        on fileSystem: any FileSystem,
        _ recorder: SalvageRecorder
    ) {
        self.tables = tables
        self.keyspace = keyspace
        self.directory = directory
        self.fileSystem = fileSystem
        self.recorder = recorder
        keys = .allocate(byteCount: 2 * Self.keyRoom, alignment: 8)
    }

    deinit { keys.deallocate() }

    override func seekToFirst() throws(ApusError) { try advance() }
    override func next() throws(ApusError) { try advance() }

    private func advance() throws(ApusError) {
        isValid = false
        while true {
            if let block {
                guard rank < block.entryCount else {
                    self.block = nil
                    continue
                }
                if take(block) { return }
            } else if walk != nil {
                try enterNextBlock()
            } else {
                guard try openNextTable() else { return }
            }
        }
    }

    // MARK: - Entries

    /// Makes the next entry of the block the current one; false if it cannot be.
    private func take(_ block: Block) -> Bool {
        let entry = block.entry(at: nextEntry!)
        let found = assemble(entry, block)
        rank += 1
        nextEntry = entry.end
        if hasLast && compareInternal(key, trailer, found, entry.trailer) >= 0 {
            // The same entry twice in a run is no loss.
            if !(equalBytes(key, found) && trailer == entry.trailer) { lose(found, "an entry is out of order") }
            return false
        }
        guard EntryPayload(entry.trailer, entry.payload) != nil else {
            lose(found, "an entry's payload does not fit its kind")
            return false
        }
        usesSecondHalf.toggle()
        hasLast = true
        isInTable = true
        key = found
        trailer = entry.trailer
        payload = entry.payload
        if !openLosses.isEmpty {
            recorder.close(openLosses, at: [UInt8](key))
            openLosses = []
        }
        isValid = true
        return true
    }

    /// Puts the key of an entry together in the half that is free.
    private func assemble(_ entry: Block.Entry, _ block: Block) -> UnsafeRawBufferPointer {
        let start = keys + (usesSecondHalf ? 0 : Self.keyRoom)
        let prefix = block.prefix
        if let source = prefix.baseAddress { start.copyMemory(from: source, byteCount: prefix.count) }
        let head = block.head(node: block.order.node(rank: rank)).bigEndian
        (start + prefix.count).storeBytes(of: head, as: UInt64.self)
        if entry.suffixCount > 0 {
            (start + (prefix.count + 8)).copyMemory(from: entry.suffix, byteCount: entry.suffixCount)
        }
        return UnsafeRawBufferPointer(start: start, count: prefix.count + entry.restCount)
    }

    private func lose(_ key: UnsafeRawBufferPointer, _ what: String) {
        recorder.lose(
            SalvageReport.Loss(
                file: walk?.path ?? directory,
                offset: blockOffset,
                what: what,
                keyspace: keyspace,
                lowerKey: [UInt8](key),
                upperKey: [UInt8](key)
            )
        )
    }

    // MARK: - Blocks

    private func enterNextBlock() throws(ApusError) {
        guard let walk else { return }
        do throws(ApusError) {
            switch try walk.next() {
            case .block(let part):
                guard part.kind == .data else { return }
                block = part.entries
                blockOffset = part.handle.offset
                rank = 0
                nextEntry = part.entries.entriesStart
            case .damage(let damage):
                lose(damage, walk.path)
            case nil:
                closeTable()
            }
        } catch {
            guard error.isLoss else { throw error }
            lose(
                TableDamage(
                    offset: error.offset ?? 0, byteCount: 0, place: .unknown,
                    what: "the rest of the table cannot be read: \(error.message)"
                ), walk.path
            )
            closeTable()
        }
    }

    private func lose(_ damage: TableDamage, _ path: String) {
        var loss = SalvageReport.Loss(
            file: path,
            offset: damage.offset,
            byteCount: damage.byteCount,
            what: describe(damage),
            keyspace: keyspace
        )
        guard damage.mayHoldEntries else {
            recorder.lose(loss)
            return
        }
        loss.lowerKey = isInTable ? [UInt8](key) : tables[nextTable - 1].metadata?.smallest
        if let index = recorder.lose(loss) { openLosses.append(index) }
    }

    private func describe(_ damage: TableDamage) -> String {
        switch damage.place {
        case .block(.rangeDeletions): "range deletions are lost, and what they hid may be visible: \(damage.what)"
        case .block(.data): "a data block is damaged: \(damage.what)"
        case .block(let kind): "no entries are lost, but the \(kind.name) is damaged: \(damage.what)"
        case .length: "nothing is lost: \(damage.what)"
        case .footer: "no entries are lost, but the footer is damaged: \(damage.what)"
        case .unknown: "not readable: \(damage.what)"
        }
    }

    // MARK: - Tables

    private func openNextTable() throws(ApusError) -> Bool {
        guard nextTable < tables.count else { return false }
        let number = tables[nextTable].number
        nextTable += 1
        isInTable = false
        do throws(ApusError) {
            walk = try TableWalk(number, in: directory, on: fileSystem)
        } catch {
            guard error.isLoss || error.kind == .unsupportedFormat else { throw error }
            recorder.lose(error, in: directory, keyspace: keyspace)
        }
        return true
    }

    private func closeTable() {
        if !openLosses.isEmpty, let largest = tables[nextTable - 1].metadata?.largest {
            recorder.close(openLosses, at: largest)
        }
        openLosses = []
        walk = nil
    }
}
