// Writes a table: sorted entries in, a file and its metadata out.  FORMAT.md §4 (drawn in TableFormat.swift)
//
// 1. Entries collect in a block; a full block is stored and gets an entry in the index leaf of its partition.
// 2. A full partition (256 blocks) is closed by its filter and its leaf, and gets an entry in the index root.
// 3. finish() adds range deletions, properties, root and footer, makes everything durable and closes the file.
//
// The file is written front to back in pieces of 256 KiB or more.

import ApusIO

struct TableWriterOptions: Sendable {
    /// A block is closed when it has reached this size (before compression).
    var blockByteCount = 4096
    var codec = Codec.lz4
    /// 0: no filter.
    var filterBitsPerKey = 10
    /// The keyspace that the table belongs to, for salvage; 0: none.
    var keyspace: UInt32 = 0
}

/// One thread at a time. After an error only `abandon` may be called.
final class TableWriter {
    private let file: any File
    private let path: String
    private let options: TableWriterOptions
    private let number: FileNumber

    @exclusivity(unchecked) private var output = RawBuffer(capacity: 512 << 10)
    @exclusivity(unchecked) private var encoder: StoredBlockEncoder
    private let block = BlockBuilder()
    private let leaf = BlockBuilder()
    private let root = BlockBuilder()
    /// Hashes of the user keys of the partition, each once.
    @exclusivity(unchecked) private var hashes: [UInt64] = []
    /// True if the user key that the next block begins with is in `hashes` already.
    @exclusivity(unchecked) private var nextKeyIsFiltered = false
    @exclusivity(unchecked) private var rangeDeletions: [RangeDeletion] = []
    @exclusivity(unchecked) private var summary: TableSummary
    /// Of the whole table; known when the last block is closed.
    @exclusivity(unchecked) private var lastKey: [UInt8] = []

    @exclusivity(unchecked) private var flushedByteCount: UInt64 = 0
    @exclusivity(unchecked) private var checksum: UInt32 = 0
    @exclusivity(unchecked) private var blockCount = 0
    @exclusivity(unchecked) private var partitionCount: UInt64 = 0
    @exclusivity(unchecked) private var firstBlockOfPartition = 0
    @exclusivity(unchecked) private var isClosed = false

    private static let writeByteCount = 256 << 10

    /// - Parameter file: a new, empty file at `path`, which the writer closes.
    init(file: any File, path: String, number: FileNumber, options: TableWriterOptions, createdAt: UInt64) {
        precondition(options.blockByteCount > 0 && options.filterBitsPerKey >= 0)
        self.file = file
        self.path = path
        self.number = number
        self.options = options
        encoder = StoredBlockEncoder(number: number, codec: options.codec)
        summary = TableSummary(number: number, createdAt: createdAt)
    }

    var entryCount: UInt64 { summary.metadata.entryCount }

    /// Bytes of the file if it were finished now, roughly: compression of the open block is not foreseen.
    var estimatedByteCount: UInt64 {
        position + UInt64(block.estimatedByteCount + leaf.estimatedByteCount + root.estimatedByteCount)
            + UInt64(hashes.count * options.filterBitsPerKey / 8 + TableFormat.footerByteCount)
    }

    /// Throws if it does not sort after the entry before it, or is a range deletion.
    func add(
        _ key: UnsafeRawBufferPointer,
        _ trailer: Trailer,
        _ payload: UnsafeRawBufferPointer
    ) throws(ApusError) {
        if !block.isEmpty {
            // Tables that are compacted vouch for each block, not for the order of what is in it.
            guard compareInternal(block.lastKey, Trailer(rawValue: block.lastTrailer), key, trailer) < 0 else {
                throw .corruption("the entries for this table are out of order where they come from", file: path)
            }
            if mustCloseBlock(before: key.count + payload.count) { try closeBlock(next: key) }
        }
        let isRepeated = block.isEmpty ? nextKeyIsFiltered : equalBytes(block.lastKey, key)
        guard summary.add(key, trailer, payload) else {
            throw .corruption("a payload does not fit its entry's kind", file: path)
        }
        block.add(key, trailer.rawValue, payload)
        if options.filterBitsPerKey > 0 && !isRepeated { hashes.append(KeyHash.of(key)) }
    }

    /// Adds deletions that the table carries besides its entries; they widen its bounds.
    func addRangeDeletions(_ deletions: RangeDeletions) throws(ApusError) {
        for deletion in deletions.all() {
            summary.add(deletion)
            rangeDeletions.append(deletion)
        }
    }

    /// Completes the file, makes it durable and closes it. The directory is the caller's to synchronize.
    func finish() throws(ApusError) -> TableMetadata {
        precondition(!isClosed)
        if !block.isEmpty { try closeBlock(next: nil) }
        if !leaf.isEmpty { closePartition() }
        summary.finish(lastKey: lastKey)
        var footer = TableFooter(number: number)
        if !rangeDeletions.isEmpty {
            footer.rangeDeletions = store(.rangeDeletions, compressing: true) { $0.append(contentsOf: rangeDeletions) }
        }
        let properties = TableProperties(
            metadata: summary.metadata,
            dataBlockCount: UInt64(blockCount),
            partitionCount: partitionCount,
            keyspace: options.keyspace
        )
        footer.properties = store(.properties) { output in
            properties.encode().withUnsafeBytes { output.append($0) }
        }
        if !root.isEmpty { footer.root = store(.root) { root.finish(into: &$0) } }
        footer.encode(at: position).withUnsafeBytes { output.append($0) }
        try flush()
        isClosed = true
        do {
            try file.synchronize()
        } catch {
            try? file.close()
            throw ApusError(error)
        }
        try io { () throws(IOError) in try file.close() }
        var metadata = summary.metadata
        metadata.byteCount = flushedByteCount
        metadata.checksum = checksum
        return metadata
    }

    /// Gives up: closes the file, which is the caller's to remove.
    func abandon() {
        guard !isClosed else { return }
        isClosed = true
        try? file.close()
    }

    // MARK: - Blocks

    private var position: UInt64 { flushedByteCount + UInt64(output.count) }

    /// A block is closed at its target size, or earlier if a large entry would stretch it: whoever reads the small
    /// entries before it should not have to read the large one.
    private func mustCloseBlock(before entryByteCount: Int) -> Bool {
        let byteCount = block.estimatedByteCount
        return byteCount >= options.blockByteCount
            || byteCount + entryByteCount > options.blockByteCount + options.blockByteCount / 4
    }

    private func closeBlock(next: UnsafeRawBufferPointer?) throws(ApusError) {
        // With another user key behind it a separator needs no sequence: it follows every entry of its user key.
        let separator: [UInt8]
        var trailer = Trailer.last
        nextKeyIsFiltered = false
        if let next, equalBytes(block.lastKey, next) {
            separator = [UInt8](next)
            trailer = Trailer(rawValue: block.lastTrailer)
            nextKeyIsFiltered = true
        } else if let next {
            separator = Separator.between(block.lastKey, next)
        } else {
            separator = [UInt8](block.lastKey)
            lastKey = separator
        }
        let handle = store(.data, compressing: true) { block.finish(into: &$0) }
        let payload = handle.encode()
        separator.withUnsafeBytes { key in
            payload.withUnsafeBytes { leaf.add(key, trailer.rawValue, $0) }
        }
        blockCount += 1
        if leaf.entryCount >= TableFormat.blocksPerPartition || leaf.estimatedByteCount >= TableFormat.leafByteCount {
            closePartition()
        }
        if output.count >= Self.writeByteCount { try flush() }
    }

    private func closePartition() {
        var partition = IndexPartition(
            leaf: .none,
            filter: .none,
            firstBlock: firstBlockOfPartition,
            blockCount: blockCount - firstBlockOfPartition
        )
        let separator = [UInt8](leaf.lastKey)
        let trailer = leaf.lastTrailer
        if options.filterBitsPerKey > 0 {
            partition.filter = store(.filter) {
                BloomFilter.build(hashes, bitsPerKey: options.filterBitsPerKey, into: &$0)
            }
        }
        partition.leaf = store(.leaf) { leaf.finish(into: &$0) }
        let payload = partition.encode()
        separator.withUnsafeBytes { key in
            payload.withUnsafeBytes { root.add(key, trailer, $0) }
        }
        partitionCount += 1
        firstBlockOfPartition = blockCount
        hashes.removeAll(keepingCapacity: true)
        nextKeyIsFiltered = false
    }

    private func store(
        _ kind: StoredBlockKind,
        compressing: Bool = false,
        _ body: (inout RawBuffer) -> Void
    ) -> BlockHandle {
        output.appendLittleEndian(UInt32(0))
        let start = output.count
        let offset = position
        body(&output)
        precondition(output.count - start <= Codec.maximumByteCount, "a block is larger than 2 GiB")
        return encoder.finish(&output, from: start, at: offset, kind, compressing: compressing)
    }

    private func flush() throws(ApusError) {
        let bytes = output.bytes
        checksum = CRC32C.checksum(bytes, seed: checksum)
        try io { () throws(IOError) in try file.write(bytes, at: flushedByteCount) }
        flushedByteCount += UInt64(bytes.count)
        output.truncate(to: 0)
    }
}
