// Epoch-based reclamation: lets readers use shared memory without counting references, and tells writers when memory
// they have unlinked can no longer be in use (Fraser, "Practical lock-freedom", 2004, without thread-local storage).
//
// 1. A reader pins: it claims a slot and writes the current epoch into it, then loads pointers and reads.
// 2. A writer unlinks memory (so that no new reader finds it) and retires it: the memory is stamped with the current
//    epoch, which then moves on.
// 3. Retired memory is released when every pinned slot holds a later epoch than its stamp: those readers pinned after
//    the unlinking and cannot have found it.
//
// Reference counts on a shared object cost 10 ns a read and 40 ns when two threads do it; a pin costs one
// uncontended compare-and-swap on a cache line that other threads rarely touch.

import ApusIO
import Synchronization

/// Proof that the holder may follow pointers published under the domain. Give it back with `unpin`, exactly once.
struct EpochPin {
    fileprivate let slot: UnsafeMutablePointer<Atomic<UInt64>>
}

/// Thread-safe. Pinning never blocks, never allocates (but for the first time that more than 32 pins are held at
/// once) and never fails; a pin should be short, because it holds back the release of everything retired after it.
///
/// Invariant of the unsafe parts: `chunks` starts a list of chunks that only grows and is freed with the domain; each
/// is zeroed memory of `Chunk.byteCount` bytes in which every shared word is accessed as an `Atomic`.
final class EpochDomain: @unchecked Sendable {
    private let chunks: UnsafeMutableRawPointer
    private let retired = Monitor(Retired())

    private struct Retired {
        var queue: [Item] = []
        var byteCount = 0
        /// Items queued since the last collection.
        var sinceCollection = 0

        struct Item {
            var stamp: UInt64
            var byteCount: Int
            var release: @Sendable () -> Void
        }
    }

    /// Where things lie in a chunk. Every word that is written often has two cache lines of its own, because
    /// processors fetch lines in pairs.
    private enum Chunk {
        static let lineByteCount = 128
        static let slotCount = 32
        /// The global epoch (in the first chunk only), then the slots, then the link to the next chunk.
        static let epochOffset = 0
        static let slotsOffset = lineByteCount
        static let nextOffset = slotsOffset + slotCount * lineByteCount
        static let byteCount = nextOffset + lineByteCount

        static func allocate() -> UnsafeMutableRawPointer {
            let chunk = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: lineByteCount)
            chunk.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
            return chunk
        }
    }

    init() {
        chunks = Chunk.allocate()
        epoch.pointee.store(1, ordering: .relaxed)
    }

    deinit {
        for item in retired.withLock({ $0.queue }) { item.release() }
        var chunk: UnsafeMutableRawPointer? = chunks
        while let current = chunk {
            chunk = UnsafeMutableRawPointer(bitPattern: Self.next(of: current).pointee.load(ordering: .relaxed))
            current.deallocate()
        }
    }

    /// Keeps everything that can be found now alive until `unpin`. 5–10 ns.
    @inline(__always)
    func pin() -> EpochPin {
        let now = epoch.pointee.load(ordering: .acquiring)
        let slot = Self.slot(Self.hint(), of: chunks)
        if slot.pointee.compareExchange(expected: 0, desired: now, ordering: .sequentiallyConsistent).exchanged {
            Self.orderPinBeforeLoads()
            return EpochPin(slot: slot)
        }
        return pinElsewhere(now)
    }

    @inline(__always)
    func unpin(_ pin: EpochPin) {
        // A reader may retain what it found before it unpins. To the optimiser a retain is no access to memory, and
        // it moves it down past an atomic store, beyond the pin that makes it safe; past a fence it does not. On
        // x86-64 the fence is no instruction.
        atomicMemoryFence(ordering: .releasing)
        pin.slot.pointee.store(0, ordering: .releasing)
    }

    /// Hands over memory that no new reader can find any more; `release` runs on some later call of `retire` or
    /// `collect` (or when the domain goes), on that caller's thread, when no reader can still be using it.
    func retire(byteCount: Int, _ release: @escaping @Sendable () -> Void) {
        let isDue = retired.withLock { retired in
            // Under the lock, so that stamps ascend along the queue.
            let stamp = epoch.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent).oldValue
            retired.queue.append(.init(stamp: stamp, byteCount: byteCount, release: release))
            retired.byteCount += byteCount
            retired.sinceCollection += 1
            let isDue = retired.sinceCollection >= 32 || (byteCount > 0 && retired.byteCount >= 1 << 20)
            if isDue { retired.sinceCollection = 0 }
            return isDue
        }
        if isDue { collect() }
    }

    /// Releases what can be released now.
    func collect() {
        let limit = oldestPinnedEpoch()
        let free = retired.withLock { retired in
            let count = retired.queue.firstIndex { $0.stamp >= limit } ?? retired.queue.count
            let free = Array(retired.queue[..<count])
            retired.queue.removeFirst(count)
            for item in free { retired.byteCount -= item.byteCount }
            return free
        }
        for item in free { item.release() }
    }

    /// Bytes handed over and not yet released.
    var retiredByteCount: Int { retired.withLock { $0.byteCount } }

    // MARK: - Slots

    @inline(__always)
    private var epoch: UnsafeMutablePointer<Atomic<UInt64>> {
        (chunks + Chunk.epochOffset).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    @inline(__always)
    private static func slot(_ index: Int, of chunk: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (chunk + (Chunk.slotsOffset &+ index &* Chunk.lineByteCount)).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    private static func next(of chunk: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Atomic<UInt>> {
        (chunk + Chunk.nextOffset).assumingMemoryBound(to: Atomic<UInt>.self)
    }

    /// A slot index that tends to be the same for one thread and different for different threads: which 64 KiB of
    /// address space the stack pointer is in.
    @inline(__always)
    private static func hint() -> Int {
        var marker: UInt8 = 0
        let address = withUnsafeMutablePointer(to: &marker) { UInt64(UInt(bitPattern: $0)) }
        return Int(truncatingIfNeeded: ((address >> 16) &* 0x9E37_79B9_7F4A_7C15) >> 59)
    }

    /// The slot must be visible before any pointer is loaded. On x86-64 the compare-and-swap sees to that; elsewhere
    /// a later load may overtake its store half.
    @inline(__always)
    private static func orderPinBeforeLoads() {
        #if !arch(x86_64)
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        #endif
    }

    /// The preferred slot was taken: tries the others, then further chunks, then adds a chunk.
    @inline(never)
    private func pinElsewhere(_ now: UInt64) -> EpochPin {
        let start = Self.hint()
        var chunk = chunks
        while true {
            for step in 0..<Chunk.slotCount {
                let slot = Self.slot((start + step) % Chunk.slotCount, of: chunk)
                guard slot.pointee.load(ordering: .relaxed) == 0 else { continue }
                if slot.pointee.compareExchange(expected: 0, desired: now, ordering: .sequentiallyConsistent).exchanged
                {
                    Self.orderPinBeforeLoads()
                    return EpochPin(slot: slot)
                }
            }
            chunk = Self.chunk(after: chunk)
        }
    }

    private static func chunk(after chunk: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        let link = next(of: chunk)
        if let existing = UnsafeMutableRawPointer(bitPattern: link.pointee.load(ordering: .acquiring)) {
            return existing
        }
        let added = Chunk.allocate()
        let (exchanged, original) = link.pointee.compareExchange(
            expected: 0,
            desired: UInt(bitPattern: added),
            ordering: .acquiringAndReleasing
        )
        if exchanged { return added }
        added.deallocate()
        return UnsafeMutableRawPointer(bitPattern: original)!
    }

    /// Everything stamped earlier than the result is out of use. The current epoch is read first: what is retired
    /// during the scan could have been found by a reader in a slot already scanned.
    private func oldestPinnedEpoch() -> UInt64 {
        var oldest = epoch.pointee.load(ordering: .sequentiallyConsistent)
        #if !arch(x86_64)
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        #endif
        var chunk: UnsafeMutableRawPointer? = chunks
        while let current = chunk {
            for index in 0..<Chunk.slotCount {
                let pinned = Self.slot(index, of: current).pointee.load(ordering: .sequentiallyConsistent)
                if pinned != 0 && pinned < oldest { oldest = pinned }
            }
            chunk = UnsafeMutableRawPointer(bitPattern: Self.next(of: current).pointee.load(ordering: .acquiring))
        }
        return oldest
    }
}
