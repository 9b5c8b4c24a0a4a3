// Separated values in memory, within the budget of the block cache. A value is asked for by its place in a blob file,
// and a file has too many places for a slot each; so the slots are one array for all files, of which a value may use two:
// the one its place hashes to, and that one's neighbour. What a slot holds says which value it is.
//
//   block:   file u64 │ offset u64 │ where the value begins, from the start of the block u64 │ … │ value

import ApusIO
import Synchronization

/// Thread-safe. Values of files that are gone are not looked for any more, and leave as everything does that is not used.
///
/// Invariant of the unsafe part: `slots` is zero or the address of `slotCount` words that live as long as the cache.
final class ValueCache: Sendable {
    static let headerByteCount = 24
    /// What comes in cells of equal size (`BlockMemory`). Larger values gain little: their bytes cost more than the call
    /// of the system that fetches them.
    static let largestRecord =
        BlockMemory.largestCell - CachedBlock.headerByteCount - CachedBlock.paddingByteCount - headerByteCount

    let epochs: EpochDomain
    private let cache: BlockCache
    private let slotCount: Int
    private let slots = Atomic<UInt>(0)
    private let creation = Monitor(())

    /// - Parameter capacity: about as many bytes as values may ever take.
    init(_ cache: BlockCache, epochs: EpochDomain, capacity: Int) {
        self.cache = cache
        self.epochs = epochs
        // Two to four for each value of 4 KiB, so most find one of their two places free.
        slotCount = 1 << (Int.bitWidth - max(capacity >> 11, 64).leadingZeroBitCount)
    }

    deinit {
        guard let start = CacheSlot(bitPattern: slots.load(ordering: .acquiring)) else { return }
        cache.drop(start, count: slotCount)
        cache.charge(-slotCount * MemoryLayout<UInt>.size)
        start.deallocate()
    }

    /// Whether a value is of a size that is kept.
    @inline(__always)
    static func holds(_ reference: BlobReference) -> Bool {
        max(reference.storedByteCount, reference.valueByteCount) <= largestRecord
    }

    /// A block for something of so many bytes, which begins at `headerByteCount`.
    static func makeBlock(byteCount: Int) -> CachedBlock { .allocate(byteCount: headerByteCount + byteCount) }

    /// The value, if it is here. Valid while the caller's epoch pin lasts.
    func find(_ reference: BlobReference) -> UnsafeRawBufferPointer? {
        guard let start = CacheSlot(bitPattern: slots.load(ordering: .acquiring)) else { return nil }
        let hash = Self.hash(reference)
        let index = Int(truncatingIfNeeded: hash) & (slotCount - 1)
        for slot in [start + index, start + (index ^ 1)] {
            guard let block = Table.cached(slot), Self.isBlock(block, of: reference) else { continue }
            block.touch()
            cache.countHit(hash >> 32)
            return Self.value(in: block, reference)
        }
        return nil
    }

    /// Takes over the block, and the caller's reference to it. Returns the value in it, valid while the caller's epoch pin
    /// lasts.
    /// - Parameter valueOffset: where the value begins in the block.
    func insert(_ block: CachedBlock, _ reference: BlobReference, valueOffset: Int) -> UnsafeRawBufferPointer {
        assert(valueOffset + Int(reference.valueByteCount) <= block.byteCount)
        block.bytes.storeBytes(of: reference.file, as: UInt64.self)
        block.bytes.storeBytes(of: reference.offset, toByteOffset: 8, as: UInt64.self)
        block.bytes.storeBytes(of: UInt64(valueOffset), toByteOffset: 16, as: UInt64.self)
        let start = existingOrNewSlots()
        let index = Int(truncatingIfNeeded: Self.hash(reference)) & (slotCount - 1)
        // Where a value is already, if it is the same or the neighbour's place is free.
        let isTaken = Table.cached(start + index).map { !Self.isBlock($0, of: reference) } ?? false
        let slot = isTaken && Table.cached(start + (index ^ 1)) == nil ? start + (index ^ 1) : start + index
        cache.replace(in: slot, with: block, bytesRead: Int(reference.storedByteCount))
        return Self.value(in: block, reference)
    }

    private static func isBlock(_ block: CachedBlock, of reference: BlobReference) -> Bool {
        block.bytes.load(as: UInt64.self) == reference.file
            && block.bytes.load(fromByteOffset: 8, as: UInt64.self) == reference.offset
    }

    private static func value(in block: CachedBlock, _ reference: BlobReference) -> UnsafeRawBufferPointer {
        let offset = Int(block.bytes.load(fromByteOffset: 16, as: UInt64.self))
        return UnsafeRawBufferPointer(start: block.bytes + offset, count: Int(reference.valueByteCount))
    }

    private func existingOrNewSlots() -> CacheSlot {
        if let start = CacheSlot(bitPattern: slots.load(ordering: .acquiring)) { return start }
        return creation.withLock { _ in
            if let start = CacheSlot(bitPattern: slots.load(ordering: .acquiring)) { return start }
            let start = CacheSlot.allocate(capacity: slotCount)
            UnsafeMutableRawPointer(start).initializeMemory(as: UInt.self, repeating: 0, count: slotCount)
            cache.charge(slotCount * MemoryLayout<UInt>.size)
            slots.store(UInt(bitPattern: start), ordering: .releasing)
            return start
        }
    }

    /// Spreads places, which are multiples of little, over all bits (the finaliser of SplitMix64: G. Steele, D. Lea,
    /// C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
    private static func hash(_ reference: BlobReference) -> UInt64 {
        var word = reference.offset &+ reference.file &* 0x9E37_79B9_7F4A_7C15
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}
