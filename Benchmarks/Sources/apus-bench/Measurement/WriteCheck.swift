// Looks up a sample of what must be in the database after a run, and counts the entries that must be left.

struct WriteCheck {
    let plan: Plan
    /// By YCSB.
    var inserted = 0

    func run<Session: EngineSession>(on session: Session, engine: Engine) throws -> Int {
        guard plan.kind.writes || plan.kind.opens else { return plan.entries }
        let isLive = liveKeys()
        if engine != .loop {
            let key = KeyBuffer()
            for index in stride(from: 0, to: plan.entries, by: max(1, plan.entries / 1_000)) {
                var valueByteCount = 0
                let isFound = try session.get(key.set(index)) { valueByteCount = $0.count }
                guard isFound == isLive[index], !isFound || valueByteCount == plan.valueByteCount else {
                    throw BenchmarkError("\(engine.rawValue) \(plan.kind.rawValue): key \(index) is not as written")
                }
            }
        }
        return isLive.count(where: { $0 }) + inserted
    }

    /// Deletes what the run deleted: the same numbers from the same seed.
    private func liveKeys() -> [Bool] {
        var isLive = [Bool](repeating: true, count: plan.entries)
        guard plan.kind == .deleterandom || plan.kind == .deleterange else { return isLive }
        for thread in 0..<plan.threads {
            var random = plan.random(of: thread)
            for _ in plan.share(of: thread) {
                if plan.kind == .deleterandom {
                    isLive[random.next(below: plan.entries)] = false
                } else {
                    let start = plan.rangeStart(&random)
                    let end = min(start + WorkloadKind.keysPerRange, plan.entries)
                    for index in start..<end { isLive[index] = false }
                }
            }
        }
        return isLive
    }
}
