// Databases that workloads start from: filled and closed, or filled and abandoned.

import Glibc

/// Fills a database with every key in random order, lets it come to rest, and opens it once more for engines that do
/// part of that work on opening.
final class Preparation: AdapterVisitor {
    private let job: Job

    init(job: Job) {
        self.job = job
    }

    func visit<Adapter: EngineAdapter>(_: Adapter.Type) throws {
        try withAdapter(Adapter.self) { adapter in
            try fill(adapter, with: job)
            try adapter.flush()
        }
        try withAdapter(Adapter.self) { _ in }
    }

    private func withAdapter<Adapter: EngineAdapter>(_: Adapter.Type, _ body: (Adapter) throws -> Void) throws {
        let adapter = try Adapter(path: job.databasePath, settings: job.settings)
        try body(adapter)
        Idleness.wait()
        try adapter.close()
    }
}

/// Fills a database and kills its own process, so that the next one finds a log to recover.
final class Crash: AdapterVisitor {
    private let job: Job

    init(job: Job) {
        self.job = job
    }

    func visit<Adapter: EngineAdapter>(_: Adapter.Type) throws {
        let adapter = try Adapter(path: job.databasePath, settings: job.settings)
        try fill(adapter, with: job)
        // An engine whose last reference goes may close its database in good order.
        withExtendedLifetime(adapter) { _ = kill(getpid(), SIGKILL) }
    }
}

private func fill(_ adapter: some EngineAdapter, with job: Job) throws {
    let plan = Plan(
        kind: .fillbatch,
        entries: job.plan.entries,
        threads: 1,
        valueByteCount: job.valueByteCount,
        seed: job.seed
    )
    let worker = Worker(plan: plan, session: try adapter.makeSession(), thread: 0)
    worker.run()
    if let failure = worker.failure { throw failure }
}
