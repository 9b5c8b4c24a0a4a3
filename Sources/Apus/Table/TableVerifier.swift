// Checks a whole table against itself and against what the manifest says of it: the slow second opinion, which reads
// everything from the file and nothing from the cache.
//
// 1. The file has the length and the checksum that the manifest names.
// 2. Its parts follow one another without gap or overlap, each with its length in front: no byte is unaccounted for.
// 3. Every block has the right checksum and structure; entries ascend over all blocks; separators separate.
// 4. Every key is in the filter of its partition.
// 5. Counts, bounds and sums gathered on the way equal those of properties and manifest.

import ApusIO

extension Table {
    /// Reads everything and reports each damage found; goes on where it can. Throws only what is not corruption.
    func verify(_ report: (ApusError) -> Void) throws(ApusError) {
        var verifier = TableVerifier(table: self)
        do {
            try verifier.checkFile(report)
            try verifier.checkParts(report)
        } catch {
            guard error.kind == .corruption else { throw error }
            report(error)
        }
    }
}

private struct TableVerifier {
    private let table: Table
    private var reader: StoredBlockReader { table.reader }
    /// Every part of the file seen so far, to be laid end to end.
    private var parts: [BlockHandle] = []
    private var summary: TableSummary
    private var last: (key: [UInt8], trailer: Trailer)?
    private var blockCount = 0

    init(table: Table) {
        self.table = table
        summary = TableSummary(number: table.metadata.number, createdAt: table.metadata.createdAt)
    }

    /// The checksum over the whole file.
    func checkFile(_ report: (ApusError) -> Void) throws(ApusError) {
        _ = try table.readFooter()
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)
        defer { piece.deallocate() }
        var checksum: UInt32 = 0
        var offset: UInt64 = 0
        while offset < table.metadata.byteCount {
            let count = Int(min(UInt64(piece.count), table.metadata.byteCount - offset))
            try reader.fill(UnsafeMutableRawBufferPointer(rebasing: piece[..<count]), at: offset)
            checksum = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: piece[..<count]), seed: checksum)
            offset += UInt64(count)
        }
        if checksum != table.metadata.checksum {
            report(reader.corruption("the file has not the checksum that the manifest names", at: nil))
        }
    }

    mutating func checkParts(_ report: (ApusError) -> Void) throws(ApusError) {
        let footer = try table.readFooter()
        if !footer.root.isNone { try checkIndex(footer.root, report) }
        if !footer.rangeDeletions.isNone {
            parts.append(footer.rangeDeletions)
            for deletion in try table.readRangeDeletions() { summary.add(deletion) }
        }
        summary.finish(lastKey: last?.key ?? [])
        try checkProperties(footer.properties, report)
        parts.append(footer.properties)
        if !footer.root.isNone { parts.append(footer.root) }
        try checkLayout(report)
    }

    private mutating func checkIndex(
        _ handle: BlockHandle,
        _ report: (ApusError) -> Void
    ) throws(ApusError) {
        let open = try OpenTable.load(table)
        defer { open.free() }
        guard let root = open.rootBlock() else { return }
        for partition in 0..<open.partitionCount {
            do {
                try checkPartition(open.partitions[partition], report)
            } catch {
                guard error.kind == .corruption else { throw error }
                report(error)
                // What follows is compared with what follows.
                last = nil
            }
            let separator = IndexSeparator(root, rank: partition)
            if !separator.hasItsHead {
                report(reader.corruption("root separator \(partition) has the head of another key", at: handle.offset))
            }
            if let last, !separator.isAtOrAfter(last) {
                report(
                    reader.corruption("root separator \(partition) sorts before its partition's end", at: handle.offset)
                )
            }
            separatorBefore = separator
        }
    }

    /// The separator that the next entry must lie behind.
    private var separatorBefore: IndexSeparator?

    private mutating func checkPartition(
        _ partition: IndexPartition,
        _ report: (ApusError) -> Void
    ) throws(ApusError) {
        var filterBlock: CachedBlock?
        defer { filterBlock?.release() }
        if !partition.filter.isNone { filterBlock = try table.readFilter(partition.filter) }
        let filter = filterBlock.map { BloomFilter(validated: $0.bytes) }
        let leafBlock = try table.readLeaf(partition)
        defer { leafBlock.release() }
        let leaf = Block(validated: leafBlock.bytes)
        for rank in 0..<leaf.entryCount {
            let handle = try table.dataHandle(leaf, rank)
            parts.append(handle)
            blockCount += 1
            do {
                try checkData(handle, filter, report)
            } catch {
                guard error.kind == .corruption else { throw error }
                report(error)
                last = nil
            }
            let separator = IndexSeparator(leaf, rank: rank)
            if !separator.hasItsHead {
                report(reader.corruption("a separator has the head of another key", at: partition.leaf.offset))
            }
            if let last, !separator.isAtOrAfter(last) {
                report(reader.corruption("a separator sorts before its block's end", at: handle.offset))
            }
            separatorBefore = separator
        }
        if !partition.filter.isNone { parts.append(partition.filter) }
        parts.append(partition.leaf)
    }

    private mutating func checkData(
        _ handle: BlockHandle,
        _ filter: BloomFilter?,
        _ report: (ApusError) -> Void
    ) throws(ApusError) {
        let memory = try table.readBlock(handle, .data)
        defer { memory.release() }
        let block = Block(validated: memory.bytes)
        var next = block.entriesStart
        for rank in 0..<block.entryCount {
            let entry = block.entry(at: next)
            next = entry.end
            let key = block.key(of: entry, rank: rank)
            let sortsAfterLast = last.map { compare($0.key, $0.trailer, key, entry.trailer) < 0 } ?? true
            if !sortsAfterLast {
                report(reader.corruption("entry \(rank) of a block is out of order", at: handle.offset))
            }
            if rank == 0, let separatorBefore, separatorBefore.isAtOrAfter((key, entry.trailer)) {
                report(reader.corruption("a block begins before the separator in front of it", at: handle.offset))
            }
            if !block.hasHead(of: key, rank: rank) {
                report(reader.corruption("entry \(rank) of a block has the head of another key", at: handle.offset))
            }
            if let filter, !filter.mayContain(key.withUnsafeBytes { KeyHash.of($0) }) {
                report(reader.corruption("the filter denies entry \(rank) of a block", at: handle.offset))
            }
            let isSound = key.withUnsafeBytes { summary.add($0, entry.trailer, entry.payload) }
            if !isSound {
                report(reader.corruption("the payload of entry \(rank) does not fit its kind", at: handle.offset))
            }
            last = (key, entry.trailer)
        }
    }

    private func compare(_ a: [UInt8], _ aTrailer: Trailer, _ b: [UInt8], _ bTrailer: Trailer) -> Int {
        a.withUnsafeBytes { a in b.withUnsafeBytes { compareInternal(a, aTrailer, $0, bTrailer) } }
    }

    private func checkProperties(_ handle: BlockHandle, _ report: (ApusError) -> Void) throws(ApusError) {
        let block = try reader.read(handle, .properties)
        defer { block.release() }
        var expected = table.metadata
        expected.byteCount = 0
        expected.checksum = 0
        do {
            let properties = try TableProperties.decode(block.buffer, number: table.metadata.number)
            if properties.metadata != expected {
                report(reader.corruption("its properties and the manifest disagree", at: handle.offset))
            }
            if properties.dataBlockCount != UInt64(blockCount) {
                report(
                    reader.corruption(
                        "\(blockCount) data blocks, its properties say \(properties.dataBlockCount)",
                        at: handle.offset
                    )
                )
            }
        } catch {
            throw reader.corruption(error.what, at: handle.offset)
        }
        if summary.metadata != expected {
            report(reader.corruption("its entries do not add up to what the manifest says of it", at: nil))
        }
    }

    /// The parts must cover the file up to the footer exactly once.
    private func checkLayout(_ report: (ApusError) -> Void) throws(ApusError) {
        var position: UInt64 = 0
        for part in parts.sorted(by: { $0.offset < $1.offset }) {
            let expected = position.addingSaturated(UInt64(TableFormat.blockLengthByteCount))
            if part.offset != expected {
                report(reader.corruption("the block at \(part.offset) should begin at \(expected)", at: expected))
            }
            do {
                try reader.checkLength(part)
            } catch {
                guard error.kind == .corruption else { throw error }
                report(error)
            }
            position = part.end
        }
        if position != reader.end {
            report(reader.corruption("the parts end at \(position), the footer begins at \(reader.end)", at: position))
        }
    }
}

/// The key of an index entry.
private struct IndexSeparator {
    private let key: [UInt8]
    private let trailer: Trailer
    let hasItsHead: Bool

    init(_ block: Block, rank: Int) {
        let entry = block.entry(node: block.order.node(rank: rank))
        key = block.key(of: entry, rank: rank)
        hasItsHead = block.hasHead(of: key, rank: rank)
        trailer = entry.trailer
    }

    func isAtOrAfter(_ other: (key: [UInt8], trailer: Trailer)) -> Bool {
        key.withUnsafeBytes { a in other.key.withUnsafeBytes { compareInternal(a, trailer, $0, other.trailer) >= 0 } }
    }
}

extension Block {
    /// The whole key of an entry, for slow paths.
    func key(of entry: Entry, rank: Int) -> [UInt8] {
        var key = [UInt8](prefix)
        let head = head(node: order.node(rank: rank)).bigEndian
        Swift.withUnsafeBytes(of: head) { key.append(contentsOf: $0.prefix(min(8, entry.restCount))) }
        key.append(contentsOf: UnsafeRawBufferPointer(start: entry.suffix, count: entry.suffixCount))
        return key
    }

    /// Whether searches find the entry: a head is also what a short key does not reach, which must be zeros.
    func hasHead(of key: [UInt8], rank: Int) -> Bool {
        key.withUnsafeBytes { keyHead($0, from: prefixCount) } == head(node: order.node(rank: rank))
    }
}
