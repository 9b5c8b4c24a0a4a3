// Memory for cached blocks: cells of some hundred sizes, in slabs of 2 MiB that are one huge page each. A lookup in data
// of many megabytes otherwise pays for a walk through the page table with every block it looks into; and the system's
// allocator takes several times as long for a block, where a reader beside the cache needs one for a moment.
//
//   slab:   class: u32 │ cells in use: u32 │ first free cell: pointer │ where the part never used begins: u32 │ 0: u32
//           │ next, previous slab with room: pointers │ 24 bytes │ cell │ cell │ …
//   free cell:   next free cell of the slab: pointer
//
// Sizes are sixteen to a doubling, so a cell is at most a sixteenth larger than what is in it. What is smaller or larger
// than any cell comes from the system. (Slabs of equal cells: J. Bonwick, "The Slab Allocator", USENIX Summer 1994.)

import ApusIO

/// All blocks of the process, whatever database they belong to. Thread-safe.
///
/// Invariant of the unsafe part: a slab is in its class's list of those with room exactly if it has a free or unused cell;
/// its header and the free cells belong to the lock of its class; a cell in use belongs to whoever allocated it.
final class BlockMemory: @unchecked Sendable {
    static let shared = BlockMemory()

    /// Where memory came from. The holder keeps it, and says it when it gives the memory back.
    typealias Class = UInt16
    static let system: Class = 0

    static let smallestCell = 1 << 10
    static let largestCell = 32 << 10
    private static let stepsPerDoubling = 16
    private static let doublings = 5
    private static let headerByteCount = 64

    private struct SizeClass {
        /// The first slab with room.
        var withRoom: UnsafeMutableRawPointer?
        var slabCount = 0
    }

    private let classes: [Monitor<SizeClass>]
    /// Empty slabs that wait for whoever needs one, so that blocks that come and go on several threads map nothing: to
    /// unmap memory the system interrupts every processor.
    private let spares = Monitor<Spares>(Spares())
    private static let spareLimit = 4

    private struct Spares: @unchecked Sendable {
        var starts: [UnsafeMutableRawPointer] = []
    }

    private let usesCells: Bool

    init(usesCells: Bool = !Slab.isWatched) {
        self.usesCells = usesCells
        classes = (0...Self.stepsPerDoubling * Self.doublings).map { _ in Monitor(SizeClass()) }
    }

    deinit {
        for start in spares.withLock({ $0.starts }) { Slab.unmap(start) }
    }

    // MARK: - Sizes

    /// The smallest class whose cells hold so many bytes; `system` if none does, or if they are few.
    @inline(__always)
    static func sizeClass(of byteCount: Int) -> Class {
        guard byteCount > smallestCell - smallestCell / stepsPerDoubling, byteCount <= largestCell else {
            return system
        }
        if byteCount <= smallestCell { return 1 }
        // Between 2^n and 2^(n+1) the steps are 2^n / 16 apart.
        let doubling = Int.bitWidth - 1 - (byteCount - 1).leadingZeroBitCount
        let step = (1 << doubling) / stepsPerDoubling
        let position = (byteCount - (1 << doubling) + step - 1) / step
        return Class(1 + (doubling - smallestCell.trailingZeroBitCount) * stepsPerDoubling + position)
    }

    /// The bytes of a cell of the class.
    static func cellByteCount(_ sizeClass: Class) -> Int {
        let (doubling, step) = Int(sizeClass - 1).quotientAndRemainder(dividingBy: stepsPerDoubling)
        return (smallestCell << doubling) / stepsPerDoubling * (stepsPerDoubling + step)
    }

    // MARK: - Cells

    /// Memory of undefined content, aligned to a cache line.
    func allocate(byteCount: Int) -> (address: UnsafeMutableRawPointer, sizeClass: Class) {
        let sizeClass = usesCells ? Self.sizeClass(of: byteCount) : Self.system
        if sizeClass != Self.system, let cell = takeCell(sizeClass) { return (cell, sizeClass) }
        return (.allocate(byteCount: byteCount, alignment: Self.headerByteCount), Self.system)
    }

    func deallocate(_ address: UnsafeMutableRawPointer, _ sizeClass: Class) {
        if sizeClass == Self.system { address.deallocate() } else { giveBackCell(address, sizeClass) }
    }

    private func takeCell(_ sizeClass: Class) -> UnsafeMutableRawPointer? {
        classes[Int(sizeClass) - 1].withLock { state in
            guard let start = state.withRoom ?? addSlab(sizeClass, &state) else { return nil }
            let slab = SlabHeader(start: start)
            let cell: UnsafeMutableRawPointer
            if let free = slab.firstFree {
                cell = free
                slab.firstFree = free.load(as: UnsafeMutableRawPointer?.self)
            } else {
                cell = start + slab.unusedOffset
                slab.unusedOffset += Self.cellByteCount(sizeClass)
            }
            slab.cellsInUse += 1
            if !hasRoom(slab, sizeClass) { unlink(slab, &state) }
            return cell
        }
    }

    private func giveBackCell(_ cell: UnsafeMutableRawPointer, _ sizeClass: Class) {
        let start = UnsafeMutableRawPointer(bitPattern: UInt(bitPattern: cell) & ~UInt(Slab.byteCount - 1))!
        let slab = SlabHeader(start: start)
        let isEmpty = classes[Int(sizeClass) - 1].withLock { state in
            precondition(slab.sizeClass == sizeClass && slab.cellsInUse > 0, "a block was freed twice")
            let hadRoom = hasRoom(slab, sizeClass)
            cell.storeBytes(of: slab.firstFree, as: UnsafeMutableRawPointer?.self)
            slab.firstFree = cell
            slab.cellsInUse -= 1
            if slab.cellsInUse == 0 {
                if hadRoom { unlink(slab, &state) }
                state.slabCount -= 1
                return true
            }
            if !hadRoom { link(slab, &state) }
            return false
        }
        if isEmpty { retire(start) }
    }

    private func hasRoom(_ slab: SlabHeader, _ sizeClass: Class) -> Bool {
        slab.firstFree != nil || slab.unusedOffset + Self.cellByteCount(sizeClass) <= Slab.byteCount
    }

    // MARK: - Slabs

    private func addSlab(_ sizeClass: Class, _ state: inout SizeClass) -> UnsafeMutableRawPointer? {
        let kept = spares.withLock { $0.starts.popLast() }
        // Small users stay small: the first slab of a class comes in ordinary pages.
        guard let start = kept ?? Slab.map(isHuge: state.slabCount > 0) else { return nil }
        state.slabCount += 1
        let slab = SlabHeader(start: start)
        slab.sizeClass = sizeClass
        slab.cellsInUse = 0
        slab.firstFree = nil
        slab.unusedOffset = Self.headerByteCount
        link(slab, &state)
        return start
    }

    private func retire(_ start: UnsafeMutableRawPointer) {
        let isKept = spares.withLock { spares in
            guard spares.starts.count < Self.spareLimit else { return false }
            spares.starts.append(start)
            return true
        }
        if !isKept { Slab.unmap(start) }
    }

    private func link(_ slab: SlabHeader, _ state: inout SizeClass) {
        slab.previous = nil
        slab.next = state.withRoom
        if let next = state.withRoom { SlabHeader(start: next).previous = slab.start }
        state.withRoom = slab.start
    }

    private func unlink(_ slab: SlabHeader, _ state: inout SizeClass) {
        if let next = slab.next { SlabHeader(start: next).previous = slab.previous }
        if let previous = slab.previous {
            SlabHeader(start: previous).next = slab.next
        } else {
            state.withRoom = slab.next
        }
    }
}

/// The first bytes of a slab. Only with the lock of the slab's class.
private struct SlabHeader {
    let start: UnsafeMutableRawPointer

    var sizeClass: BlockMemory.Class {
        get { BlockMemory.Class(truncatingIfNeeded: start.load(as: UInt32.self)) }
        nonmutating set { start.storeBytes(of: UInt32(newValue), as: UInt32.self) }
    }
    var cellsInUse: Int {
        get { Int(start.load(fromByteOffset: 4, as: UInt32.self)) }
        nonmutating set { start.storeBytes(of: UInt32(newValue), toByteOffset: 4, as: UInt32.self) }
    }
    var firstFree: UnsafeMutableRawPointer? {
        get { start.load(fromByteOffset: 8, as: UnsafeMutableRawPointer?.self) }
        nonmutating set { start.storeBytes(of: newValue, toByteOffset: 8, as: UnsafeMutableRawPointer?.self) }
    }
    var unusedOffset: Int {
        get { Int(start.load(fromByteOffset: 16, as: UInt32.self)) }
        nonmutating set { start.storeBytes(of: UInt32(newValue), toByteOffset: 16, as: UInt32.self) }
    }
    var next: UnsafeMutableRawPointer? {
        get { start.load(fromByteOffset: 24, as: UnsafeMutableRawPointer?.self) }
        nonmutating set { start.storeBytes(of: newValue, toByteOffset: 24, as: UnsafeMutableRawPointer?.self) }
    }
    var previous: UnsafeMutableRawPointer? {
        get { start.load(fromByteOffset: 32, as: UnsafeMutableRawPointer?.self) }
        nonmutating set { start.storeBytes(of: newValue, toByteOffset: 32, as: UnsafeMutableRawPointer?.self) }
    }
}
