// Putting a content that lies in memory: in a transaction of its own, or in one that does more.

public import Apus
import ApusIO

extension BlobCollection {
    /// Stores `content` and returns its address: in transactions of its own. If it is stored already, nothing is stored
    /// again, but its grace period begins anew.
    ///
    /// A blob that nothing refers to is garbage once its grace period is over: see `retain`.
    /// - Parameter durability: when the call returns; the database's default if nil.
    /// - Throws: `ApusError` as every commit.
    @discardableResult
    public func put(_ content: some ByteRepresentable, durability: Durability? = nil) throws -> BlobID {
        try content.withBytes { bytes in
            if bytes.count <= largestWhole {
                let id = BlobID(of: bytes)
                // A blob whose grace period has just begun needs no commit, unless it has to be made durable.
                if durability == .relaxed, let record = try record(of: id, in: store),
                    !needsNewTime(record, at: store.time)
                {
                    return id
                }
                try store.transaction(durability: durability) { try putWhole(bytes, id, in: $0) }
                return id
            }
            let put = ChunkedPut(in: self)
            defer { put.end() }
            return try put.putAll(bytes, durability: durability)
        }
    }

    /// Stores `content`, of any size that fits into a commit, together with whatever else the transaction does.
    @discardableResult
    public func put(_ content: some ByteRepresentable, in transaction: StoreTransaction) throws -> BlobID {
        try content.withBytes { bytes in
            let id = BlobID(of: bytes)
            if bytes.count <= largestWhole {
                try putWhole(bytes, id, in: transaction)
                return id
            }
            if try renew(id, in: transaction) { return id }
            var plan = try ChunkPlan(cut(bytes), of: bytes, for: self, in: transaction)
            let list = try freeList(in: transaction)
            var trial = CompressionTrial()
            plan.write(trial: &trial, in: transaction)
            plan.writePages(of: list, from: 0, in: transaction)
            addRecord(id, .chunked(list: list), byteCount: UInt64(bytes.count), in: transaction)
            return id
        }
    }

    private func putWhole(_ bytes: UnsafeRawBufferPointer, _ id: BlobID, in transaction: StoreTransaction) throws {
        if try renew(id, in: transaction) { return }
        var stored: [UInt8] = []
        // What the last contents were like says what this one is: many media files come together.
        var trial = self.trial.withLock { $0 }
        trial.encode(bytes, into: &stored)
        self.trial.withLock { $0 = trial }
        transaction.put(id, stored, in: content)
        add(1, to: .pieces, in: transaction)
        add(Int64(bytes.count), to: .pieceBytes, in: transaction)
        add(Int64(stored.count), to: .storedBytes, in: transaction)
        addRecord(id, .whole, byteCount: UInt64(bytes.count), in: transaction)
    }

    // MARK: For putting piece by piece

    /// Begins the grace period of a blob anew; false if there is no such blob.
    func renew(_ id: BlobID, in transaction: StoreTransaction) throws -> Bool {
        guard var record = try record(of: id, in: transaction) else { return false }
        if needsNewTime(record, at: transaction.time) {
            record.putAt = transaction.time
            transaction.put(BlobIndexKey.record(id), record.encoded, in: index)
        } else {
            // The put that stored it may not be durable yet: this one has to be a commit, though it changes nothing.
            transaction.merge(BlobCounter.blobs.key, 0, in: index)
        }
        return true
    }

    /// Times are kept to a quarter of the grace period, so that putting the same content often costs few commits.
    private func needsNewTime(_ record: BlobRecord, at time: UInt64) -> Bool {
        time > record.putAt && time - record.putAt > graceMilliseconds / 4
    }

    func addRecord(_ id: BlobID, _ layout: BlobRecord.Layout, byteCount: UInt64, in transaction: StoreTransaction) {
        let record = BlobRecord(layout: layout, byteCount: byteCount, putAt: transaction.time)
        transaction.put(BlobIndexKey.record(id), record.encoded, in: index)
        add(1, to: .blobs, in: transaction)
        add(Int64(byteCount), to: .contentBytes, in: transaction)
    }

    /// The number of a list that does not exist.
    func freeList(in transaction: StoreTransaction) throws -> UInt64 {
        while true {
            let list = store.database.environment.random.next()
            if try transaction.contains(BlobIndexKey.mark(list), in: index) { continue }
            var isFree = true
            try transaction.scan(.prefix(BlobIndexKey.pages(list)), in: index, reversed: false, limit: 1) { _, _ in
                isFree = false
                return .stop
            }
            if isFree { return list }
        }
    }

    /// Cuts a whole content.
    private func cut(_ bytes: UnsafeRawBufferPointer) -> [CutChunk] {
        var chunks: [CutChunk] = []
        _ = cut(bytes, isEnd: true, into: &chunks)
        return chunks
    }

    /// Cuts `bytes` as far as the cuts are certain, and returns how far that is.
    ///
    /// - Parameter isEnd: the content ends where the bytes do.
    func cut(_ bytes: UnsafeRawBufferPointer, isEnd: Bool, into chunks: inout [CutChunk]) -> Int {
        var start = 0
        while start < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[start...])
            let byteCount = chunker.firstChunk(of: rest)
            // A chunk that only ends because the bytes do may go on in what follows.
            if !isEnd && byteCount == rest.count && byteCount < chunker.maximum { break }
            let chunk = UnsafeRawBufferPointer(rebasing: rest[..<byteCount])
            chunks.append(CutChunk(range: start..<start + byteCount, address: fingerprint.address(of: chunk)))
            start += byteCount
        }
        return start
    }
}
