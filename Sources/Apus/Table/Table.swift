// An open table: point lookups and cursors over one file.  FORMAT.md §4 (drawn in TableFormat.swift)
//
// A lookup that finds everything cached: search the root (pinned in memory) for the partition; probe its filter;
// search its index leaf for the block; search the block. Each step loads one pointer from the table's slot array;
// nothing is locked, counted or allocated. The caller's epoch pin keeps what it finds alive.

import ApusIO
import Synchronization

/// What every table of a database shares.
final class TableContext: Sendable {
    let cache: BlockCache
    let epochs: EpochDomain
    let filePool: FilePool
    /// Told the number of each obsolete table when its last user lets go: its file can be removed.
    let onObsolete: @Sendable (FileNumber) -> Void

    init(
        cache: BlockCache,
        epochs: EpochDomain,
        filePool: FilePool,
        onObsolete: @escaping @Sendable (FileNumber) -> Void
    ) {
        self.cache = cache
        self.epochs = epochs
        self.filePool = filePool
        self.onObsolete = onObsolete
    }
}

/// Thread-safe. Creating one costs nothing: the file is opened and its root read on first use.
///
/// Invariant of the unsafe parts: `opened` is 0 or the address of an `OpenTable`, written once, freed in `deinit`.
final class Table: Sendable {
    let metadata: TableMetadata
    let path: String
    let context: TableContext
    let reader: StoredBlockReader

    private let file: PooledFile
    private let opened = Atomic<UInt>(0)
    private let isObsolete = Atomic<Bool>(false)
    /// The range deletions once they are loaded. Its lock is also held while the table is opened.
    private let loading = Monitor<RangeDeletions?>(nil)

    init(metadata: TableMetadata, path: String, context: TableContext) {
        self.metadata = metadata
        self.path = path
        self.context = context
        file = PooledFile(pool: context.filePool, path: path)
        let footer = UInt64(TableFormat.footerByteCount)
        reader = StoredBlockReader(
            number: metadata.number,
            path: path,
            end: metadata.byteCount - min(footer, metadata.byteCount),
            file: file
        )
    }

    deinit {
        if let table = UnsafeMutablePointer<OpenTable>(bitPattern: opened.load(ordering: .acquiring)) {
            context.cache.drop(table.pointee.slots, count: table.pointee.slotCount)
            context.cache.charge(-table.pointee.chargedByteCount)
            table.pointee.free()
            table.deallocate()
        }
        loading.withLock { deletions in
            if let deletions { context.cache.charge(-Self.rangeDeletionCharge(deletions)) }
        }
        file.close()
        if isObsolete.load(ordering: .acquiring) { context.onObsolete(metadata.number) }
    }

    /// The table is in no version any more: its file may go when the last user has let go of it.
    func markObsolete() {
        isObsolete.store(true, ordering: .releasing)
    }

    // MARK: - Point lookup

    /// The newest entry of `key` that is not newer than `seek`. Range deletions are the caller's concern.
    ///
    /// The caller holds an epoch pin, and what is returned is valid until it ends. Allocates nothing if all is cached.
    /// - Parameters:
    ///   - hash: `KeyHash.of(key)`.
    ///   - fill: whether a data block read from the file enters the cache.
    func find(
        _ key: UnsafeRawBufferPointer,
        hash: UInt64,
        _ seek: Trailer,
        fill: Bool
    ) throws(ApusError) -> FoundEntry? {
        let table = try openTable()
        let partition = table.pointee.partition(for: key, seek)
        if partition == table.pointee.partitionCount { return nil }
        Self.cached(table.pointee.leafSlot(partition))?.prefetch()
        if table.pointee.hasFilter(partition) {
            let filter = try filter(table, partition)
            if !filter.mayContain(hash) { return nil }
        }
        let leaf = try leaf(table, partition)
        let rank = leaf.lowerBound(key, seek)
        if rank == table.pointee.partitions[partition].blockCount { throw indexDisagrees(table, partition) }
        let slot = table.pointee.slots + (table.pointee.partitions[partition].firstBlock &+ rank)
        if let cached = Self.cached(slot) {
            cached.prefetch()
            return find(key, hash: hash, seek, in: cached)
        }
        let block = try loadData(leaf, rank, slot, fill: fill)
        return Block(validated: block.bytes).find(key, seek)
    }

    /// The same in the block that has been found for the key already.
    @inline(__always)
    func find(_ key: UnsafeRawBufferPointer, hash: UInt64, _ seek: Trailer, in block: CachedBlock) -> FoundEntry? {
        block.touch()
        context.cache.countHit(hash)
        return Block(validated: block.bytes).find(key, seek)
    }

    /// The block in `slot`, valid while the caller's epoch pin lasts.
    @inline(__always)
    static func cached(_ slot: CacheSlot) -> CachedBlock? {
        let word = slot.pointee.load(ordering: .acquiring)
        guard word & 1 == 0, let address = UnsafeMutableRawPointer(bitPattern: word) else { return nil }
        return CachedBlock(address: address)
    }

    /// The filter of a partition that has one. The caller is pinned.
    @inline(__always)
    private func filter(_ table: UnsafePointer<OpenTable>, _ partition: Int) throws(ApusError) -> BloomFilter {
        if let cached = Self.cached(table.pointee.filterSlot(partition)) {
            cached.touch()
            return BloomFilter(validated: cached.bytes)
        }
        return BloomFilter(validated: try loadFilter(table, partition).bytes)
    }

    /// The index leaf of a partition; has exactly its block count of entries. The caller is pinned.
    @inline(__always)
    private func leaf(_ table: UnsafePointer<OpenTable>, _ partition: Int) throws(ApusError) -> Block {
        if let cached = Self.cached(table.pointee.leafSlot(partition)) {
            cached.touch()
            return Block(validated: cached.bytes)
        }
        return Block(validated: try loadLeaf(table, partition).bytes)
    }

    // MARK: - Misses

    @inline(never)
    private func loadFilter(_ table: UnsafePointer<OpenTable>, _ partition: Int) throws(ApusError) -> CachedBlock {
        let handle = table.pointee.partitions[partition].filter
        let block = try readFilter(handle)
        return context.cache.insert(
            block,
            in: table.pointee.filterSlot(partition),
            .high,
            bytesRead: Int(handle.byteCount)
        )
    }

    @inline(never)
    private func loadLeaf(_ table: UnsafePointer<OpenTable>, _ partition: Int) throws(ApusError) -> CachedBlock {
        let block = try readLeaf(table.pointee.partitions[partition])
        return context.cache.insert(
            block,
            in: table.pointee.leafSlot(partition),
            .high,
            bytesRead: Int(table.pointee.partitions[partition].leaf.byteCount)
        )
    }

    @inline(never)
    private func loadData(
        _ leaf: Block,
        _ rank: Int,
        _ slot: CacheSlot,
        fill: Bool
    ) throws(ApusError) -> CachedBlock {
        let handle = try dataHandle(leaf, rank)
        let block = try readBlock(handle, .data)
        if fill { return context.cache.insert(block, in: slot, .normal, bytesRead: Int(handle.byteCount)) }
        context.cache.countRead(bytesRead: Int(handle.byteCount))
        context.cache.retire(block)
        return block
    }

    /// Where the data block of the leaf's entry `rank` is.
    func dataHandle(_ leaf: Block, _ rank: Int) throws(ApusError) -> BlockHandle {
        do {
            return try BlockHandle(leafPayload: leaf.entry(node: leaf.order.node(rank: rank)).payload)
        } catch {
            throw reader.corruption(error.what, at: nil)
        }
    }

    func readFilter(_ handle: BlockHandle) throws(ApusError) -> CachedBlock {
        let block = try reader.read(handle, .filter)
        do {
            _ = try BloomFilter.validate(block.buffer)
            return block
        } catch {
            block.release()
            throw reader.corruption(error.what, at: handle.offset)
        }
    }

    func readLeaf(_ partition: IndexPartition) throws(ApusError) -> CachedBlock {
        let block = try readBlock(partition.leaf, .leaf)
        guard Block(validated: block.bytes).entryCount == partition.blockCount else {
            block.release()
            throw reader.corruption("an index leaf has not \(partition.blockCount) entries", at: partition.leaf.offset)
        }
        return block
    }

    /// A block of entries: data, index leaf or index root.
    func readBlock(_ handle: BlockHandle, _ kind: StoredBlockKind) throws(ApusError) -> CachedBlock {
        let block = try reader.read(handle, kind)
        do {
            _ = try Block.validate(block.buffer, kind == .data ? .data : .index)
            return block
        } catch {
            block.release()
            throw reader.corruption(error.what, at: handle.offset)
        }
    }

    func indexDisagrees(_ table: UnsafePointer<OpenTable>, _ partition: Int) -> ApusError {
        reader.corruption(
            "an index leaf ends before the root says",
            at: table.pointee.partitions[partition].leaf.offset
        )
    }

    // MARK: - Opening

    /// nil before the first use.
    @inline(__always)
    var openedTable: UnsafePointer<OpenTable>? { UnsafePointer(bitPattern: opened.load(ordering: .acquiring)) }

    @inline(__always)
    func openTable() throws(ApusError) -> UnsafePointer<OpenTable> {
        if let table = openedTable { return table }
        return try open()
    }

    @inline(never)
    private func open() throws(ApusError) -> UnsafePointer<OpenTable> {
        let address = try loading.withLock { _ throws(ApusError) -> UInt in
            let present = opened.load(ordering: .acquiring)
            if present != 0 { return present }
            let loaded = try OpenTable.load(self)
            let table = UnsafeMutablePointer<OpenTable>.allocate(capacity: 1)
            table.initialize(to: loaded)
            context.cache.charge(table.pointee.chargedByteCount)
            let address = UInt(bitPattern: table)
            opened.store(address, ordering: .releasing)
            return address
        }
        return UnsafePointer<OpenTable>(bitPattern: address)!
    }

    /// The footer, checked against the file's length and number.
    func readFooter() throws(ApusError) -> TableFooter {
        let actual = try file.byteCount()
        guard actual == metadata.byteCount else {
            throw reader.corruption("\(metadata.byteCount) bytes long when written, now \(actual)", at: nil)
        }
        guard actual >= UInt64(TableFormat.footerByteCount) else {
            throw reader.corruption("shorter than a table's footer", at: nil)
        }
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: TableFormat.footerByteCount, alignment: 8)
        defer { bytes.deallocate() }
        try reader.fill(bytes, at: reader.end)
        return try TableFooter.decode(
            UnsafeRawBufferPointer(bytes),
            number: metadata.number,
            at: reader.end,
            file: path
        )
    }

    // MARK: - Range deletions

    /// The table's range deletions; nil if there are none. Kept in memory after the first call.
    func rangeDeletions() throws(ApusError) -> RangeDeletions? {
        if metadata.rangeDeletionCount == 0 { return nil }
        return try loading.withLock { loaded throws(ApusError) -> RangeDeletions in
            if let loaded { return loaded }
            let deletions = RangeDeletions(try readRangeDeletions())
            context.cache.charge(Self.rangeDeletionCharge(deletions))
            loaded = deletions
            return deletions
        }
    }

    func readRangeDeletions() throws(ApusError) -> [RangeDeletion] {
        let handle = try readFooter().rangeDeletions
        guard !handle.isNone else { throw reader.corruption("the range deletions are missing", at: nil) }
        let block = try reader.read(handle, .rangeDeletions)
        defer { block.release() }
        do {
            return try RangeDeletion.decodeAll(block.buffer)
        } catch {
            throw reader.corruption(error.what, at: handle.offset)
        }
    }

    /// What they cost in memory, roughly: two keys and their arrays each.
    private static func rangeDeletionCharge(_ deletions: RangeDeletions) -> Int { deletions.count * 160 }
}
