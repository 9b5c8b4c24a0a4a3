// The block cache: decides which blocks stay in memory, within a budget of bytes.
//
// Finding a block is not the cache's business: every open table has an array of slots, one word per block, and a
// cached block is one atomic load away (12 ns with its reference count, 5 ns without; a locked hash table with an LRU
// list takes 90–180). The cache itself is only entered on a miss, under one lock.
//
// Eviction is S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023): a small queue takes
// new blocks; those used again before they leave it move to the main queue, the others go and leave a ghost in their
// slot; a block that is missed while its ghost is young enters the main queue at once. So a scan passes through the
// small queue and the working set stays. A hit only bumps a saturating counter in the block.

import ApusIO
import Synchronization

/// Thread-safe. Everything it removes is retired through the epoch domain.
final class BlockCache: Sendable {
    /// How a new block enters.
    enum Priority {
        case normal
        /// Index and filter blocks: used by every lookup in their part of a table.
        case high
    }

    struct Statistics: Sendable, Equatable {
        /// Estimated from a sample of the lookups.
        var hits: UInt64 = 0
        var misses: UInt64 = 0
        var inserts: UInt64 = 0
        var evictions: UInt64 = 0
        /// Read from files, before decompression.
        var bytesRead: UInt64 = 0
        /// Cached blocks and `pinnedByteCount` together.
        var byteCount = 0
        /// What open tables keep in memory besides: roots, slot arrays, range deletions.
        var pinnedByteCount = 0
        var blockCount = 0
        var capacity = 0
    }

    /// One hit in this many is counted, by the lookup key's hash.
    static let hitSample: UInt64 = 64

    private let epochs: EpochDomain
    private let state: Monitor<State>
    private let sampledHits = Atomic<UInt64>(0)

    init(capacity: Int, epochs: EpochDomain) {
        self.epochs = epochs
        state = Monitor(State(capacity: capacity))
    }

    deinit {
        // Tables hold the cache, so they are gone and have taken their blocks out.
        state.withLock { precondition($0.small.isEmpty && $0.main.isEmpty, "a table outlived its block cache") }
    }

    /// Counts one hit in `hitSample`.
    @inline(__always)
    func countHit(_ hash: UInt64) {
        if hash % Self.hitSample == 0 { sampledHits.wrappingAdd(Self.hitSample, ordering: .relaxed) }
    }

    /// Publishes a block in its slot, unless another thread was faster; returns the block that is in the slot.
    /// Takes over the caller's reference. What is returned stays valid while the caller's epoch pin lasts.
    ///
    /// - Precondition: the caller is pinned.
    func insert(_ block: CachedBlock, in slot: CacheSlot, _ priority: Priority, bytesRead: Int) -> CachedBlock {
        var evicted = EvictedBlocks()
        let winner = state.withLock { state -> CachedBlock? in
            state.statistics.misses += 1
            state.statistics.bytesRead += UInt64(bytesRead)
            let word = slot.pointee.load(ordering: .relaxed)
            if word & 1 == 0, let present = UnsafeMutableRawPointer(bitPattern: word) {
                return CachedBlock(address: present)
            }
            // A block that would displace a large part of the cache is used once and goes.
            guard block.chargedByteCount <= state.capacity / 8 else { return nil }
            state.insert(block, in: slot, priority, ghost: word)
            state.shrinkToCapacity(&evicted)
            return block
        }
        if let winner {
            if winner != block { block.release() }
        } else {
            evicted.append(block)
        }
        retire(evicted)
        return winner ?? block
    }

    /// Publishes a block in its slot, in place of what is there. Takes over the caller's reference; the block stays valid
    /// while the caller's epoch pin lasts.
    ///
    /// - Precondition: the caller is pinned.
    func replace(in slot: CacheSlot, with block: CachedBlock, bytesRead: Int) {
        var evicted = EvictedBlocks()
        state.withLock { state in
            state.statistics.misses += 1
            state.statistics.bytesRead += UInt64(bytesRead)
            guard block.chargedByteCount <= state.capacity / 8 else { return evicted.append(block) }
            let word = slot.pointee.load(ordering: .relaxed)
            if word & 1 == 0, let present = UnsafeMutableRawPointer(bitPattern: word) {
                state.remove(CachedBlock(address: present), leaving: 0, &evicted)
            }
            state.insert(block, in: slot, .normal, ghost: word & 1 == 1 ? word : 0)
            state.shrinkToCapacity(&evicted)
        }
        retire(evicted)
    }

    /// Counts a block that was read without being inserted.
    func countRead(bytesRead: Int) {
        state.withLock {
            $0.statistics.misses += 1
            $0.statistics.bytesRead += UInt64(bytesRead)
        }
    }

    /// Hands over a block that was never published: it stays valid until the pins held now have ended.
    func retire(_ block: CachedBlock) {
        var blocks = EvictedBlocks()
        blocks.append(block)
        retire(blocks)
    }

    /// Accounts for memory that a table holds outside the queues; negative gives it back.
    func charge(_ byteCount: Int) {
        var evicted = EvictedBlocks()
        state.withLock { state in
            state.pinnedByteCount += byteCount
            state.shrinkToCapacity(&evicted)
        }
        retire(evicted)
    }

    /// Takes out every block in these slots: their table goes.
    func drop(_ slots: CacheSlot, count: Int) {
        var evicted = EvictedBlocks()
        state.withLock { state in
            for index in 0..<count {
                let word = slots[index].load(ordering: .relaxed)
                guard word & 1 == 0, let address = UnsafeMutableRawPointer(bitPattern: word) else { continue }
                state.remove(CachedBlock(address: address), leaving: 0, &evicted)
            }
        }
        retire(evicted)
    }

    /// Takes effect at once.
    func setCapacity(_ capacity: Int) {
        var evicted = EvictedBlocks()
        state.withLock { state in
            state.capacity = capacity
            state.shrinkToCapacity(&evicted)
        }
        retire(evicted)
    }

    var statistics: Statistics {
        var result = state.withLock { state in
            var statistics = state.statistics
            statistics.byteCount = state.byteCount
            statistics.pinnedByteCount = state.pinnedByteCount
            statistics.blockCount = state.small.blockCount + state.main.blockCount
            statistics.capacity = state.capacity
            return statistics
        }
        result.hits = sampledHits.load(ordering: .relaxed)
        return result
    }

    private func retire(_ evicted: EvictedBlocks) {
        guard let first = evicted.first else { return }
        let address = UInt(bitPattern: first.address)
        epochs.retire(byteCount: evicted.byteCount) {
            var next = UnsafeMutableRawPointer(bitPattern: address)
            while let current = next {
                let block = CachedBlock(address: current)
                next = block.older
                block.release()
            }
        }
    }
}

/// Blocks on their way out, chained through their links.
private struct EvictedBlocks {
    private(set) var first: CachedBlock?
    private(set) var byteCount = 0

    mutating func append(_ block: CachedBlock) {
        block.older = first?.address
        first = block
        byteCount += block.chargedByteCount
    }
}

/// A queue of blocks, newest to oldest, chained through their links.
private struct BlockQueue {
    private var newest: UnsafeMutableRawPointer?
    private(set) var oldest: UnsafeMutableRawPointer?
    private(set) var byteCount = 0
    private(set) var blockCount = 0
    var isEmpty: Bool { blockCount == 0 }

    mutating func push(_ block: CachedBlock) {
        block.newer = nil
        block.older = newest
        if let newest { CachedBlock(address: newest).newer = block.address } else { oldest = block.address }
        newest = block.address
        byteCount += block.chargedByteCount
        blockCount += 1
    }

    mutating func remove(_ block: CachedBlock) {
        if let newer = block.newer { CachedBlock(address: newer).older = block.older } else { newest = block.older }
        if let older = block.older { CachedBlock(address: older).newer = block.newer } else { oldest = block.newer }
        byteCount -= block.chargedByteCount
        blockCount -= 1
    }
}

/// The queues. Used under the cache's lock only, which makes the raw pointers in it sendable.
private struct State: @unchecked Sendable {
    var capacity: Int
    var small = BlockQueue()
    var main = BlockQueue()
    var pinnedByteCount = 0
    var statistics = BlockCache.Statistics()
    /// Blocks evicted from the small queue so far: the clock that ages ghosts.
    private var ghostClock: UInt = 0

    private static let smallQueue: UInt8 = 1
    private static let mainQueue: UInt8 = 2
    /// After so many second chances in a row the next block goes, used or not: bounds the time under the lock.
    private static let secondChances = 64

    init(capacity: Int) { self.capacity = capacity }

    var byteCount: Int { small.byteCount + main.byteCount + pinnedByteCount }

    mutating func insert(_ block: CachedBlock, in slot: CacheSlot, _ priority: BlockCache.Priority, ghost: UInt) {
        let isYoungGhost = ghost & 1 == 1 && ghostClock &- ghost >> 1 <= UInt(main.blockCount)
        block.slot = slot
        if priority == .high || isYoungGhost {
            block.queue = Self.mainQueue
            main.push(block)
        } else {
            block.queue = Self.smallQueue
            small.push(block)
        }
        statistics.inserts += 1
        slot.pointee.store(UInt(bitPattern: block.address), ordering: .releasing)
    }

    mutating func shrinkToCapacity(_ evicted: inout EvictedBlocks) {
        var chances = Self.secondChances
        while byteCount > capacity && !(small.isEmpty && main.isEmpty) {
            if main.isEmpty || (!small.isEmpty && small.byteCount * 10 >= capacity) {
                evictFromSmall(&evicted)
            } else {
                evictFromMain(&evicted, &chances)
            }
        }
    }

    private mutating func evictFromSmall(_ evicted: inout EvictedBlocks) {
        let block = CachedBlock(address: small.oldest!)
        if block.frequency.pointee.load(ordering: .relaxed) > 1 {
            block.frequency.pointee.store(0, ordering: .relaxed)
            small.remove(block)
            block.queue = Self.mainQueue
            main.push(block)
        } else {
            ghostClock &+= 1
            statistics.evictions += 1
            remove(block, leaving: ghostClock << 1 | 1, &evicted)
        }
    }

    private mutating func evictFromMain(_ evicted: inout EvictedBlocks, _ chances: inout Int) {
        let block = CachedBlock(address: main.oldest!)
        let frequency = block.frequency.pointee.load(ordering: .relaxed)
        if frequency > 0 && chances > 0 {
            chances -= 1
            block.frequency.pointee.store(frequency - 1, ordering: .relaxed)
            main.remove(block)
            main.push(block)
        } else {
            chances = Self.secondChances
            statistics.evictions += 1
            remove(block, leaving: 0, &evicted)
        }
    }

    /// Unlinks a block; readers that found it before may go on using it until their pins end.
    mutating func remove(_ block: CachedBlock, leaving word: UInt, _ evicted: inout EvictedBlocks) {
        block.slot!.pointee.store(word, ordering: .sequentiallyConsistent)
        block.slot = nil
        if block.queue == Self.smallQueue { small.remove(block) } else { main.remove(block) }
        evicted.append(block)
    }
}
