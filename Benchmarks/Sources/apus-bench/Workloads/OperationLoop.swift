// The one loop. Every engine runs exactly this code; it is generic over the session so that it is compiled once for
// each engine with the engine's calls in place (Engines/Engine.swift).

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

    init(kind: WorkloadKind, entries: Int, threads: Int, valueByteCount: Int, seed: UInt64) {
        self.kind = kind
        self.entries = kind.finalEntryCount(of: entries)
        operations = self.entries
        self.threads = threads
        self.valueByteCount = valueByteCount
        self.seed = seed
        order = Permutation(count: self.entries, seed: seed)
        values = ValuePool(valueByteCount: valueByteCount, seed: seed)
        zipfian = kind == .readhot ? Zipfian(count: self.entries) : nil
    }

    /// The operations of one thread. Scans are not divided: every thread reads everything.
    func share(of thread: Int) -> Range<Int> {
        switch kind {
        case .readseq, .readreverse: 0..<operations
        default: operations * thread / threads..<operations * (thread + 1) / threads
        }
    }

    func random(of thread: Int) -> RandomSource {
        RandomSource(seed: seed &+ 1 &+ UInt64(thread) << 32)
    }
}

/// What a thread saw, to be compared with what it should have seen.
struct Tally {
    var operations = 0
    var found = 0
    var expected = 0
    var wrongValues = 0
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
        left.sink &+= right.sink
    }
}

/// One thread's work. Used by one thread at a time: prepared by the main thread, run by its own, read by the main
/// thread after that has ended.
final class Worker<Session: EngineSession>: @unchecked Sendable {
    let plan: Plan
    let session: Session
    private let thread: Int
    private let key = KeyBuffer()
    private(set) var latencies = LatencyRecorder()
    private(set) var tally = Tally()
    private(set) var failure: (any Error)?

    init(plan: Plan, session: Session, thread: Int) {
        self.plan = plan
        self.session = session
        self.thread = thread
    }

    func run() {
        var recorder = LatencyRecorder()
        do {
            try run(plan.share(of: thread), &recorder)
        } catch {
            failure = error
        }
        latencies = recorder
    }

    /// Fills the engine's caches: everything once in order, then a tenth of the workload itself.
    func warmUp() throws {
        var recorder = LatencyRecorder()
        try scan(.forward, &recorder)
        if plan.kind != .readseq && plan.kind != .readreverse {
            try run(0..<plan.operations / 10, &recorder)
        }
        tally = Tally()
    }

    private func run(_ share: Range<Int>, _ latencies: inout LatencyRecorder) throws {
        switch plan.kind {
        case .fillseq: try put(share, &latencies) { index, _ in index }
        case .fillrandom, .fillsync: try put(share, &latencies) { [order = plan.order] index, _ in order[index] }
        case .overwrite:
            try put(share, &latencies) { [entries = plan.entries] _, random in random.next(below: entries) }
        case .fillbatch: try putBatches(share, &latencies)
        case .deleterandom: try delete(share, &latencies)
        case .readrandom:
            try get(share, &latencies) { [entries = plan.entries] random in random.next(below: entries) }
        case .readmissing: try getMissing(share, &latencies)
        case .readhot: try getHot(share, &latencies)
        case .seekrandom: try seek(share, &latencies)
        case .readseq: try scan(.forward, &latencies)
        case .readreverse: try scan(.backward, &latencies)
        }
    }

    // MARK: Writes

    @inline(__always)
    private func put(
        _ share: Range<Int>,
        _ latencies: inout LatencyRecorder,
        _ choose: (Int, inout RandomSource) -> Int
    ) throws {
        var random = plan.random(of: thread)
        var position = 0
        latencies.start()
        for index in share {
            try session.put(key.set(choose(index, &random)), plan.values.next(&position))
            latencies.lap()
        }
        tally.operations += share.count
    }

    private func putBatches(_ share: Range<Int>, _ latencies: inout LatencyRecorder) throws {
        let limit = WorkloadKind.batchEntryCount
        let keyBytes = UnsafeMutableRawPointer.allocate(byteCount: limit * KeyBuffer.byteCount, alignment: 8)
        let values = UnsafeMutableBufferPointer<UnsafeRawBufferPointer>.allocate(capacity: limit)
        values.initialize(repeating: UnsafeRawBufferPointer(start: nil, count: 0))
        defer {
            keyBytes.deallocate()
            values.deallocate()
        }
        var position = 0
        latencies.start()
        for start in stride(from: share.lowerBound, to: share.upperBound, by: limit) {
            let count = min(limit, share.upperBound - start)
            for slot in 0..<count {
                KeyBuffer.write(plan.order[start + slot], to: keyBytes + slot * KeyBuffer.byteCount)
                values[slot] = plan.values.next(&position)
            }
            try session.write(
                EntryBatch(
                    keys: UnsafeRawBufferPointer(start: keyBytes, count: count * KeyBuffer.byteCount),
                    keyByteCount: KeyBuffer.byteCount,
                    values: UnsafeBufferPointer(rebasing: values[..<count])
                )
            )
            latencies.lap()
        }
        tally.operations += share.count
    }

    private func delete(_ share: Range<Int>, _ latencies: inout LatencyRecorder) throws {
        var random = plan.random(of: thread)
        latencies.start()
        for _ in share {
            try session.delete(key.set(random.next(below: plan.entries)))
            latencies.lap()
        }
        tally.operations += share.count
    }

    // MARK: Reads

    @inline(__always)
    private func get(
        _ share: Range<Int>,
        _ latencies: inout LatencyRecorder,
        _ choose: (inout RandomSource) -> Int
    ) throws {
        var random = plan.random(of: thread)
        var seen = Tally()
        let valueByteCount = plan.valueByteCount
        latencies.start()
        for _ in share {
            _ = try session.get(key.set(choose(&random))) { seen.see($0, valueByteCount) }
            latencies.lap()
        }
        seen.operations = share.count
        seen.expected = share.count
        tally += seen
    }

    private func getHot(_ share: Range<Int>, _ latencies: inout LatencyRecorder) throws {
        guard let zipfian = plan.zipfian else { return }
        try get(share, &latencies) { [order = plan.order] random in order[zipfian.rank(&random)] }
    }

    private func getMissing(_ share: Range<Int>, _ latencies: inout LatencyRecorder) throws {
        var random = plan.random(of: thread)
        latencies.start()
        for _ in share {
            let missing = key.setMissing(after: random.next(below: plan.entries))
            if try session.get(missing, { _ in }) { tally.found += 1 }
            latencies.lap()
        }
        tally.operations += share.count
    }

    private func seek(_ share: Range<Int>, _ latencies: inout LatencyRecorder) throws {
        var random = plan.random(of: thread)
        var seen = Tally()
        let valueByteCount = plan.valueByteCount
        latencies.start()
        for _ in share {
            let index = random.next(below: plan.entries)
            let target = key.set(index)
            try session.openCursor(.forward)
            var isAtEntry = try session.seek(target)
            if isAtEntry {
                try session.withEntry { found, _ in
                    if !found.elementsEqual(target) { seen.wrongValues += 1 }
                }
            }
            var left = WorkloadKind.entriesAfterSeek
            while isAtEntry {
                try session.withEntry { _, value in seen.see(value, valueByteCount) }
                if left == 0 { break }
                left -= 1
                isAtEntry = try session.advance()
            }
            try session.closeCursor()
            latencies.lap()
            seen.expected += min(WorkloadKind.entriesAfterSeek + 1, plan.entries - index)
        }
        seen.operations = share.count
        tally += seen
    }

    private func scan(_ direction: ScanDirection, _ latencies: inout LatencyRecorder) throws {
        var seen = Tally()
        let valueByteCount = plan.valueByteCount
        try session.openCursor(direction)
        latencies.start()
        var isAtEntry = try session.seekToStart()
        var sinceLap = 0
        while isAtEntry {
            try session.withEntry { _, value in seen.see(value, valueByteCount) }
            sinceLap += 1
            if sinceLap == WorkloadKind.scanLap {
                latencies.lap(operations: sinceLap)
                sinceLap = 0
            }
            isAtEntry = try session.advance()
        }
        latencies.lap(operations: sinceLap)
        try session.closeCursor()
        seen.operations = seen.found
        seen.expected = plan.entries
        tally += seen
    }
}
