// Epochs: nothing is released under a pin that could see it, everything is released in the end.

import Synchronization
import Testing

@testable import Apus

@Suite struct EpochDomainTests {
    private final class Counter: Sendable {
        let value = Atomic<Int>(0)
        var count: Int { value.load(ordering: .sequentiallyConsistent) }
        func add() { value.wrappingAdd(1, ordering: .sequentiallyConsistent) }
    }

    @Test func nothingIsReleasedWhileAnEarlierPinLasts() {
        let domain = EpochDomain()
        let released = Counter()
        let early = domain.pin()
        domain.retire(byteCount: 10) { released.add() }
        let late = domain.pin()
        domain.collect()
        #expect(released.count == 0)
        #expect(domain.retiredByteCount == 10)
        domain.unpin(early)
        domain.collect()
        #expect(released.count == 1)
        #expect(domain.retiredByteCount == 0)
        domain.unpin(late)
    }

    @Test func retiringCollectsByItself() {
        let domain = EpochDomain()
        let released = Counter()
        for _ in 0..<1000 { domain.retire(byteCount: 1) { released.add() } }
        #expect(released.count > 900)
        domain.retire(byteCount: 2 << 20) { released.add() }
        #expect(released.count == 1001)
    }

    @Test func domainReleasesTheRestWhenItGoes() {
        let released = Counter()
        do {
            let domain = EpochDomain()
            for _ in 0..<5 { domain.retire(byteCount: 0) { released.add() } }
            #expect(released.count == 0)
        }
        #expect(released.count == 5)
    }

    @Test func moreThanASlotArrayOfPinsIsPossible() {
        let domain = EpochDomain()
        let released = Counter()
        var pins = (0..<200).map { _ in domain.pin() }
        domain.retire(byteCount: 0) { released.add() }
        while let pin = pins.popLast() {
            domain.collect()
            #expect(released.count == 0)
            domain.unpin(pin)
        }
        domain.collect()
        #expect(released.count == 1)
        pins = (0..<200).map { _ in domain.pin() }
        for pin in pins { domain.unpin(pin) }
    }

    @Test func releaseMayRetire() {
        let domain = EpochDomain()
        let released = Counter()
        domain.retire(byteCount: 0) { domain.retire(byteCount: 0) { released.add() } }
        domain.collect()
        domain.collect()
        #expect(released.count == 1)
    }

    /// Readers follow a pointer that a writer keeps replacing; the memory behind it is wiped when it is released.
    @Test func readersNeverSeeReleasedMemory() {
        final class Shared: @unchecked Sendable {
            let domain = EpochDomain()
            let current = Atomic<UInt>(0)
            let isDone = Atomic<Bool>(false)
            let mistakes = Counter()
            let reads = Counter()

            static func node(_ value: UInt64) -> UInt {
                let memory = UnsafeMutablePointer<UInt64>.allocate(capacity: 8)
                memory.initialize(repeating: value, count: 8)
                return UInt(bitPattern: memory)
            }
        }
        let shared = Shared()
        shared.current.store(Shared.node(1), ordering: .releasing)
        let readers = (0..<3).map { _ in
            TestThread {
                while !shared.isDone.load(ordering: .acquiring) {
                    let pin = shared.domain.pin()
                    let node = UnsafePointer<UInt64>(bitPattern: shared.current.load(ordering: .acquiring))!
                    let first = node[0]
                    if first == 0 || (1..<8).contains(where: { node[$0] != first }) { shared.mistakes.add() }
                    shared.domain.unpin(pin)
                    shared.reads.add()
                }
            }
        }
        while shared.reads.count < 100 {}
        for value in 2...20_000 {
            let old = shared.current.exchange(Shared.node(UInt64(value)), ordering: .acquiringAndReleasing)
            shared.domain.retire(byteCount: 64) {
                let node = UnsafeMutablePointer<UInt64>(bitPattern: old)!
                node.update(repeating: 0, count: 8)
                node.deallocate()
            }
        }
        shared.isDone.store(true, ordering: .releasing)
        for reader in readers { reader.join() }
        #expect(shared.mistakes.count == 0)
        shared.domain.collect()
        #expect(shared.domain.retiredByteCount == 0)
        UnsafeMutablePointer<UInt64>(bitPattern: shared.current.load(ordering: .acquiring))!.deallocate()
    }
}
