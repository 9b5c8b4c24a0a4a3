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
    /// Those that have values which may not be durable yet.
    private var unsyncedValueFiles: [ValueFile] = []

    init(log: LogSet?, lastSequence: SequenceNumber) {
        self.log = log
        self.lastSequence = lastSequence
    }

    /// The file has new values.
    func note(_ file: ValueFile) {
        if !unsyncedValueFiles.contains(where: { $0 === file }) { unsyncedValueFiles.append(file) }
    }

    /// Nothing that is logged refers to the file any more.
    func forget(_ file: ValueFile) {
        unsyncedValueFiles.removeAll { $0 === file }
    }

    /// Makes all values durable that the log refers to.
    func synchronizeValues() throws(ApusError) {
        while let file = unsyncedValueFiles.last {
            try file.synchronize()
            unsyncedValueFiles.removeLast()
        }
    }
}
