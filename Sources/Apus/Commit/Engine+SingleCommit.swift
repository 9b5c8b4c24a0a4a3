// The short way for the commonest commits: one put, one delete or one batch, by a caller that finds nobody else committing.
// The steps are those of Engine+Commit.swift, without a request or a group: nothing is allocated, and no bytes are shared.

import ApusIO
import Synchronization

extension Engine {
    /// Larger values are rare, and leave the log's buffer as it is when they go through a batch.
    static let largestSingleValue = 32 << 10

    /// Commits one entry. False if somebody else is committing: then the entry goes into a batch, which joins a group.
    ///
    /// - Parameters:
    ///   - entry: a put that does not expire, or a delete, within its limits.
    func commitAlone(_ entry: SingleEntry, in tree: Tree, durability: Durability) throws(ApusError) -> Bool {
        try checkWritable()
        guard !tree.isEphemeral, let log = committer.log, try pipeline.tryLead() else { return false }
        defer { pipeline.endLead() }
        // What was true before may have ended while another thread led.
        try checkWritable()
        if tree.isDropped { throw ApusError(.closed, "keyspace \"\(tree.name)\" was dropped") }
        let byteCount = entry.encodedByteCount
        try makeRoom(in: tree, forEntries: 1, byteCount: byteCount)
        let sequence = committer.lastSequence.advanced(by: 1)
        guard sequence < .max else { throw ApusError(.failed, "all sequence numbers are used up") }
        do throws(ApusError) {
            if durability == .relaxed, entry.kind == .value, isLarge(valueByteCount: entry.payload.count, in: tree),
                let reference = try separate(entry.key, entry.payload, in: tree)
            {
                try reference.withEncodedBytes { (payload) throws(ApusError) in
                    let reference = SingleEntry(
                        kind: .separatedValue, keyspace: entry.keyspace, key: entry.key, payload: payload)
                    try logAndApply(reference, in: tree, sequence, .separatedBatch, log, durability)
                }
            } else {
                try logAndApply(entry, in: tree, sequence, .batch, log, durability)
            }
        } catch {
            throw refused(error)
        }
        committer.lastSequence = sequence
        let userByteCount = entry.key.count &+ entry.payload.count
        tree.counters.recordCommit(byteCount: userByteCount)
        counters.recordCommit(entries: 1, byteCount: userByteCount)
        visible.store(sequence.rawValue, ordering: .releasing)
        afterCommit(byteCount: byteCount)
        return true
    }

    @inline(__always)
    private func logAndApply(
        _ entry: SingleEntry, in tree: Tree, _ sequence: SequenceNumber, _ kind: FrameKind, _ log: LogSet,
        _ durability: Durability
    ) throws(ApusError) {
        try log.appendAlone(
            payloadByteCount: entry.encodedByteCount, sequence: sequence, kind: kind,
            beforeSync: durability == .durable
        ) { entry.encode(to: $0) }
        committer.hasUnsyncedCommits = true
        if durability == .durable { try synchronizeLog(log) }
        tree.withActive { $0.insert(entry.key, Trailer(sequence, entry.kind), entry.payload) }
    }

    /// Commits one batch. False if somebody else is committing: then it joins a group.
    ///
    /// - Parameters:
    ///   - batch: not empty, and within its limits. Merges are stamped in it.
    ///   - validate: throws if the batch must not be committed; called when no other commit can come in between.
    func commitAlone(
        _ batch: inout WriteBatch, durability: Durability, validate: (() throws(ApusError) -> Void)?
    ) throws(ApusError) -> Bool {
        try checkWritable()
        guard let log = committer.log, try pipeline.tryLead() else { return false }
        defer { pipeline.endLead() }
        try check(batch, validate)
        for tree in batch.trees { try makeRoom(in: tree, forEntries: batch.count, byteCount: batch.byteCount) }
        batch.stampMerges(clock.now)
        let first = committer.lastSequence.advanced(by: 1)
        let last = committer.lastSequence.advanced(by: batch.count)
        guard last < .max else { throw ApusError(.failed, "all sequence numbers are used up") }
        var kind = FrameKind.batch
        do throws(ApusError) {
            if let separated = try separateValues(of: batch, isDurable: durability == .durable) {
                batch = separated
                kind = .separatedBatch
            }
            if !batch.isEphemeral {
                try log.makeRoom(for: CollectionOfOne(batch.byteCount))
                try batch.encoded.withBytes { (bytes) throws(ApusError) in
                    try log.append(bytes, sequence: first, kind: kind)
                }
                try log.write(beforeSync: durability == .durable)
                committer.hasUnsyncedCommits = true
            }
            if durability == .durable && committer.hasUnsyncedCommits { try synchronizeLog(log) }
        } catch {
            throw refused(error)
        }
        committer.lastSequence = last
        apply(batch, from: first)
        visible.store(last.rawValue, ordering: .releasing)
        afterCommit(byteCount: batch.byteCount)
        noteExpiry(batch)
        return true
    }
}
