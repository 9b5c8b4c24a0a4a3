// Cells for blocks: sizes, reuse, and nobody in anybody else's cell.

import ApusIO
import Testing

@testable import Apus

@Suite struct BlockMemoryTests {
    @Test("every size gets the smallest cell that holds it, at most a sixteenth larger")
    func sizes() {
        var last = BlockMemory.system
        for byteCount in 1...40_000 {
            let sizeClass = BlockMemory.sizeClass(of: byteCount)
            if byteCount > BlockMemory.largestCell || byteCount <= BlockMemory.smallestCell / 16 * 15 {
                #expect(sizeClass == BlockMemory.system, "\(byteCount) bytes")
                continue
            }
            let cell = BlockMemory.cellByteCount(sizeClass)
            if cell < byteCount || (sizeClass > 1 && BlockMemory.cellByteCount(sizeClass - 1) >= byteCount)
                || cell - byteCount > byteCount / 15 + 1 || cell % 64 != 0 || sizeClass < last
            {
                Issue.record("\(byteCount) bytes are in a cell of \(cell), class \(sizeClass)")
            }
            last = sizeClass
        }
        #expect(BlockMemory.cellByteCount(last) == BlockMemory.largestCell)
    }

    private struct Held {
        var address: UnsafeMutableRawPointer
        var sizeClass: BlockMemory.Class
        var byteCount: Int
        var mark: UInt8

        /// True if every byte is still the mark.
        var isIntact: Bool {
            UnsafeRawBufferPointer(start: address, count: byteCount).allSatisfy { $0 == mark }
        }
    }

    @Test("cells that come and go never overlap", arguments: 0..<4 as Range<UInt64>)
    func anyOrder(_ seed: UInt64) {
        let memory = BlockMemory(usesCells: true)
        var random = TestRandom(seed: seed)
        var held: [Held] = []
        for step in 0..<6_000 {
            // Grows for a while, then shrinks.
            if held.isEmpty || random.chance(step % 3_000 < 1_500 ? 70 : 30) {
                let byteCount = random.chance(80) ? 4_000 + random.below(600) : 1 + random.below(36_000)
                let (address, sizeClass) = memory.allocate(byteCount: byteCount)
                #expect(UInt(bitPattern: address) % 64 == 0)
                let mark = UInt8(truncatingIfNeeded: random.next())
                address.initializeMemory(as: UInt8.self, repeating: mark, count: byteCount)
                held.append(Held(address: address, sizeClass: sizeClass, byteCount: byteCount, mark: mark))
            } else {
                let block = held.remove(at: random.below(held.count))
                if !block.isIntact { Issue.record("step \(step): somebody wrote into a block in use") }
                memory.deallocate(block.address, block.sizeClass)
            }
        }
        for block in held {
            if !block.isIntact { Issue.record("somebody wrote into a block in use") }
            memory.deallocate(block.address, block.sizeClass)
        }
    }

    @Test("what is given back is used again")
    func reuse() {
        let memory = BlockMemory(usesCells: true)
        let (first, sizeClass) = memory.allocate(byteCount: 4_200)
        #expect(sizeClass != BlockMemory.system)
        let (second, _) = memory.allocate(byteCount: 4_200)
        memory.deallocate(first, sizeClass)
        #expect(memory.allocate(byteCount: 4_150).address == first)
        memory.deallocate(first, sizeClass)
        memory.deallocate(second, sizeClass)
        // The slab went back whole, and serves another size.
        let (other, otherClass) = memory.allocate(byteCount: 20_000)
        #expect(otherClass != sizeClass && UInt(bitPattern: other) >> 21 == UInt(bitPattern: first) >> 21)
        memory.deallocate(other, otherClass)
    }

    @Test("threads do not get each other's cells")
    func threads() {
        let memory = BlockMemory(usesCells: true)
        let failures = Monitor(0)
        let team = (0..<4).map { number in
            TestThread {
                var random = TestRandom(seed: UInt64(number))
                var held: [Held] = []
                for _ in 0..<4_000 {
                    if held.count < 50 || random.chance(50) {
                        let (address, sizeClass) = memory.allocate(byteCount: 4_300)
                        address.initializeMemory(as: UInt8.self, repeating: UInt8(number), count: 4_300)
                        held.append(
                            Held(address: address, sizeClass: sizeClass, byteCount: 4_300, mark: UInt8(number)))
                    } else {
                        let block = held.remove(at: random.below(held.count))
                        if !block.isIntact { failures.withLock { $0 += 1 } }
                        memory.deallocate(block.address, block.sizeClass)
                    }
                }
                for block in held { memory.deallocate(block.address, block.sizeClass) }
            }
        }
        for thread in team { thread.join() }
        #expect(failures.withLock { $0 } == 0)
    }
}
