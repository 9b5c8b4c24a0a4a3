// One block in memory: raw bytes behind a small header, so that a lookup that finds its block cached follows one
// pointer and touches no reference count.
//
//   reference count: u32 │ frequency: u8 │ queue: u8 │ memory class: u16 │ bytes: u64 │ slot: pointer │ newer, older: pointers
//   │ 0: u64 │ the block's bytes (its own 16-byte header completes the first cache line) │ 8 bytes of padding

import CApusCPU
import Synchronization

/// A word in a table's slot array: where one block of the table is, if it is in memory.
///
/// Zero: not in memory. Even: address of a `CachedBlock`. Odd: not in memory, but was evicted after one use; the upper
/// bits hold the cache's eviction count of that moment (the ghost queue of S3-FIFO, which thereby needs no memory).
typealias CacheSlot = UnsafeMutablePointer<Atomic<UInt>>

/// A handle of a block in memory; copying it counts nothing.
///
/// Invariant: `address` is an allocation of `headerByteCount + byteCount + paddingByteCount` bytes, aligned to a cache
/// line, whose bytes do not change after it is published. It lives while its reference count is above zero: the
/// cache holds one reference until the block is evicted *and* every epoch pin of that time has ended; a cursor adds
/// its own under a pin. Queue, slot and links belong to the cache, under its lock. That makes it sendable.
struct CachedBlock: Equatable, @unchecked Sendable {
    let address: UnsafeMutableRawPointer

    static let headerByteCount = 48
    /// So that an 8-byte load that starts inside the block stays inside the allocation.
    static let paddingByteCount = 8

    /// A block of undefined bytes, with one reference that belongs to the caller.
    static func allocate(byteCount: Int) -> CachedBlock {
        let (address, memoryClass) = BlockMemory.shared.allocate(
            byteCount: headerByteCount + byteCount + paddingByteCount)
        address.initializeMemory(as: UInt64.self, repeating: 0, count: headerByteCount / 8)
        (address + (headerByteCount + byteCount)).storeBytes(of: 0, as: UInt64.self)
        let block = CachedBlock(address: address)
        block.references.pointee.store(1, ordering: .relaxed)
        block.memoryClass = memoryClass
        block.byteCount = byteCount
        return block
    }

    @inline(__always)
    var bytes: UnsafeMutableRawPointer { address + Self.headerByteCount }
    @inline(__always)
    var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: bytes, count: byteCount) }

    /// What the block costs in memory: its cell, or what the system's allocator takes, its own header included.
    var chargedByteCount: Int {
        memoryClass == BlockMemory.system
            ? (byteCount + Self.headerByteCount + Self.paddingByteCount + 16 + 15) & ~15
            : BlockMemory.cellByteCount(memoryClass)
    }

    /// - Precondition: somebody else holds a reference, or the cache does and the caller is pinned.
    func retain() {
        references.pointee.wrappingAdd(1, ordering: .relaxed)
    }

    func release() {
        let rest = references.pointee.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue
        if rest == 0 { BlockMemory.shared.deallocate(address, memoryClass) }
    }

    /// Notes a use. Saturates at 3, so a hot block's header is soon only read.
    @inline(__always)
    func touch() {
        let count = frequency.pointee.load(ordering: .relaxed)
        if count < 3 { frequency.pointee.store(count &+ 1, ordering: .relaxed) }
    }

    /// Starts fetching what a search of the block will touch: its header and the upper levels of its columns. The
    /// misses then overlap instead of following one another.
    @inline(__always)
    func prefetch() {
        for line in 0..<8 { apus_prefetch(address + line &* 64) }
    }

    // MARK: - Header

    private var references: UnsafeMutablePointer<Atomic<UInt32>> {
        address.assumingMemoryBound(to: Atomic<UInt32>.self)
    }
    @inline(__always)
    var frequency: UnsafeMutablePointer<Atomic<UInt8>> {
        (address + 4).assumingMemoryBound(to: Atomic<UInt8>.self)
    }
    /// Which queue of the cache the block is in; the cache's numbering.
    var queue: UInt8 {
        get { address.load(fromByteOffset: 5, as: UInt8.self) }
        nonmutating set { address.storeBytes(of: newValue, toByteOffset: 5, as: UInt8.self) }
    }
    /// Where the allocation came from.
    private var memoryClass: BlockMemory.Class {
        get { address.load(fromByteOffset: 6, as: BlockMemory.Class.self) }
        nonmutating set { address.storeBytes(of: newValue, toByteOffset: 6, as: BlockMemory.Class.self) }
    }
    private(set) var byteCount: Int {
        get { address.load(fromByteOffset: 8, as: Int.self) }
        nonmutating set { address.storeBytes(of: newValue, toByteOffset: 8, as: Int.self) }
    }
    var slot: CacheSlot? {
        get { address.load(fromByteOffset: 16, as: CacheSlot?.self) }
        nonmutating set { address.storeBytes(of: newValue, toByteOffset: 16, as: CacheSlot?.self) }
    }
    var newer: UnsafeMutableRawPointer? {
        get { address.load(fromByteOffset: 24, as: UnsafeMutableRawPointer?.self) }
        nonmutating set { address.storeBytes(of: newValue, toByteOffset: 24, as: UnsafeMutableRawPointer?.self) }
    }
    var older: UnsafeMutableRawPointer? {
        get { address.load(fromByteOffset: 32, as: UnsafeMutableRawPointer?.self) }
        nonmutating set { address.storeBytes(of: newValue, toByteOffset: 32, as: UnsafeMutableRawPointer?.self) }
    }

    /// Makes a block shorter before it is published (its stored trailer is cut off).
    func shrink(to count: Int) {
        precondition(count <= byteCount)
        byteCount = count
    }
}
