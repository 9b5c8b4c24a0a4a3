// Putting a large content page by page, in commits of a few megabytes, so that memory stays bounded however large it is.
//
// 1. The first page takes a number for the list, with a mark, and enters it among the lists that are being written.
// 2. Every page is a commit of its own: the chunks that are new, their uses, and the page of the list.
// 3. The last commit adds the record and removes the mark. If the content turns out to be there already, the list is
//    given up instead.
//
// A put that ends before 3, by an error or a crash, leaves a marked list, which collecting garbage takes back.

import Apus
import ApusIO

/// One content on its way into a collection. One thread at a time.
final class ChunkedPut {
    private let collection: BlobCollection
    private var hash: HashLane
    private var trial = CompressionTrial()
    private var list: UInt64?
    /// Bytes that are in pages already.
    private var offset: UInt64 = 0

    init(in collection: BlobCollection) {
        self.collection = collection
        hash = HashLane(collection.store.database.environment.scheduler)
    }

    /// From now on the list is nobody's, if it has no record. Idempotent.
    func end() {
        guard let list else { return }
        collection.activeLists.withLock { _ = $0.remove(list) }
    }

    /// Puts a content that lies in memory as a whole.
    func putAll(_ bytes: UnsafeRawBufferPointer, durability: Durability?) throws -> BlobID {
        var start = 0
        var hashed = 0
        while true {
            let end = min(start + collection.chunker.pageByteCount, bytes.count)
            let window = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
            if end == bytes.count { return try finish(window, hashed: hashed - start, durability: durability) }
            start += try append(window, hashed: hashed - start)
            hashed = end
        }
    }

    /// Stores as much of `window` as can be cut for certain, and returns how much that is; the rest has to be the
    /// beginning of the next window.
    ///
    /// - Parameter hashed: how many bytes at the beginning of the window were in the last one.
    func append(_ window: UnsafeRawBufferPointer, hashed: Int) throws -> Int {
        let fresh = UnsafeRawBufferPointer(rebasing: window[hashed...])
        return try hash.update(fresh) {
            var chunks: [CutChunk] = []
            let byteCount = collection.cut(window, isEnd: false, into: &chunks)
            guard byteCount > 0 else { return 0 }
            let list = try begin()
            // The last commit makes the earlier ones as durable as itself.
            try collection.store.transaction(durability: .relaxed) { transaction in
                try checkMark(of: list, in: transaction)
                try write(chunks, of: window, to: list, in: transaction)
            }
            offset += UInt64(byteCount)
            return byteCount
        }
    }

    /// Stores the rest of the content, and its record.
    func finish(_ window: UnsafeRawBufferPointer, hashed: Int, durability: Durability?) throws -> BlobID {
        let fresh = UnsafeRawBufferPointer(rebasing: window[hashed...])
        let chunks = hash.update(fresh) {
            var chunks: [CutChunk] = []
            _ = collection.cut(window, isEnd: true, into: &chunks)
            return chunks
        }
        let id = hash.finish()
        let byteCount = offset + UInt64(window.count)
        let isNew = try collection.store.transaction(durability: durability) { transaction in
            if try collection.renew(id, in: transaction) { return false }
            if let list { try checkMark(of: list, in: transaction) }
            let list = try self.list ?? collection.freeList(in: transaction)
            try write(chunks, of: window, to: list, in: transaction)
            collection.addRecord(id, .chunked(list: list), byteCount: byteCount, in: transaction)
            if self.list != nil { transaction.delete(BlobIndexKey.mark(list), in: collection.index) }
            return true
        }
        end()
        // What fails here the next collection of garbage does.
        if !isNew, let list { _ = try? collection.reclaim(list) }
        return id
    }

    /// Another store on the same database does not know what this one is putting, and may have taken the list for
    /// abandoned.
    private func checkMark(of list: UInt64, in transaction: StoreTransaction) throws {
        if try transaction.contains(BlobIndexKey.mark(list), in: collection.index) { return }
        throw StoreError(
            .notFound, "what had been put of a content was reclaimed: another store has the same database",
            collection: collection.collectionName.description)
    }

    private func write(
        _ chunks: [CutChunk], of window: UnsafeRawBufferPointer, to list: UInt64, in transaction: StoreTransaction
    ) throws {
        var plan = try ChunkPlan(chunks, of: window, for: collection, in: transaction)
        plan.write(trial: &trial, in: transaction)
        plan.writePages(of: list, from: offset, in: transaction)
    }

    /// The number of the list, taken if there is none yet.
    private func begin() throws -> UInt64 {
        if let list { return list }
        var tried: Set<UInt64> = []
        defer { collection.activeLists.withLock { $0.subtract(tried) } }
        let list = try collection.store.transaction(durability: .relaxed) { transaction in
            let list = try collection.freeList(in: transaction)
            // Known to be active before anybody can see the mark.
            collection.activeLists.withLock { _ = $0.insert(list) }
            tried.insert(list)
            var mark: [UInt8] = []
            mark.appendLittleEndian(transaction.time)
            transaction.put(BlobIndexKey.mark(list), mark, in: collection.index)
            return list
        }
        tried.remove(list)
        self.list = list
        return list
    }
}
