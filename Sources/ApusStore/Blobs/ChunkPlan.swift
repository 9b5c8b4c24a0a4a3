// Storing a stretch of content that has been cut into chunks: first it is looked up which of them are there already,
// then the rest is written, with the uses and the page that lists them. Reads come before writes because a transaction
// that reads a keyspace it has written to copies what it wrote.

import Apus
import ApusIO

/// A piece of content that is to be stored, and where it would be.
struct CutChunk: Sendable {
    var range: Range<Int>
    var address: ChunkAddress
}

/// What has to be written for a stretch of content.
struct ChunkPlan {
    private let collection: BlobCollection
    private let content: UnsafeRawBufferPointer
    /// Every chunk of the stretch, in order.
    private(set) var entries: [ChunkEntry] = []
    /// The first of those that are not there yet, by their index in `entries`.
    private var fresh: [(index: Int, range: Range<Int>)] = []

    /// Looks up what is there, in a transaction that has written nothing to the collection yet if it can be helped.
    ///
    /// - Parameter content: stays where it is until everything is written.
    init(
        _ chunks: [CutChunk], of content: UnsafeRawBufferPointer, for collection: BlobCollection,
        in transaction: StoreTransaction
    ) throws {
        self.collection = collection
        self.content = content
        entries.reserveCapacity(chunks.count)
        var planned: [ChunkAddress: Int] = [:]
        var scratch: [UInt8] = []
        for chunk in chunks {
            let bytes = UnsafeRawBufferPointer(rebasing: content[chunk.range])
            var entry = ChunkEntry(address: chunk.address, byteCount: bytes.count, storedByteCount: 0)
            while true {
                if let index = planned[entry.address] {
                    let other = fresh[index].range
                    if equalBytes(UnsafeRawBufferPointer(rebasing: content[other]), bytes) { break }
                } else {
                    let found = try transaction.withValue(for: entry.address, in: collection.content) { stored in
                        stored.withBytes { stored -> Int? in
                            var isEqual = false
                            _ = ContentCodec.withChunk(stored, byteCount: bytes.count, scratch: &scratch) {
                                isEqual = equalBytes($0, bytes)
                            }
                            return isEqual ? stored.count : nil
                        }
                    }
                    guard let found else {
                        planned[entry.address] = fresh.count
                        fresh.append((entries.count, chunk.range))
                        break
                    }
                    if let storedByteCount = found {
                        entry.storedByteCount = storedByteCount
                        break
                    }
                }
                // Another content has the same fingerprint, or its bytes are damaged.
                entry.address = entry.address.next
            }
            entries.append(entry)
        }
    }

    /// Writes the chunks that are not there yet, and counts a use for each entry.
    mutating func write(trial: inout CompressionTrial, in transaction: StoreTransaction) {
        var stored: [UInt8] = []
        var storedByteCounts: [ChunkAddress: Int] = [:]
        var pieceBytes = 0
        var storedBytes = 0
        for (index, range) in fresh {
            let bytes = UnsafeRawBufferPointer(rebasing: content[range])
            let address = entries[index].address
            let isCompressed = trial.compress(bytes, into: &stored)
            if isCompressed {
                transaction.put(address, stored, in: collection.content)
            } else {
                transaction.put(address, bytes, in: collection.content)
            }
            let storedByteCount = isCompressed ? stored.count : bytes.count
            storedByteCounts[address] = storedByteCount
            pieceBytes += bytes.count
            storedBytes += storedByteCount
        }
        var uses: [ChunkAddress: Int64] = [:]
        for index in entries.indices {
            let address = entries[index].address
            if let byteCount = storedByteCounts[address] { entries[index].storedByteCount = byteCount }
            uses[address, default: 0] += 1
        }
        // In the order of the content, so that one history is one sequence of bytes.
        for entry in entries {
            guard let count = uses.removeValue(forKey: entry.address) else { continue }
            transaction.merge(BlobIndexKey.uses(entry.address), count, in: collection.index)
        }
        collection.add(Int64(fresh.count), to: .pieces, in: transaction)
        collection.add(Int64(pieceBytes), to: .pieceBytes, in: transaction)
        collection.add(Int64(storedBytes), to: .storedBytes, in: transaction)
    }

    /// Writes the pages that list the entries.
    ///
    /// - Parameter offset: where the stretch begins in the whole content.
    func writePages(of list: UInt64, from offset: UInt64, in transaction: StoreTransaction) {
        var offset = offset
        var start = 0
        while start < entries.count {
            let end = min(start + Self.entriesPerPage, entries.count)
            let page = Array(entries[start..<end])
            transaction.put(
                BlobIndexKey.page(list, offset: offset), BlobPage.encode(page), in: collection.index)
            offset += page.reduce(0) { $0 + UInt64($1.byteCount) }
            start = end
        }
    }

    /// Small enough that a ranged read decodes little that it does not need.
    private static let entriesPerPage = 256
}

extension CompressionTrial {
    /// Replaces `output` by the compressed form of `content`; false if it has none that is worth it.
    mutating func compress(_ content: UnsafeRawBufferPointer, into output: inout [UInt8]) -> Bool {
        guard isWorthTrying(content) else { return false }
        let isCompressed = ContentCodec.compress(content, into: &output)
        note(isCompressed: isCompressed)
        return isCompressed
    }

    /// Replaces `output` by the stored form of `content`, compressed if that is worth it.
    mutating func encode(_ content: UnsafeRawBufferPointer, into output: inout [UInt8]) {
        if !compress(content, into: &output) { ContentCodec.encode(content, into: &output, trying: false) }
    }
}
