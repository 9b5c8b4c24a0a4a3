// What a table keeps in memory once it is open: the index root and a slot for every block.

import ApusIO
import Synchronization

/// Plain memory, so that following it counts no references.
///
/// Invariant: built by `load` from a validated root, immutable but for the words in the slots, freed by `free` when
/// the table has no users. Slots: one per data block, then leaf and filter of each partition.
struct OpenTable: @unchecked Sendable {
    /// nil if the table has no entries.
    private let root: CachedBlock?
    let partitionCount: Int
    let partitions: UnsafeMutablePointer<IndexPartition>
    let blockCount: Int
    let slots: CacheSlot

    var slotCount: Int { blockCount + 2 * partitionCount }

    var chargedByteCount: Int {
        (root?.chargedByteCount ?? 0) + partitionCount * MemoryLayout<IndexPartition>.stride + slotCount * 8
    }

    /// The first partition that may hold an entry at or after (`key`, `trailer`); `partitionCount` if none may.
    @inline(__always)
    func partition(for key: UnsafeRawBufferPointer, _ trailer: Trailer) -> Int {
        guard let root else { return 0 }
        return Block(validated: root.bytes).lowerBound(key, trailer)
    }

    @inline(__always)
    func hasFilter(_ partition: Int) -> Bool { !partitions[partition].filter.isNone }
    @inline(__always)
    func leafSlot(_ partition: Int) -> CacheSlot { slots + (blockCount &+ 2 &* partition) }
    @inline(__always)
    func filterSlot(_ partition: Int) -> CacheSlot { slots + (blockCount &+ 2 &* partition &+ 1) }

    /// The separator of a partition: (key, trailer) of its index entry.
    func rootBlock() -> Block? { root.map { Block(validated: $0.bytes) } }

    static func load(_ table: Table) throws(ApusError) -> OpenTable {
        let handle = try table.readFooter().root
        guard !handle.isNone else {
            guard table.metadata.entryCount == 0 else { throw table.reader.corruption("the index is missing", at: nil) }
            return OpenTable(root: nil, partitions: [])
        }
        let root = try table.readBlock(handle, .root)
        do {
            return OpenTable(
                root: root,
                partitions: try partitions(Block(validated: root.bytes), end: table.reader.end)
            )
        } catch {
            root.release()
            throw table.reader.corruption(error.what, at: handle.offset)
        }
    }

    private init(root: CachedBlock?, partitions: [IndexPartition]) {
        self.root = root
        partitionCount = partitions.count
        self.partitions = .allocate(capacity: partitions.count)
        self.partitions.initialize(from: partitions, count: partitions.count)
        blockCount = partitions.last.map { $0.firstBlock + $0.blockCount } ?? 0
        let slotCount = blockCount + 2 * partitions.count
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(slotCount, 1) * 8, alignment: 64)
        memory.initializeMemory(as: UInt.self, repeating: 0, count: max(slotCount, 1))
        slots = memory.assumingMemoryBound(to: Atomic<UInt>.self)
    }

    func free() {
        root?.release()
        partitions.deallocate()
        UnsafeMutableRawPointer(slots).deallocate()
    }

    /// The partitions that a root names: consecutive, and no more blocks than the file has room for.
    private static func partitions(_ root: Block, end: UInt64) throws(DecodingFailure) -> [IndexPartition] {
        var partitions: [IndexPartition] = []
        partitions.reserveCapacity(root.entryCount)
        var blockCount = 0
        for rank in 0..<root.entryCount {
            let partition = try IndexPartition(decoding: root.entry(node: root.order.node(rank: rank)).payload)
            guard partition.firstBlock == blockCount else {
                throw DecodingFailure(
                    what: "partition \(rank) begins at block \(partition.firstBlock), not \(blockCount)"
                )
            }
            blockCount += partition.blockCount
            guard UInt64(blockCount) <= end / UInt64(TableFormat.smallestBlockByteCount) else {
                throw DecodingFailure(what: "an index of \(blockCount) blocks in a file of \(end) bytes")
            }
            partitions.append(partition)
        }
        return partitions
    }
}
