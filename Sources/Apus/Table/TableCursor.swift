// A position in a table: which partition, which block of its leaf, which entry of the block.
//
// A cursor may live for hours, so it holds no epoch pin: it pins for the moment of taking a block out of its slot and
// keeps a reference on the leaf and the data block it stands on. The key is put together in the cursor's own buffer
// (prefix, head, suffix); the payload is a view into the block.

import ApusIO

final class TableCursor: EntryCursor {
    private let table: Table
    @exclusivity(unchecked) private var source: BlockSource

    @exclusivity(unchecked) private var open: UnsafePointer<OpenTable>?
    @exclusivity(unchecked) private var partition = -1
    @exclusivity(unchecked) private var leafBlock: CachedBlock?
    /// Of the data block among the leaf's entries.
    @exclusivity(unchecked) private var leafRank = -1
    @exclusivity(unchecked) private var dataBlock: CachedBlock?

    /// The data block, once more, and its shape.
    @exclusivity(unchecked) private var block: Block?
    @exclusivity(unchecked) private var order = EytzingerOrder(count: 1)
    @exclusivity(unchecked) private var entryCount = 0
    @exclusivity(unchecked) private var prefixCount = 0
    @exclusivity(unchecked) private var rank = 0
    /// Where the entry after the current one starts.
    @exclusivity(unchecked) private var nextEntry = UnsafeRawPointer(bitPattern: 1)!

    /// Holds the key: prefix, head (all 8 bytes, also where the key ends within them), suffix.
    @exclusivity(unchecked) private var keyBytes = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 8)
    @exclusivity(unchecked) private var keyCapacity = 64

    init(table: Table, fillCache: Bool, readahead: Bool) {
        self.table = table
        source = BlockSource(table: table, fillCache: fillCache, readahead: readahead)
        super.init()
        newestSequence = table.metadata.largestSequence
    }

    deinit {
        leafBlock?.release()
        dataBlock?.release()
        keyBytes.deallocate()
    }

    // MARK: - Positioning

    override func rest() {
        isValid = false
        leafBlock?.release()
        leafBlock = nil
        partition = -1
        leaveBlock()
        source.rest()
    }

    override func seekToFirst() throws(ApusError) {
        isValid = false
        let open = try opened()
        guard open.pointee.partitionCount > 0 else { return }
        try enter(partition: 0)
        try enter(leafRank: 0)
        stand(on: 0)
    }

    override func seekToLast() throws(ApusError) {
        isValid = false
        let open = try opened()
        guard open.pointee.partitionCount > 0 else { return }
        try enter(partition: open.pointee.partitionCount - 1)
        try enter(leafRank: open.pointee.partitions[partition].blockCount - 1)
        stand(on: entryCount - 1)
    }

    override func seek(_ key: UnsafeRawBufferPointer, _ trailer: Trailer) throws(ApusError) {
        if isOwn(key) {
            let copy = Self.copy(key)
            defer { copy.deallocate() }
            return try seek(UnsafeRawBufferPointer(copy), trailer)
        }
        guard try enterBlock(for: key, trailer) else { return }
        let found = block!.lowerBound(key, trailer)
        if found < entryCount {
            stand(on: found)
        } else if try enterNextBlock() {
            // The separator lies between the block's last entry and the target.
            stand(on: 0)
        }
    }

    override func seekBefore(_ key: UnsafeRawBufferPointer, _ trailer: Trailer) throws(ApusError) {
        if isOwn(key) {
            let copy = Self.copy(key)
            defer { copy.deallocate() }
            return try seekBefore(UnsafeRawBufferPointer(copy), trailer)
        }
        guard try enterBlock(for: key, trailer) else { return try seekToLast() }
        let found = block!.lowerBound(key, trailer)
        if found > 0 {
            stand(on: found - 1)
        } else if try enterPreviousBlock() {
            stand(on: entryCount - 1)
        }
    }

    override func next() throws(ApusError) {
        precondition(isValid)
        if rank &+ 1 < entryCount {
            rank &+= 1
            show(block!.entry(at: nextEntry), node: order.node(rank: rank))
        } else {
            isValid = false
            if try enterNextBlock() { stand(on: 0) }
        }
    }

    override func previous() throws(ApusError) {
        precondition(isValid)
        if rank > 0 {
            stand(on: rank - 1)
        } else {
            isValid = false
            if try enterPreviousBlock() { stand(on: entryCount - 1) }
        }
    }

    /// True if `key` is this cursor's current key, which a search would overwrite.
    private func isOwn(_ key: UnsafeRawBufferPointer) -> Bool {
        guard let start = key.baseAddress else { return false }
        return start >= UnsafeRawPointer(keyBytes) && start < UnsafeRawPointer(keyBytes + keyCapacity)
    }

    private static func copy(_ key: UnsafeRawBufferPointer) -> UnsafeMutableRawBufferPointer {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: key.count, alignment: 8)
        copy.copyMemory(from: key)
        return copy
    }

    // MARK: - Entries

    private func stand(on rank: Int) {
        self.rank = rank
        let node = order.node(rank: rank)
        show(block!.entry(node: node), node: node)
        isValid = true
    }

    /// Makes the entry at `rank`, which has that node, the current one.
    @inline(__always)
    private func show(_ entry: Block.Entry, node: Int) {
        let needed = prefixCount &+ 8 &+ entry.suffixCount
        if needed > keyCapacity { growKey(to: needed) }
        let head = block!.head(node: node)
        keyBytes.storeBytes(of: head.bigEndian, toByteOffset: prefixCount, as: UInt64.self)
        if entry.suffixCount > 0 {
            (keyBytes + (prefixCount &+ 8)).copyBytes(
                from: UnsafeRawBufferPointer(start: entry.suffix, count: entry.suffixCount))
        }
        key = UnsafeRawBufferPointer(start: keyBytes, count: prefixCount &+ entry.restCount)
        trailer = entry.trailer
        payload = entry.payload
        nextEntry = entry.end
    }

    private func growKey(to needed: Int) {
        let larger = UnsafeMutableRawPointer.allocate(byteCount: needed * 2, alignment: 8)
        larger.copyMemory(from: keyBytes, byteCount: keyCapacity)
        keyBytes.deallocate()
        keyBytes = larger
        keyCapacity = needed * 2
    }

    // MARK: - Blocks

    private func opened() throws(ApusError) -> UnsafePointer<OpenTable> {
        if let open { return open }
        let table = try table.openTable()
        open = table
        return table
    }

    /// Enters the only block that can hold the first entry at or after (`key`, `trailer`), except that the entry may
    /// be the first of the next block; false if there is none.
    private func enterBlock(for key: UnsafeRawBufferPointer, _ trailer: Trailer) throws(ApusError) -> Bool {
        isValid = false
        let open = try opened()
        let target = open.pointee.partition(for: key, trailer)
        guard target < open.pointee.partitionCount else { return false }
        try enter(partition: target)
        let rank = Block(validated: leafBlock!.bytes).lowerBound(key, trailer)
        guard rank < open.pointee.partitions[target].blockCount else { throw table.indexDisagrees(open, target) }
        try enter(leafRank: rank)
        return true
    }

    private func enterNextBlock() throws(ApusError) -> Bool {
        let open = open!
        if leafRank + 1 < open.pointee.partitions[partition].blockCount {
            try enter(leafRank: leafRank + 1)
            return true
        }
        guard partition + 1 < open.pointee.partitionCount else { return false }
        try enter(partition: partition + 1)
        try enter(leafRank: 0)
        return true
    }

    private func enterPreviousBlock() throws(ApusError) -> Bool {
        if leafRank > 0 {
            try enter(leafRank: leafRank - 1)
            return true
        }
        guard partition > 0 else { return false }
        try enter(partition: partition - 1)
        try enter(leafRank: open!.pointee.partitions[partition].blockCount - 1)
        return true
    }

    private func enter(partition target: Int) throws(ApusError) {
        if partition == target && leafBlock != nil { return }
        let leaf = try source.leaf(open!, target)
        leafBlock?.release()
        leafBlock = leaf
        partition = target
        leaveBlock()
    }

    private func enter(leafRank target: Int) throws(ApusError) {
        if leafRank == target && dataBlock != nil { return }
        let entered = try source.data(open!, partition, Block(validated: leafBlock!.bytes), target)
        leaveBlock()
        dataBlock = entered
        leafRank = target
        let block = Block(validated: entered.bytes)
        self.block = block
        order = block.order
        entryCount = block.entryCount
        prefixCount = block.prefixCount
        if prefixCount + 8 > keyCapacity { growKey(to: prefixCount + 8) }
        keyBytes.copyMemory(from: block.prefix.baseAddress!, byteCount: prefixCount)
    }

    private func leaveBlock() {
        dataBlock?.release()
        dataBlock = nil
        block = nil
        leafRank = -1
    }
}

extension Table {
    /// - Parameters:
    ///   - fillCache: whether the blocks read enter the block cache; a bulk reader says no.
    ///   - readahead: reads ahead of a forward scan, in growing pieces of up to 256 KiB.
    func makeCursor(fillCache: Bool, readahead: Bool) -> TableCursor {
        TableCursor(table: self, fillCache: fillCache, readahead: readahead)
    }

    /// Where in the file the first entry at or after `key` is, roughly: the difference of two is the size of a range.
    func approximateOffset(of key: UnsafeRawBufferPointer) throws(ApusError) -> UInt64 {
        let table = try openTable()
        let partition = table.pointee.partition(for: key, .first)
        guard partition < table.pointee.partitionCount else { return reader.end }
        let source = BlockSource(table: self, fillCache: true, readahead: false)
        let leaf = try source.leaf(table, partition)
        defer { leaf.release() }
        let rank = Block(validated: leaf.bytes).lowerBound(key, .first)
        guard rank < table.pointee.partitions[partition].blockCount else { throw indexDisagrees(table, partition) }
        let offset = try dataHandle(Block(validated: leaf.bytes), rank).offset
        return offset - min(offset, UInt64(TableFormat.blockLengthByteCount))
    }
}
