// Reclaiming what nobody refers to: blobs without references whose grace period is over, and lists that a put, or an
// earlier collection, has left behind. Every step is a transaction that looks again before it removes anything, so it
// runs beside puts, references and other collections, and may be cut short anywhere.

import Apus
import ApusIO

/// What collecting garbage has reclaimed.
public struct BlobGarbage: Sendable, Hashable {
    /// Blobs without references.
    public internal(set) var blobs = 0
    /// Contents that were never put completely, or whose removal had been cut short.
    public internal(set) var incomplete = 0
    /// Whole contents and chunks that nothing uses any more.
    public internal(set) var pieces = 0
    /// Bytes that they were stored in. The files shrink when the engine next compacts.
    public internal(set) var storedBytes = 0
}

extension BlobCollection {
    /// Reclaims blobs that nothing refers to and whose grace period is over, and what puts that came to no end have left.
    /// Safe beside everything else, puts that are under way included.
    @discardableResult
    public func collectGarbage() throws -> BlobGarbage {
        var garbage = BlobGarbage()
        for list in try abandonedLists() {
            if let reclaimed = try reclaim(list) {
                garbage.incomplete += 1
                garbage.add(reclaimed)
            }
        }
        var next: BlobID?
        repeat {
            let (candidates, following) = try unreferenced(from: next)
            for id in candidates { try reclaim(id, &garbage) }
            next = following
        } while next != nil
        return garbage
    }

    /// Marked lists that no put of this process is writing.
    private func abandonedLists() throws -> [UInt64] {
        var lists: [UInt64] = []
        try store.scan(.prefix([BlobIndexTag.mark]), in: index) { key, _ in
            if let list = key.withBytes({ BlobIndexKey.number(in: $0, at: 1) }) { lists.append(list) }
            return .next
        }
        return activeLists.withLock { active in lists.filter { !active.contains($0) } }
    }

    /// Some blobs that look like garbage, and where to go on looking; nil if that was all.
    private func unreferenced(from start: BlobID?) throws -> (candidates: [BlobID], next: BlobID?) {
        let snapshot = try store.snapshot()
        defer { snapshot.release() }
        var range = KeyRange.prefix([BlobIndexTag.record])
        if let start { range.lower = BlobIndexKey.record(start) }
        var candidates: [BlobID] = []
        var next: BlobID?
        var seen = 0
        try snapshot.scan(range, in: index) { key, value in
            guard let id = key.withBytes({ BlobID($0.dropFirst()) }) else { return .next }
            // A long scan keeps what was overwritten meanwhile.
            if seen == Self.recordsPerScan {
                next = id
                return .stop
            }
            seen += 1
            // A damaged record is for `verify` to report.
            guard let record = value.withBytes({ BlobRecord($0) }), isOld(record, at: snapshot.time) else {
                return .next
            }
            if try count(BlobIndexKey.references(id), in: snapshot) <= 0 { candidates.append(id) }
            return .next
        }
        return (candidates, next)
    }

    private static let recordsPerScan = 10_000

    private func isOld(_ record: BlobRecord, at time: UInt64) -> Bool {
        // Times of records may be a quarter of the grace period behind.
        time >= record.putAt && time - record.putAt >= graceMilliseconds + graceMilliseconds / 4
    }

    private func reclaim(_ id: BlobID, _ garbage: inout BlobGarbage) throws {
        let (isGone, list, reclaimed) = try store.transaction(durability: .relaxed) {
            transaction -> (Bool, UInt64?, ReclaimedPieces) in
            var pieces = ReclaimedPieces()
            guard let record = try record(of: id, in: transaction), isOld(record, at: transaction.time),
                try count(BlobIndexKey.references(id), in: transaction) <= 0
            else { return (false, nil, pieces) }
            transaction.delete(BlobIndexKey.record(id), in: index)
            transaction.delete(BlobIndexKey.references(id), in: index)
            add(-1, to: .blobs, in: transaction)
            add(-Int64(record.byteCount), to: .contentBytes, in: transaction)
            guard case .chunked(let list) = record.layout else {
                if let stored = try transaction.withValue(for: id, in: content, { $0.byteCount }) {
                    pieces.add(byteCount: Int(record.byteCount), storedByteCount: stored)
                    transaction.delete(id, in: content)
                }
                subtract(pieces, in: transaction)
                return (true, nil, pieces)
            }
            // However long the list is, it is out of the way now, and what is left to do is written down.
            var mark: [UInt8] = []
            mark.appendLittleEndian(transaction.time)
            transaction.put(BlobIndexKey.mark(list), mark, in: index)
            return (true, list, pieces)
        }
        guard isGone else { return }
        garbage.blobs += 1
        garbage.add(reclaimed)
        if let list, let reclaimed = try reclaim(list) { garbage.add(reclaimed) }
    }

    /// Takes back the uses of a list that has no record, page by page, and removes it; nil if it was none.
    func reclaim(_ list: UInt64) throws -> ReclaimedPieces? {
        var total: ReclaimedPieces?
        // Looking from the beginning would meet, each time, the remains of every page that is gone.
        var start: [UInt8]?
        while true {
            let step = try store.transaction(durability: .relaxed) {
                transaction -> (pieces: ReclaimedPieces, page: [UInt8]?)? in
                // Without a mark the list is a blob's by now, or gone.
                guard try transaction.contains(BlobIndexKey.mark(list), in: index) else { return nil }
                guard let page = try firstPage(of: list, from: start, in: transaction) else {
                    transaction.delete(BlobIndexKey.mark(list), in: index)
                    return (ReclaimedPieces(), nil)
                }
                let pieces = try drop(page.entries, in: transaction)
                transaction.delete(page.key, in: index)
                return (pieces, page.key)
            }
            guard let step else { return total }
            total = total ?? ReclaimedPieces()
            total!.add(step.pieces)
            guard let page = step.page else { return total }
            start = page
        }
    }

    private func firstPage(
        of list: UInt64, from start: [UInt8]?, in transaction: StoreTransaction
    ) throws -> (key: [UInt8], entries: [ChunkEntry])? {
        var page: (key: [UInt8], entries: [ChunkEntry])?
        var range = KeyRange.prefix(BlobIndexKey.pages(list))
        if let start { range.lower = start }
        try transaction.scan(range, in: index, reversed: false, limit: 1) { key, value in
            guard let entries = value.withBytes({ BlobPage.decode($0) }) else {
                throw StoreError(
                    .corruption, "a page of list \(list) is damaged", collection: collectionName.description)
            }
            page = (key.withBytes { [UInt8]($0) }, entries)
            return .stop
        }
        return page
    }

    /// Takes back one use for each entry; chunks without a use left go.
    private func drop(_ entries: [ChunkEntry], in transaction: StoreTransaction) throws -> ReclaimedPieces {
        var uses: [ChunkAddress: Int64] = [:]
        for entry in entries { uses[entry.address, default: 0] += 1 }
        // All that is read comes before all that is written: see ChunkPlan.
        var left: [ChunkAddress: Int64] = [:]
        for address in uses.keys { left[address] = try count(BlobIndexKey.uses(address), in: transaction) }
        var pieces = ReclaimedPieces()
        for entry in entries {
            guard let count = uses.removeValue(forKey: entry.address) else { continue }
            if left[entry.address, default: 0] > count {
                transaction.merge(BlobIndexKey.uses(entry.address), -count, in: index)
            } else {
                transaction.delete(BlobIndexKey.uses(entry.address), in: index)
                transaction.delete(entry.address, in: content)
                pieces.add(byteCount: entry.byteCount, storedByteCount: entry.storedByteCount)
            }
        }
        subtract(pieces, in: transaction)
        return pieces
    }

    private func subtract(_ pieces: ReclaimedPieces, in transaction: StoreTransaction) {
        add(-Int64(pieces.count), to: .pieces, in: transaction)
        add(-Int64(pieces.byteCount), to: .pieceBytes, in: transaction)
        add(-Int64(pieces.storedByteCount), to: .storedBytes, in: transaction)
    }
}

/// Contents and chunks that were removed.
struct ReclaimedPieces: Sendable {
    private(set) var count = 0
    private(set) var byteCount = 0
    private(set) var storedByteCount = 0

    mutating func add(byteCount: Int, storedByteCount: Int) {
        count += 1
        self.byteCount += byteCount
        self.storedByteCount += storedByteCount
    }

    mutating func add(_ other: ReclaimedPieces) {
        count += other.count
        byteCount += other.byteCount
        storedByteCount += other.storedByteCount
    }
}

extension BlobGarbage {
    fileprivate mutating func add(_ reclaimed: ReclaimedPieces) {
        pieces += reclaimed.count
        storedBytes += reclaimed.storedByteCount
    }
}
