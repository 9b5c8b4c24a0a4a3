// Where a cursor gets its blocks: from the cache if they are there, else from the file, read ahead if that is wanted.

import ApusIO

/// Belongs to one cursor. Every block it returns carries a reference that is the caller's to release.
struct BlockSource {
    private let table: Table
    private let fillCache: Bool
    private let readahead: Bool
    /// Made when the first block is not in the cache.
    private var window: ReadaheadWindow?

    init(table: Table, fillCache: Bool, readahead: Bool) {
        self.table = table
        self.fillCache = fillCache
        self.readahead = readahead
    }

    /// Gives up what was read ahead.
    mutating func rest() {
        if window != nil { window = nil }
    }

    /// The index leaf of a partition.
    func leaf(_ open: UnsafePointer<OpenTable>, _ partition: Int) throws(ApusError) -> CachedBlock {
        let slot = open.pointee.leafSlot(partition)
        if let cached = take(slot) { return cached }
        let description = open.pointee.partitions[partition]
        let block = try table.readLeaf(description)
        return keep(block, in: slot, .high, bytesRead: Int(description.leaf.byteCount))
    }

    /// The data block of entry `rank` of a partition's leaf.
    mutating func data(
        _ open: UnsafePointer<OpenTable>,
        _ partition: Int,
        _ leaf: Block,
        _ rank: Int
    ) throws(ApusError) -> CachedBlock {
        let slot = open.pointee.slots + (open.pointee.partitions[partition].firstBlock + rank)
        if let cached = take(slot) { return cached }
        let handle = try table.dataHandle(leaf, rank)
        let block: CachedBlock
        if readahead {
            let window = window ?? ReadaheadWindow()
            self.window = window
            block = try window.read(handle, of: table)
        } else {
            block = try table.readBlock(handle, .data)
        }
        return keep(block, in: slot, .normal, bytesRead: Int(handle.byteCount))
    }

    private func take(_ slot: CacheSlot) -> CachedBlock? {
        let pin = table.context.epochs.pin()
        defer { table.context.epochs.unpin(pin) }
        guard let cached = Table.cached(slot) else { return nil }
        // Counting a reference waits for the block's first line, and would hold up all that follow.
        cached.prefetch()
        cached.retain()
        // A bulk reader's use says nothing about the next one.
        if fillCache { cached.touch() }
        return cached
    }

    private func keep(
        _ block: CachedBlock,
        in slot: CacheSlot,
        _ priority: BlockCache.Priority,
        bytesRead: Int
    ) -> CachedBlock {
        guard fillCache else {
            table.context.cache.countRead(bytesRead: bytesRead)
            return block
        }
        let pin = table.context.epochs.pin()
        defer { table.context.epochs.unpin(pin) }
        let kept = table.context.cache.insert(block, in: slot, priority, bytesRead: bytesRead)
        kept.retain()
        return kept
    }
}

/// A piece of the file, read in one go for the blocks that a forward scan will want next.
///
/// Invariant: `bytes[..<count]` holds the file's bytes from `offset` on, unchecked.
private final class ReadaheadWindow {
    private static let initialByteCount = 32 << 10
    private static let maximumByteCount = 256 << 10

    private var bytes = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var offset: UInt64 = 0
    private var count = 0
    private var nextByteCount = initialByteCount

    deinit { bytes.deallocate() }

    /// Reads one block, and what follows it if it continues the scan.
    func read(_ handle: BlockHandle, of table: Table) throws(ApusError) -> CachedBlock {
        let stored = try table.reader.storedByteCount(handle)
        if !(handle.offset >= offset && handle.offset + UInt64(stored) <= offset + UInt64(count)) {
            try fill(from: handle.offset, atLeast: stored, table)
        }
        let filled = UnsafeRawBufferPointer(rebasing: bytes[..<count])
        let block = try table.reader.decode(filled, at: offset, handle, .data)
        do {
            _ = try Block.validate(block.buffer, .data)
            return block
        } catch {
            block.release()
            throw table.reader.corruption(error.what, at: handle.offset)
        }
    }

    private func fill(from start: UInt64, atLeast minimum: Int, _ table: Table) throws(ApusError) {
        // A jump, forward over more than a filter and a leaf or back, starts small again.
        let scanned = offset + UInt64(count)
        let isContinued = count > 0 && start + UInt64(Self.initialByteCount) >= scanned && start <= scanned + 64 << 10
        nextByteCount = isContinued ? min(nextByteCount * 2, Self.maximumByteCount) : Self.initialByteCount
        let wanted = max(minimum, Int(min(UInt64(nextByteCount), table.reader.end - start)))
        count = 0
        // Also gives back what one huge block needed.
        if bytes.count < wanted || bytes.count > max(wanted, Self.maximumByteCount) {
            bytes.deallocate()
            bytes = .allocate(byteCount: wanted, alignment: 64)
        }
        try table.reader.fill(UnsafeMutableRawBufferPointer(rebasing: bytes[..<wanted]), at: start)
        offset = start
        count = wanted
    }
}
