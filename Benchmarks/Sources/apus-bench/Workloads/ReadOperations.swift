// The part of the loop that reads: gets, seeks, scans.

extension Worker {
    @inline(__always)
    func get(
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

    func getHot(_ share: Range<Int>, _ latencies: inout LatencyRecorder) throws {
        guard let zipfian = plan.zipfian else { return }
        try get(share, &latencies) { [order = plan.order] random in order[zipfian.rank(&random)] }
    }

    func getMissing(_ share: Range<Int>, _ latencies: inout LatencyRecorder) throws {
        var random = plan.random(of: thread)
        latencies.start()
        for _ in share {
            let missing = key.set(after: random.next(below: plan.entries))
            if try session.get(missing, { _ in }) { tally.found += 1 }
            latencies.lap()
        }
        tally.operations += share.count
    }

    func getMany(_ share: Range<Int>, _ latencies: inout LatencyRecorder) throws {
        var random = plan.random(of: thread)
        var seen = Tally()
        let valueByteCount = plan.valueByteCount
        let limit = WorkloadKind.keysPerMultiGet
        let keys = UnsafeMutableRawBufferPointer.allocate(byteCount: limit * KeyBuffer.byteCount, alignment: 8)
        defer { keys.deallocate() }
        latencies.start()
        for start in stride(from: share.lowerBound, to: share.upperBound, by: limit) {
            let count = min(limit, share.upperBound - start)
            for slot in 0..<count {
                let target = keys.baseAddress.unsafelyUnwrapped + slot * KeyBuffer.byteCount
                KeyBuffer.write(random.next(below: plan.entries), to: target)
            }
            let wanted = UnsafeRawBufferPointer(rebasing: keys[..<(count * KeyBuffer.byteCount)])
            try session.getMany(KeyBatch(bytes: wanted, keyByteCount: KeyBuffer.byteCount)) {
                seen.see($0, valueByteCount)
            }
            latencies.lap()
        }
        seen.operations = share.count
        seen.expected = share.count
        tally += seen
    }

    func seek(_ share: Range<Int>, _ latencies: inout LatencyRecorder) throws {
        var random = plan.random(of: thread)
        var seen = Tally()
        latencies.start()
        for _ in share {
            let index = random.next(below: plan.entries)
            try walk(from: index, entries: WorkloadKind.entriesAfterSeek + 1, &seen)
            latencies.lap()
            seen.expected += min(WorkloadKind.entriesAfterSeek + 1, plan.entries - index)
        }
        seen.operations = share.count
        tally += seen
    }

    /// A new cursor, a seek to an entry that is there, and as many entries from it on, or all that are left.
    @inline(__always)
    func walk(from index: Int, entries: Int, _ seen: inout Tally) throws {
        let target = key.set(index)
        let valueByteCount = plan.valueByteCount
        try session.openCursor(.forward)
        var isAtEntry = try session.seek(target)
        if isAtEntry {
            try session.withEntry { found, _ in
                if !found.elementsEqual(target) { seen.wrongValues += 1 }
            }
        }
        var left = entries
        while isAtEntry {
            try session.withEntry { _, value in seen.see(value, valueByteCount) }
            left -= 1
            if left == 0 { break }
            isAtEntry = try session.advance()
        }
        try session.closeCursor()
    }

    func scan(_ direction: ScanDirection, _ latencies: inout LatencyRecorder) throws {
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
