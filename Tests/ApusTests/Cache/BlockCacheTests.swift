// The block cache: its budget, its choice of what stays, and its use by several threads.

import Synchronization
import Testing

@testable import Apus

@Suite struct BlockCacheTests {
    /// A slot array, as a table has one.
    private final class Slots: @unchecked Sendable {
        let cache: BlockCache
        let count: Int
        private let base: CacheSlot

        init(_ cache: BlockCache, count: Int) {
            self.cache = cache
            self.count = count
            let memory = UnsafeMutableRawPointer.allocate(byteCount: count * 8, alignment: 64)
            memory.initializeMemory(as: UInt.self, repeating: 0, count: count)
            base = memory.assumingMemoryBound(to: Atomic<UInt>.self)
        }
        deinit {
            cache.drop(base, count: count)
            UnsafeMutableRawPointer(base).deallocate()
        }

        subscript(index: Int) -> CacheSlot { base + index }
        func isCached(_ index: Int) -> Bool { Table.cached(base + index) != nil }

        /// A use of a block of 1,000 bytes: hit or miss, as a lookup does it. Returns true on a hit.
        @discardableResult
        func use(_ index: Int, _ epochs: EpochDomain, _ priority: BlockCache.Priority = .normal) -> Bool {
            let pin = epochs.pin()
            defer { epochs.unpin(pin) }
            if let cached = Table.cached(base + index) {
                cached.touch()
                precondition(cached.buffer[0] == UInt8(truncatingIfNeeded: index))
                return true
            }
            let block = CachedBlock.allocate(byteCount: 1000)
            block.bytes.initializeMemory(as: UInt8.self, repeating: UInt8(truncatingIfNeeded: index), count: 1000)
            let kept = cache.insert(block, in: base + index, priority, bytesRead: 1000)
            precondition(kept.buffer[999] == UInt8(truncatingIfNeeded: index))
            return false
        }
    }

    private let epochs = EpochDomain()

    @Test func bytesStayWithinTheCapacity() {
        let cache = BlockCache(capacity: 50_000, epochs: epochs)
        let slots = Slots(cache, count: 1000)
        for index in 0..<1000 {
            slots.use(index, epochs)
            #expect(cache.statistics.byteCount <= 50_000)
        }
        #expect(cache.statistics.byteCount > 48_000)
        #expect(cache.statistics.evictions == 1000 - UInt64(cache.statistics.blockCount))
        cache.setCapacity(10_000)
        #expect(cache.statistics.byteCount <= 10_000)
        cache.charge(8_000)
        #expect(cache.statistics.byteCount <= 10_000)
        #expect(cache.statistics.pinnedByteCount == 8_000)
        cache.charge(-8_000)
        cache.setCapacity(0)
        #expect(cache.statistics.byteCount == 0)
        #expect(!slots.use(3, epochs) && !slots.use(3, epochs))
    }

    @Test func scanDoesNotDisplaceTheWorkingSet() {
        let cache = BlockCache(capacity: 110_000, epochs: epochs)
        let slots = Slots(cache, count: 20_000)
        let hot = 0..<60
        for _ in 0..<10 { for index in hot { slots.use(index, epochs) } }
        for index in 100..<10_000 {
            slots.use(index, epochs)
            if index % 5 == 0 { slots.use(index / 5 % 60, epochs) }
        }
        #expect(hot.count { slots.isCached($0) } == hot.count)
    }

    @Test func blockMissedAgainSoonEntersTheMainQueue() {
        let cache = BlockCache(capacity: 110_000, epochs: epochs)
        let slots = Slots(cache, count: 20_000)
        // Fill the main queue, so that ghosts live for a while.
        for index in 0..<80 { for _ in 0..<4 { slots.use(index, epochs) } }
        for index in 100..<200 { slots.use(index, epochs) }
        #expect(!slots.isCached(100))
        slots.use(150, epochs)
        for index in 1000..<1060 { slots.use(index, epochs) }
        #expect(slots.isCached(150), "a young ghost survives a scan that follows")
        #expect(!slots.isCached(1000))
    }

    @Test func indexBlocksSurviveAScan() {
        let cache = BlockCache(capacity: 110_000, epochs: epochs)
        let slots = Slots(cache, count: 5000)
        slots.use(0, epochs, .high)
        for index in 1..<200 { slots.use(index, epochs) }
        #expect(slots.isCached(0))
    }

    @Test func hugeBlockIsUsedOnceAndNotKept() {
        let cache = BlockCache(capacity: 5_000, epochs: epochs)
        let slots = Slots(cache, count: 10)
        #expect(!slots.use(1, epochs))
        #expect(!slots.isCached(1))
        #expect(cache.statistics.byteCount == 0)
    }

    @Test func evictedBlockLivesWhileAReferenceIsHeld() {
        let cache = BlockCache(capacity: 100_000, epochs: epochs)
        let slots = Slots(cache, count: 10)
        slots.use(7, epochs)
        let pin = epochs.pin()
        let block = Table.cached(slots[7])!
        block.retain()
        epochs.unpin(pin)
        cache.setCapacity(0)
        epochs.collect()
        #expect(block.buffer.allSatisfy { $0 == 7 })
        block.release()
    }

    @Test func loserOfARaceUsesTheWinnersBlock() {
        let cache = BlockCache(capacity: 100_000, epochs: epochs)
        let slots = Slots(cache, count: 10)
        let pin = epochs.pin()
        let first = cache.insert(.allocate(byteCount: 100), in: slots[1], .normal, bytesRead: 100)
        let second = cache.insert(.allocate(byteCount: 100), in: slots[1], .normal, bytesRead: 100)
        #expect(first == second)
        #expect(cache.statistics.blockCount == 1)
        epochs.unpin(pin)
    }

    @Test func threadsShareACacheThatIsTooSmall() {
        let cache = BlockCache(capacity: 60_000, epochs: epochs)
        let slots = Slots(cache, count: 300)
        let epochs = epochs
        let threads = (0..<3).map { seed in
            TestThread {
                var random = TestRandom(seed: UInt64(seed))
                for step in 0..<20_000 {
                    slots.use(Int(min(random.next() % 300, random.next() % 300)), epochs)
                    if step % 1000 == 0 { cache.setCapacity(step % 2000 == 0 ? 60_000 : 30_000) }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(cache.statistics.byteCount <= 60_000)
        #expect(cache.statistics.inserts - cache.statistics.evictions == UInt64(cache.statistics.blockCount))
    }
}
