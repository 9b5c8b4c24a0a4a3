// What a run does and what it saw: shared by all threads of a run, and by those who check it afterwards.

import Synchronization

/// What all threads of a run share. Immutable while they run.
struct Plan: @unchecked Sendable {
    let kind: WorkloadKind
    /// Keys 0..<entries are in the database of a workload that starts full, or are put by one that fills.
    let entries: Int
    let operations: Int
    let threads: Int
    let valueByteCount: Int
    let seed: UInt64
    let order: Permutation
    let values: ValuePool
    let zipfian: Zipfian?

    init(kind: WorkloadKind, entries: Int, threads: Int, valueByteCount: Int, seed: UInt64, isCold: Bool = false) {
        self.kind = kind
        self.entries = kind.databaseEntryCount(of: entries, valueByteCount: valueByteCount)
        operations = kind.operationCount(of: self.entries, valueByteCount: valueByteCount, isCold: isCold)
        self.threads = threads
        self.valueByteCount = valueByteCount
        self.seed = seed
        order = Permutation(count: self.entries, seed: seed)
        values = ValuePool(valueByteCount: valueByteCount, seed: seed)
        zipfian = kind == .readhot || kind.mix != nil ? Zipfian(count: self.entries) : nil
    }

    /// The operations of one thread. Scans are not divided: every thread reads everything.
    func share(of thread: Int) -> Range<Int> {
        kind.isScan ? 0..<operations : operations * thread / threads..<operations * (thread + 1) / threads
    }

    func random(of thread: Int) -> RandomSource {
        RandomSource(seed: seed &+ 1 &+ UInt64(thread) << 32)
    }

    /// Where the next range to delete starts.
    @inline(__always)
    func rangeStart(_ random: inout RandomSource) -> Int {
        random.next(below: max(1, entries - WorkloadKind.keysPerRange + 1))
    }

    /// The key that a thread inserts after `count` others: spread over the key space, and no other thread's.
    @inline(__always)
    func insertion(_ count: Int, by thread: Int) -> Int {
        order[min(count * threads + thread, entries - 1)]
    }
}

/// What a thread saw, to be compared with what it should have seen.
struct Tally {
    var operations = 0
    var found = 0
    var expected = 0
    var wrongValues = 0
    var inserted = 0
    /// Bytes of keys and values given to the engine to be written.
    var userByteCount = 0
    /// Keeps the reads of values from being optimised away.
    var sink: UInt64 = 0

    @inline(__always)
    mutating func see(_ value: UnsafeRawBufferPointer, _ valueByteCount: Int) {
        found &+= 1
        guard value.count == valueByteCount else {
            wrongValues &+= 1
            return
        }
        sink = sink &* 31 &+ UInt64(value[0]) &+ UInt64(value[value.count &- 1])
    }

    static func += (left: inout Tally, right: Tally) {
        left.operations += right.operations
        left.found += right.found
        left.expected += right.expected
        left.wrongValues += right.wrongValues
        left.inserted += right.inserted
        left.userByteCount += right.userByteCount
        left.sink &+= right.sink
    }
}

/// Tells a thread that works in the background when those that are measured are done.
final class Countdown: Sendable {
    private let left: Atomic<Int>

    init(_ count: Int) { left = Atomic(count) }

    func finishOne() { left.subtract(1, ordering: .relaxed) }

    var isOver: Bool {
        @inline(__always)
        get { left.load(ordering: .relaxed) <= 0 }
    }
}
