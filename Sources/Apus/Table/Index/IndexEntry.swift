// Payloads of index entries.  FORMAT.md §4.4
//
//   leaf: offset: varint │ byte count: varint                                          of a data block
//   root: leaf offset, leaf byte count, filter offset, filter byte count (zeros: none),
//         first block's ordinal, block count: varint each                              of a partition

import ApusIO

/// What the root says of one partition: up to `TableFormat.blocksPerPartition` data blocks, their leaf and filter.
struct IndexPartition {
    var leaf: BlockHandle
    var filter: BlockHandle
    /// The position of its first data block among all data blocks of the table.
    var firstBlock: Int
    var blockCount: Int

    func encode() -> [UInt8] {
        leaf.encode() + filter.encode() + Self.encode(UInt64(firstBlock)) + Self.encode(UInt64(blockCount))
    }

    init(leaf: BlockHandle, filter: BlockHandle, firstBlock: Int, blockCount: Int) {
        self.leaf = leaf
        self.filter = filter
        self.firstBlock = firstBlock
        self.blockCount = blockCount
    }

    init(decoding payload: UnsafeRawBufferPointer) throws(DecodingFailure) {
        var reader = ByteReader(payload)
        leaf = try BlockHandle(decoding: &reader)
        filter = try BlockHandle(decoding: &reader)
        let firstBlock = try reader.varint("first block")
        let blockCount = try reader.varint("block count")
        guard reader.isAtEnd else { throw DecodingFailure(what: "index root entry is too long") }
        guard !leaf.isNone else { throw DecodingFailure(what: "partition without an index leaf") }
        guard firstBlock <= UInt64(UInt32.max), (1...UInt64(UInt32.max)).contains(blockCount) else {
            throw DecodingFailure(what: "partition of \(blockCount) blocks from \(firstBlock)")
        }
        self.firstBlock = Int(firstBlock)
        self.blockCount = Int(blockCount)
    }

    private static func encode(_ value: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendVarint(value)
        return bytes
    }
}

extension BlockHandle {
    func encode() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendVarint(offset)
        bytes.appendVarint(UInt64(byteCount))
        return bytes
    }

    init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        offset = try reader.varint("block offset")
        let count = try reader.varint("block byte count")
        guard let count = UInt32(exactly: count) else { throw DecodingFailure(what: "block of \(count) bytes") }
        byteCount = count
    }

    /// The payload of a leaf entry.
    init(leafPayload payload: UnsafeRawBufferPointer) throws(DecodingFailure) {
        var reader = ByteReader(payload)
        self = try BlockHandle(decoding: &reader)
        guard reader.isAtEnd && !isNone else { throw DecodingFailure(what: "index leaf entry is no block handle") }
    }
}
