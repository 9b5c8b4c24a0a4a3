// Hashes content on another thread while its own cuts, compares and stores it: the hash is the largest part of the work,
// and all of it depends on the order of the bytes, so this is the only way to share it out.

import Apus
import ApusIO
import Synchronization

/// A running SHA-256 whose next stretch may be computed elsewhere.
struct HashLane {
    private var hash = ContentHash()
    private let scheduler: any Scheduler
    /// Handing over costs more than hashing a shorter stretch.
    private static let shortestStretch = 256 << 10

    init(_ scheduler: any Scheduler) { self.scheduler = scheduler }

    /// Adds `bytes` to the hash; meanwhile, if they are many, runs `work`. Returns when both are done.
    mutating func update<Result>(_ bytes: UnsafeRawBufferPointer, during work: () throws -> Result) rethrows -> Result {
        guard bytes.count >= Self.shortestStretch else {
            hash.update(bytes)
            return try work()
        }
        let job = Job(hash, bytes)
        scheduler.run(.maintenance) { job.run() }
        // The bytes belong to the caller: whatever `work` does, the job is over when this returns.
        defer { hash = job.finish(scheduler) }
        return try work()
    }

    func finish() -> BlobID { hash.finish() }

    /// Done once, by whoever comes first: the other thread, or the one that would otherwise wait for it.
    ///
    /// Invariant of the unchecked part: `bytes` are read only by the one who claimed the job, and stay valid until
    /// `finish` has returned; after that nobody reads them, because the job is claimed.
    private final class Job: @unchecked Sendable {
        private let bytes: UnsafeRawBufferPointer
        private let start: ContentHash
        private let isClaimed = Atomic(false)
        private let outcome = Monitor<ContentHash?>(nil)

        init(_ start: ContentHash, _ bytes: UnsafeRawBufferPointer) {
            self.start = start
            self.bytes = bytes
        }

        func run() {
            if isClaimed.exchange(true, ordering: .acquiringAndReleasing) { return }
            var hash = start
            hash.update(bytes)
            outcome.withLock { $0 = hash }
            outcome.broadcast()
        }

        func finish(_ scheduler: any Scheduler) -> ContentHash {
            run()
            return outcome.waitUntil(helping: scheduler) { $0 }
        }
    }
}
