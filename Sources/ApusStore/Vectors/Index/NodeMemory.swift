// The memory behind a vector index: rows of codes and lists of links, in chunks that never move, so that searches read
// without a lock while nodes are added.
//
//   row:    codes, padded with zeros to 32 │ scale: f32 │ bias: f32 │ error: f32 │ state: u32 │ node: u64 │ metadata: address
//   links:  capacity × u32, slot + 1 each; the first 0 ends the list
//   parent: u32, slot + 1; see VectorGraph+Tree.swift
//
// This is the unsafe fence of the index. Invariants:
// 1. A slot below `slotCount` has a chunk, and chunks stay where they are as long as the object lives.
// 2. A row is written by one thread before any link to it is published (release), and read only by those who found its
//    slot in a link or behind the writer's lock (acquire). It is written again only after `ReclamationGate` has seen
//    every search leave that may know the slot.
// 3. Metadata is an allocation of its own, its length in front, made before the row is published and freed when the slot
//    is written again or the memory goes.
// 4. `state`, `node` and links are atomic. Links are hints: a reader may see part of a change. Parents are the writer's
//    alone.

import ApusIO
import Synchronization

/// Rows and links by slot, a small dense number.
final class NodeMemory: @unchecked Sendable {
    /// What a slot holds.
    enum State {
        /// Nothing, or something that nothing leads to any more.
        static let free: UInt32 = 0
        static let live: UInt32 = 1
        /// Deleted; searches go through it, and older snapshots still find it.
        static let dead: UInt32 = 2
        /// Added by a transaction that has not ended.
        static let pending: UInt32 = 3
        /// Deleted, and nobody can see it any more; searches still go through it.
        static let leaving: UInt32 = 4
    }

    static let chunkShift = 16
    static let chunkSlotCount = 1 << chunkShift
    /// 2²⁸ vectors. The table of chunks is reserved address space: untouched pages take no memory.
    static let chunkLimit = 1 << 12

    let dimension: Int
    let linkCapacity: Int
    /// Where scale, bias and the rest begin in a row: the dimension, rounded up to 32.
    let codeByteCount: Int
    let rowStride: Int
    private let table: PageMemory
    private let chunks: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    /// Keeps the chunks mapped. Guarded by the index's lock, like growing itself.
    private var owned: [PageMemory] = []
    /// Slots that may have been written.
    private var reservedCount = 0

    init?(dimension: Int, linkCapacity: Int) {
        self.dimension = dimension
        self.linkCapacity = linkCapacity
        codeByteCount = (dimension + 31) / 32 * 32
        rowStride = codeByteCount + 32
        guard let table = PageMemory(byteCount: NodeMemory.chunkLimit * 8) else { return nil }
        self.table = table
        chunks = table.base.bindMemory(to: UnsafeMutableRawPointer?.self, capacity: NodeMemory.chunkLimit)
    }

    deinit {
        for slot in 0..<reservedCount { setMetadata(UInt32(slot), []) }
    }

    /// Bytes that one slot takes.
    var bytesPerSlot: Int { rowStride + 4 * linkCapacity + 4 }

    /// Makes sure that the slot has memory. False if there is none left, or no more slots.
    func reserve(slot: Int) -> Bool {
        let chunk = slot >> NodeMemory.chunkShift
        if chunk >= owned.count {
            guard chunk < NodeMemory.chunkLimit,
                let memory = PageMemory(byteCount: NodeMemory.chunkSlotCount * bytesPerSlot)
            else { return false }
            owned.append(memory)
            chunks[chunk] = memory.base
        }
        reservedCount = max(reservedCount, slot + 1)
        return true
    }

    // MARK: Rows

    @inline(__always)
    func row(_ slot: UInt32) -> UnsafeMutableRawPointer {
        let chunk = chunks[Int(slot >> UInt32(NodeMemory.chunkShift))].unsafelyUnwrapped
        return chunk + (Int(slot) & (NodeMemory.chunkSlotCount &- 1)) &* rowStride
    }

    @inline(__always)
    func code(_ slot: UInt32) -> UnsafeMutablePointer<Int8> {
        row(slot).assumingMemoryBound(to: Int8.self)
    }

    /// What turns an inner product of codes into one of vectors.
    @inline(__always)
    func scale(_ slot: UInt32) -> Float { scale(atRow: row(slot)) }

    @inline(__always)
    func scale(atRow row: UnsafeRawPointer) -> Float { row.load(fromByteOffset: codeByteCount, as: Float.self) }

    /// What the metric adds to the inner product's part of a distance: the squared norm for `l2`, 0 otherwise.
    @inline(__always)
    func bias(atRow row: UnsafeRawPointer) -> Float { row.load(fromByteOffset: codeByteCount &+ 4, as: Float.self) }

    /// The length of what quantisation lost.
    @inline(__always)
    func error(atRow row: UnsafeRawPointer) -> Float { row.load(fromByteOffset: codeByteCount &+ 8, as: Float.self) }

    /// Writes everything but codes and state of a slot that nobody can reach.
    func describe(_ slot: UInt32, scale: Float, bias: Float, error: Float, node: UInt64) {
        let row = row(slot) + codeByteCount
        row.storeBytes(of: scale, as: Float.self)
        row.storeBytes(of: bias, toByteOffset: 4, as: Float.self)
        row.storeBytes(of: error, toByteOffset: 8, as: Float.self)
        nodeCell(slot).pointee.store(node, ordering: .relaxed)
    }

    @inline(__always)
    private func stateCell(_ slot: UInt32) -> UnsafeMutablePointer<Atomic<UInt32>> {
        (row(slot) + (codeByteCount &+ 12)).assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    @inline(__always)
    func state(_ slot: UInt32) -> UInt32 { stateCell(slot).pointee.load(ordering: .acquiring) }

    func setState(_ slot: UInt32, _ state: UInt32) { stateCell(slot).pointee.store(state, ordering: .releasing) }

    @inline(__always)
    private func nodeCell(_ slot: UInt32) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (row(slot) + (codeByteCount &+ 16)).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// The number that the vector has in the database.
    @inline(__always)
    func node(_ slot: UInt32) -> UInt64 { nodeCell(slot).pointee.load(ordering: .relaxed) }

    // MARK: Metadata

    /// The metadata of a slot, encoded; empty if it has none.
    @inline(__always)
    func metadata(_ slot: UInt32) -> UnsafeRawBufferPointer {
        let address = metadataCell(slot).pointee.load(ordering: .relaxed)
        guard let pointer = UnsafeRawPointer(bitPattern: address) else {
            return UnsafeRawBufferPointer(start: nil, count: 0)
        }
        return UnsafeRawBufferPointer(start: pointer + 8, count: pointer.load(as: Int.self))
    }

    /// Replaces the metadata of a slot that nobody can reach.
    func setMetadata(_ slot: UInt32, _ bytes: [UInt8]) {
        let old = metadataCell(slot).pointee.load(ordering: .relaxed)
        UnsafeMutableRawPointer(bitPattern: old)?.deallocate()
        var address: UInt = 0
        if !bytes.isEmpty {
            let copy = UnsafeMutableRawPointer.allocate(byteCount: 8 + bytes.count, alignment: 8)
            copy.storeBytes(of: bytes.count, as: Int.self)
            bytes.withUnsafeBytes { (copy + 8).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
            address = UInt(bitPattern: copy)
        }
        metadataCell(slot).pointee.store(address, ordering: .relaxed)
    }

    @inline(__always)
    private func metadataCell(_ slot: UInt32) -> UnsafeMutablePointer<Atomic<UInt>> {
        (row(slot) + (codeByteCount &+ 24)).assumingMemoryBound(to: Atomic<UInt>.self)
    }

    // MARK: Links

    @inline(__always)
    private func links(_ slot: UInt32) -> UnsafeMutablePointer<Atomic<UInt32>> {
        let chunk = chunks[Int(slot >> UInt32(NodeMemory.chunkShift))].unsafelyUnwrapped
        let offset =
            NodeMemory.chunkSlotCount &* rowStride
            &+ (Int(slot) & (NodeMemory.chunkSlotCount &- 1)) &* (4 &* linkCapacity)
        return (chunk + offset).assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    /// Address of the list, to prefetch it.
    @inline(__always)
    func linkAddress(_ slot: UInt32) -> UnsafeRawPointer { UnsafeRawPointer(links(slot)) }

    /// Calls `body` with each slot that the list of `slot` names.
    @inline(__always)
    func forEachLink(_ slot: UInt32, _ body: (UInt32) -> Void) {
        let list = links(slot)
        for index in 0..<linkCapacity {
            let link = list[index].load(ordering: .acquiring)
            if link == 0 { return }
            body(link &- 1)
        }
    }

    func linkCount(_ slot: UInt32) -> Int {
        var count = 0
        forEachLink(slot) { _ in count += 1 }
        return count
    }

    /// Adds a link if there is room for it. Writers only, one at a time.
    func appendLink(_ slot: UInt32, to target: UInt32) -> Bool {
        let list = links(slot)
        for index in 0..<linkCapacity {
            let link = list[index].load(ordering: .relaxed)
            if link == target &+ 1 { return true }
            if link == 0 {
                list[index].store(target &+ 1, ordering: .releasing)
                return true
            }
        }
        return false
    }

    func hasLink(_ slot: UInt32, to target: UInt32) -> Bool {
        let list = links(slot)
        for index in 0..<linkCapacity {
            let link = list[index].load(ordering: .relaxed)
            if link == 0 { return false }
            if link == target &+ 1 { return true }
        }
        return false
    }

    /// Replaces one link by another. Writers only, one at a time.
    func replaceLink(_ slot: UInt32, at index: Int, by target: UInt32) {
        links(slot)[index].store(target &+ 1, ordering: .releasing)
    }

    /// Replaces the list. Writers only, one at a time.
    func setLinks(_ slot: UInt32, _ targets: some Collection<UInt32>) {
        let list = links(slot)
        var index = 0
        for target in targets.prefix(linkCapacity) {
            list[index].store(target &+ 1, ordering: .releasing)
            index += 1
        }
        while index < linkCapacity {
            list[index].store(0, ordering: .releasing)
            index += 1
        }
    }

    // MARK: Parents

    private func parentCell(_ slot: UInt32) -> UnsafeMutablePointer<UInt32> {
        let chunk = chunks[Int(slot >> UInt32(NodeMemory.chunkShift))].unsafelyUnwrapped
        let offset =
            NodeMemory.chunkSlotCount &* (rowStride &+ 4 &* linkCapacity)
            &+ (Int(slot) & (NodeMemory.chunkSlotCount &- 1)) &* 4
        return (chunk + offset).assumingMemoryBound(to: UInt32.self)
    }

    /// Writers only, one at a time, like setting it.
    func parent(_ slot: UInt32) -> UInt32? {
        let cell = parentCell(slot).pointee
        return cell == 0 ? nil : cell &- 1
    }

    func setParent(_ slot: UInt32, _ parent: UInt32?) {
        parentCell(slot).pointee = parent.map { $0 &+ 1 } ?? 0
    }
}
