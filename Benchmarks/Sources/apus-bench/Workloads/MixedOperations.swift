// The part of the loop that mixes reads and writes: YCSB A to F.

extension Worker {
    func runMix(_ share: Range<Int>, _ latencies: inout LatencyRecorder) throws {
        guard let mix = plan.kind.mix, let zipfian = plan.zipfian else { return }
        var random = plan.random(of: thread)
        var seen = Tally()
        var position = 0
        let (order, valueByteCount) = (plan.order, plan.valueByteCount)
        latencies.start()
        for _ in share {
            switch mix.step(&random) {
            case .read:
                let wanted = choose(mix.choice, zipfian.rank(&random), inserted: seen.inserted)
                _ = try session.get(wanted) { seen.see($0, valueByteCount) }
                seen.expected += 1
            case .update:
                try put(key.set(order[zipfian.rank(&random)]), &position, &seen)
            case .insert:
                try put(key.set(after: plan.insertion(seen.inserted, by: thread)), &position, &seen)
                seen.inserted += 1
            case .scan:
                let index = order[zipfian.rank(&random)]
                let length = 1 + random.next(below: YCSBMix.longestScan)
                let before = seen.found
                try walk(from: index, entries: length, &seen)
                // Insertions lie between the entries that were there: a scan finds at least as many as without them.
                seen.expected += max(seen.found - before, min(length, plan.entries - index))
            case .readModifyWrite:
                let changed = key.set(order[zipfian.rank(&random)])
                _ = try session.get(changed) { seen.see($0, valueByteCount) }
                seen.expected += 1
                try put(changed, &position, &seen)
            }
            latencies.lap()
        }
        seen.operations = share.count
        tally += seen
    }

    @inline(__always)
    private func put(_ key: UnsafeRawBufferPointer, _ position: inout Int, _ seen: inout Tally) throws {
        let value = plan.values.next(&position)
        try session.put(key, value)
        seen.userByteCount += key.count + value.count
    }

    /// The newest entries are those that this thread inserted, then those that the fill put last.
    @inline(__always)
    private func choose(_ choice: YCSBMix.Choice, _ rank: Int, inserted: Int) -> UnsafeRawBufferPointer {
        switch choice {
        case .zipfian: key.set(plan.order[rank])
        case .latest where rank < inserted: key.set(after: plan.insertion(inserted - 1 - rank, by: thread))
        case .latest: key.set(plan.order[plan.entries - 1 - (rank - inserted)])
        }
    }
}
