// Whether the database still accepts writes. The first failed append or sync of log or manifest is final: what reached
// the disk is unknown, and a second sync of the same file may report success for pages that the first one dropped
// (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020). Reads go on.

import ApusIO
import Synchronization

final class Health: Sendable {
    private let isHealthy = Atomic(true)
    private let failure = Monitor<ApusError?>(nil)

    /// Throws what made the database refuse writes, if anything.
    @inline(__always)
    func check() throws(ApusError) {
        if isHealthy.load(ordering: .acquiring) { return }
        throw refusal()
    }

    /// Refuses writes from now on. Only the first failure is kept.
    func fail(_ error: ApusError) {
        failure.withLock { $0 = $0 ?? error }
        isHealthy.store(false, ordering: .releasing)
    }

    var error: ApusError? { failure.withLock { $0 } }

    private func refusal() -> ApusError {
        let cause = error
        return ApusError(
            .failed, "writes are refused until the database is reopened, because: \(cause?.message ?? "it failed")",
            file: cause?.file, offset: cause?.offset, systemCode: cause?.systemCode)
    }
}
