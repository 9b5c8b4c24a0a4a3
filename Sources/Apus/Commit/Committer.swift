// What belongs to the commit leader: the log, the next sequence number, the throttle.

import ApusIO

/// `@unchecked Sendable`: only the leader of the commit pipeline touches it, and there is one leader at a time.
final class Committer: @unchecked Sendable {
    /// nil in a read-only database.
    let log: LogSet?
    /// The last sequence number given to an entry.
    var lastSequence: SequenceNumber
    var throttle = WriteThrottle()
    /// Bytes committed since all memtables were last weighed against their budget.
    var bytesSinceWeighing = 0
    /// A sync of relaxed commits is scheduled.
    var isSyncScheduled = false
    /// Something was written to the log since its last sync.
    var hasUnsyncedCommits = false

    init(log: LogSet?, lastSequence: SequenceNumber) {
        self.log = log
        self.lastSequence = lastSequence
    }
}
