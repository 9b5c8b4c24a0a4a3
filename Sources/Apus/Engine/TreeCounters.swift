// What has been written to one keyspace, and for it, since the database was opened: the two sides of its write
// amplification.

import ApusIO
import Synchronization

final class TreeCounters: Sendable {
    /// Key and value bytes of commits. Only the commit leader adds.
    private let userBytes = Atomic<UInt64>(0)
    /// Bytes of tables and blob files that flushes and compactions wrote, by the level that they wrote to.
    private let levels = Monitor([UInt64](repeating: 0, count: VersionEdit.levelCount))

    @inline(__always)
    func recordCommit(byteCount: Int) {
        // One writer: no read-modify-write instruction needed.
        userBytes.store(userBytes.load(ordering: .relaxed) &+ UInt64(byteCount), ordering: .relaxed)
    }

    func recordOutput(_ output: CompactionOutput, level: Int) {
        levels.withLock { $0[level] = $0[level].addingSaturated(output.bytesWritten) }
    }

    var userByteCount: UInt64 { userBytes.load(ordering: .relaxed) }
    var bytesWritten: [UInt64] { levels.withLock { $0 } }
}
