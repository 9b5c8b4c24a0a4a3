// The keys and values of a collection of blobs.
//
//   keyspace blob:<name>                                                                        — FORMAT.md §8.2
//     address of a blob: 32 bytes                   the whole content of a small blob, stored
//     address of a chunk: 16 bytes                  the content of a chunk, stored
//   keyspace blob:<name>:index
//     01 │ address of a blob                        its record
//     02 │ address of a blob                        references from outside: i64
//     03 │ address of a chunk                       uses by lists: i64
//     04 │ list: u64 │ offset: u64                  a page of a list: the chunks from that offset of the content on
//     05 │ list: u64                                the mark of a list that no record refers to (yet, or any more)
//     06 │ counter: u8                              a figure of the collection: i64
//   record:  kind: u8 (1 whole, 2 chunked) │ byte count: varint │ put at: u64 │ list: u64 (chunked only)
//   page:    count: varint │ (address: 16 bytes │ byte count: varint │ stored byte count: varint) each
//   mark:    begun at: u64

import Apus

/// The first byte of the keys in the index. On disk: never renumber, never reuse.
enum BlobIndexTag {
    static let record: UInt8 = 1
    static let references: UInt8 = 2
    static let uses: UInt8 = 3
    static let page: UInt8 = 4
    static let mark: UInt8 = 5
    static let counter: UInt8 = 6
}

enum BlobIndexKey {
    static func record(_ id: BlobID) -> [UInt8] { [BlobIndexTag.record] + id.bytes }
    static func references(_ id: BlobID) -> [UInt8] { [BlobIndexTag.references] + id.bytes }

    static func uses(_ address: ChunkAddress) -> [UInt8] {
        var key = [BlobIndexTag.uses]
        key.appendBigEndian(address.high)
        key.appendBigEndian(address.low)
        return key
    }

    static func page(_ list: UInt64, offset: UInt64) -> [UInt8] {
        var key = pages(list)
        key.appendBigEndian(offset)
        return key
    }

    /// What the keys of all pages of a list begin with.
    static func pages(_ list: UInt64) -> [UInt8] {
        var key = [BlobIndexTag.page]
        key.appendBigEndian(list)
        return key
    }

    static func mark(_ list: UInt64) -> [UInt8] {
        var key = [BlobIndexTag.mark]
        key.appendBigEndian(list)
        return key
    }

    /// The big-endian number at `offset` of a key; nil if the key is shorter.
    static func number(in key: UnsafeRawBufferPointer, at offset: Int) -> UInt64? {
        guard key.count >= offset + 8 else { return nil }
        return UInt64(bigEndian: key.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
}

/// The figures that every change keeps, by merges in the same commit. On disk: never renumber, never reuse.
enum BlobCounter: UInt8, CaseIterable {
    /// Blobs.
    case blobs = 1
    /// Their bytes.
    case contentBytes = 2
    /// The bytes of blobs, once for each reference.
    case referencedBytes = 3
    /// Whole contents and chunks that are kept.
    case pieces = 4
    /// The bytes they stand for.
    case pieceBytes = 5
    /// The bytes they are stored in.
    case storedBytes = 6

    var key: [UInt8] { [BlobIndexTag.counter, rawValue] }
}

struct BlobRecord: Sendable, Equatable {
    enum Layout: Sendable, Equatable {
        case whole
        case chunked(list: UInt64)
    }

    var layout: Layout
    var byteCount: UInt64
    /// When the blob was last put, more or less: a quarter of the grace period may be missing.
    var putAt: UInt64

    /// Nothing is larger, so that sums of sizes stay numbers.
    static let largestContent: UInt64 = 1 << 56

    init(layout: Layout, byteCount: UInt64, putAt: UInt64) {
        self.layout = layout
        self.byteCount = byteCount
        self.putAt = putAt
    }

    /// nil if the bytes are no record.
    init?(_ bytes: UnsafeRawBufferPointer) {
        var reader = StoreByteReader(bytes)
        guard let kind = reader.byte(), let byteCount = reader.varint(), byteCount <= Self.largestContent,
            let putAt = reader.littleEndian(UInt64.self)
        else { return nil }
        switch kind {
        case 1: layout = .whole
        case 2:
            guard let list = reader.littleEndian(UInt64.self) else { return nil }
            layout = .chunked(list: list)
        default: return nil
        }
        guard reader.isAtEnd else { return nil }
        self.byteCount = byteCount
        self.putAt = putAt
    }

    var encoded: [UInt8] {
        var bytes: [UInt8] = [layout == .whole ? 1 : 2]
        bytes.appendVarint(byteCount)
        bytes.appendLittleEndian(putAt)
        if case .chunked(let list) = layout { bytes.appendLittleEndian(list) }
        return bytes
    }
}

/// A chunk as a page lists it.
struct ChunkEntry: Sendable, Equatable {
    var address: ChunkAddress
    var byteCount: Int
    /// Bytes of its value.
    var storedByteCount: Int
}

/// The chunks of a stretch of a content, in order.
enum BlobPage {
    /// No chunk is larger: the bound for what is allocated on the word of a page.
    static let largestChunk = 1 << 20
    /// The same for what it is stored in, which has a header.
    static let largestStoredChunk = largestChunk + 16

    static func encode(_ chunks: [ChunkEntry]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(4 + 24 * chunks.count)
        bytes.appendVarint(UInt64(chunks.count))
        for chunk in chunks {
            bytes.appendBigEndian(chunk.address.high)
            bytes.appendBigEndian(chunk.address.low)
            bytes.appendVarint(UInt64(chunk.byteCount))
            bytes.appendVarint(UInt64(chunk.storedByteCount))
        }
        return bytes
    }

    /// nil if the bytes are no page.
    static func decode(_ bytes: UnsafeRawBufferPointer) -> [ChunkEntry]? {
        var reader = StoreByteReader(bytes)
        guard let count = reader.varint().flatMap({ Int(exactly: $0) }),
            count > 0 && count <= bytes.count / (ChunkAddress.byteCount + 2)
        else { return nil }
        var chunks: [ChunkEntry] = []
        chunks.reserveCapacity(count)
        for _ in 0..<count {
            guard let address = reader.slice(ChunkAddress.byteCount).flatMap({ ChunkAddress($0) }),
                let byteCount = reader.varint().flatMap({ Int(exactly: $0) }),
                let storedByteCount = reader.varint().flatMap({ Int(exactly: $0) }),
                (1...largestChunk).contains(byteCount), storedByteCount <= largestStoredChunk
            else { return nil }
            chunks.append(
                ChunkEntry(
                    address: address, byteCount: byteCount, storedByteCount: storedByteCount))
        }
        return reader.isAtEnd ? chunks : nil
    }
}
