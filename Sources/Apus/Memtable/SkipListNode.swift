// The nodes of the memtable's skiplist and the word that orders their slots.
//
//   byte   0  order        u64    number of slots in use, then their numbers in key order (below)
//          8  heads        14×u64 head of each slot's key, in slot order
//        120  prefix       u32    bytes that all keys of the node share; heads are taken after them
//        124  link         u32    next node of the bottom level (0: none)
//        128  entries      14×u32 where each slot's entry lies
//        184  low          u32    the entry that begins the node's range (inclusive)
//        188  high         u32    the entry that ends it (exclusive; 0: the range has no end)
//        192  children     14×u32 upper levels only: the node below whose range begins at the slot's entry
//
// A slot is written once, before the order word that names it is published; it never moves and is never reused. So a
// reader that has loaded the order word has an unchanging picture of the node, with no lock and no retry (the
// permutation word of Masstree, EuroSys 2012). Fourteen slots make a bottom node exactly three cache lines.

import ApusIO
import CApusCPU
import Synchronization

/// The order of a node's slots in one word: 4 bits of count, then 4 bits per rank naming the slot.
struct SlotOrder: Equatable {
    let word: UInt64

    /// Slots 0, 1, 2, … in this order.
    @inline(__always) static func ascending(_ count: Int) -> SlotOrder {
        SlotOrder(word: 0xEDCB_A987_6543_2100 | UInt64(truncatingIfNeeded: count))
    }

    @inline(__always) var count: Int { Int(truncatingIfNeeded: word & 15) }

    @inline(__always) func slot(_ rank: Int) -> Int {
        Int(truncatingIfNeeded: (word &>> UInt64(truncatingIfNeeded: 4 &+ 4 &* rank)) & 15)
    }

    /// The next free slot put at `rank`, everything from there on moved up by one.
    @inline(__always) func inserting(at rank: Int) -> SlotOrder {
        let shift = UInt64(truncatingIfNeeded: 4 &+ 4 &* rank)
        let below = word & ((1 &<< shift) &- 1)
        let above = word & ~((1 &<< shift) &- 1)
        return SlotOrder(word: (above &<< 4 | (word & 15) &<< shift | below) &+ 1)
    }
}

/// A view of one node.
///
/// Invariant of the unsafe part: `base` is the start of a node that was complete before its offset was published, in
/// an arena that outlives the view. One thread writes; words that change while readers look on are atomic.
struct SkipListNode: Equatable {
    static let capacity = 14
    static let bottomByteCount = 192
    static let upperByteCount = 256
    static let alignment = 64
    /// As `prefix`: all entries of the node have one user key, and heads are inverted trailers. Keys that are
    /// overwritten a million times would otherwise be told apart by looking at the entries alone.
    static let singleKey = UInt32.max

    let base: UnsafeMutableRawPointer

    @inline(__always)
    private func word(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
    }
    @inline(__always)
    private func halfWord(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
        (base + offset).assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    /// Acquiring it makes everything about the slots it names visible.
    @inline(__always) var order: SlotOrder { SlotOrder(word: word(0).pointee.load(ordering: .acquiring)) }
    @inline(__always) func publish(_ order: SlotOrder) { word(0).pointee.store(order.word, ordering: .releasing) }

    // Relaxed, not plain: a search reads all heads, also those of slots that are just being written.
    @inline(__always) func head(_ slot: Int) -> UInt64 { word(8 &+ 8 &* slot).pointee.load(ordering: .relaxed) }
    @inline(__always) func setHead(_ slot: Int, _ head: UInt64) {
        word(8 &+ 8 &* slot).pointee.store(head, ordering: .relaxed)
    }

    @inline(__always) var prefix: UInt32 { base.load(fromByteOffset: 120, as: UInt32.self) }
    @inline(__always) func setPrefix(_ prefix: UInt32) {
        base.storeBytes(of: prefix, toByteOffset: 120, as: UInt32.self)
    }

    @inline(__always) var link: ArenaOffset { halfWord(124).pointee.load(ordering: .acquiring) }
    @inline(__always) func setLink(_ node: ArenaOffset) { halfWord(124).pointee.store(node, ordering: .releasing) }

    @inline(__always) func entry(_ slot: Int) -> ArenaOffset {
        base.load(fromByteOffset: 128 &+ 4 &* slot, as: UInt32.self)
    }
    @inline(__always) func setEntry(_ slot: Int, _ entry: ArenaOffset) {
        base.storeBytes(of: entry, toByteOffset: 128 &+ 4 &* slot, as: UInt32.self)
    }

    @inline(__always) var low: ArenaOffset { base.load(fromByteOffset: 184, as: UInt32.self) }
    @inline(__always) func setLow(_ entry: ArenaOffset) {
        base.storeBytes(of: entry, toByteOffset: 184, as: UInt32.self)
    }

    @inline(__always) var high: ArenaOffset { base.load(fromByteOffset: 188, as: UInt32.self) }
    @inline(__always) func setHigh(_ entry: ArenaOffset) {
        base.storeBytes(of: entry, toByteOffset: 188, as: UInt32.self)
    }

    @inline(__always) func child(_ slot: Int) -> ArenaOffset {
        halfWord(192 &+ 4 &* slot).pointee.load(ordering: .acquiring)
    }
    @inline(__always) func setChild(_ slot: Int, _ node: ArenaOffset) {
        halfWord(192 &+ 4 &* slot).pointee.store(node, ordering: .releasing)
    }

    /// One bit per slot whose head is below `head`, set also for slots not in use: the caller masks them. Looking at
    /// every slot costs less than a binary search through the order word, whose branches the processor cannot
    /// foresee.
    @inline(__always)
    func slotsBelow(_ head: UInt64) -> UInt32 {
        var mask: UInt32 = 0
        var slot = 0
        while slot < SkipListNode.capacity {
            mask |= (self.head(slot) < head ? 1 : 0) &<< UInt32(truncatingIfNeeded: slot)
            slot &+= 1
        }
        return mask
    }

    /// Fetches the lines that a search of the node needs, so that they arrive together.
    @inline(__always)
    func prefetch(upper: Bool) {
        apus_prefetch(base)
        apus_prefetch(base + 64)
        apus_prefetch(base + 128)
        if upper { apus_prefetch(base + 192) }
    }
}
