// The part of the loop that writes: puts, batches, bulk loads, deletions.

extension Worker {
    @inline(__always)
    func put(
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
        finish(share.count, bytesEach: KeyBuffer.byteCount + plan.valueByteCount)
    }

    func overwrite(until countdown: Countdown, _ latencies: inout LatencyRecorder) throws {
        var random = plan.random(of: thread)
        var position = 0
        var count = 0
        let entryByteCount = KeyBuffer.byteCount + plan.valueByteCount
        let nanosecondsEach = 1e9 * Double(entryByteCount) / Double(WorkloadKind.writerBytesPerSecond)
        let start = monotonicNanoseconds()
        while !countdown.isOver {
            // Some at a time, since a thread cannot sleep for as short as one takes.
            for _ in 0..<WorkloadKind.writerBurst {
                latencies.start()
                try session.put(key.set(random.next(below: plan.entries)), plan.values.next(&position))
                latencies.lap()
                count += 1
            }
            sleep(untilNanoseconds: start + UInt64(Double(count) * nanosecondsEach))
        }
        finish(count, bytesEach: entryByteCount)
    }

    @inline(__always)
    func putBatches(_ share: Range<Int>, _ latencies: inout LatencyRecorder, _ choose: (Int) -> Int) throws {
        let batches = BatchBuffer(values: plan.values)
        latencies.start()
        for start in stride(from: share.lowerBound, to: share.upperBound, by: WorkloadKind.batchEntryCount) {
            let end = min(start + WorkloadKind.batchEntryCount, share.upperBound)
            try session.write(batches.fill(start..<end, choose))
            latencies.lap()
        }
        finish(share.count, bytesEach: KeyBuffer.byteCount + plan.valueByteCount)
    }

    func loadInBulk(_ share: Range<Int>, _ latencies: inout LatencyRecorder) throws {
        let batches = BatchBuffer(values: plan.values)
        latencies.start()
        try session.beginBulkLoad()
        for start in stride(from: share.lowerBound, to: share.upperBound, by: WorkloadKind.batchEntryCount) {
            let end = min(start + WorkloadKind.batchEntryCount, share.upperBound)
            try session.appendInBulk(batches.fill(start..<end) { $0 })
            latencies.lap()
        }
        try session.endBulkLoad()
        latencies.lap()
        finish(share.count, bytesEach: KeyBuffer.byteCount + plan.valueByteCount)
    }

    func delete(_ share: Range<Int>, _ latencies: inout LatencyRecorder) throws {
        var random = plan.random(of: thread)
        latencies.start()
        for _ in share {
            try session.delete(key.set(random.next(below: plan.entries)))
            latencies.lap()
        }
        finish(share.count, bytesEach: KeyBuffer.byteCount)
    }

    func deleteRanges(_ share: Range<Int>, _ latencies: inout LatencyRecorder) throws {
        var random = plan.random(of: thread)
        let end = KeyBuffer()
        latencies.start()
        for _ in share {
            let start = plan.rangeStart(&random)
            try session.deleteRange(from: key.set(start), to: end.set(start + WorkloadKind.keysPerRange))
            latencies.lap()
        }
        finish(share.count, bytesEach: 2 * KeyBuffer.byteCount)
    }

    private func finish(_ operations: Int, bytesEach: Int) {
        tally.operations += operations
        tally.userByteCount += operations * bytesEach
    }
}

/// Room for the keys and values of one batch.
private final class BatchBuffer {
    private let keys: UnsafeMutableRawBufferPointer
    private let values: UnsafeMutableBufferPointer<UnsafeRawBufferPointer>
    private let pool: ValuePool
    private var position = 0

    init(values pool: ValuePool) {
        self.pool = pool
        let limit = WorkloadKind.batchEntryCount
        keys = .allocate(byteCount: limit * KeyBuffer.byteCount, alignment: 8)
        values = .allocate(capacity: limit)
        values.initialize(repeating: UnsafeRawBufferPointer(start: nil, count: 0))
    }

    deinit {
        keys.deallocate()
        values.deallocate()
    }

    @inline(__always)
    func fill(_ range: Range<Int>, _ choose: (Int) -> Int) -> EntryBatch {
        for (slot, index) in range.enumerated() {
            KeyBuffer.write(choose(index), to: keys.baseAddress.unsafelyUnwrapped + slot * KeyBuffer.byteCount)
            values[slot] = pool.next(&position)
        }
        let used = keys[..<(range.count * KeyBuffer.byteCount)]
        return EntryBatch(
            keys: KeyBatch(bytes: UnsafeRawBufferPointer(rebasing: used), keyByteCount: KeyBuffer.byteCount),
            values: UnsafeBufferPointer(rebasing: values[..<range.count])
        )
    }
}
