// Transactions of a history: reads of a snapshot with the transaction's own writes on top, savepoints, and commits by
// somebody else in the middle, which must lead to a conflict exactly if they touch what was read.

@testable import Apus

extension History {
    /// What a transaction did, so far.
    private struct Progress {
        var own: [ModelCommit.Write] = []
        var savepoints: [(point: Transaction.Savepoint, count: Int)] = []
        var readKeys: [(ModelKeyspace, [UInt8])] = []
        var readRanges: [(ModelKeyspace, KeyRange)] = []
        var sequence: UInt64
        var time: UInt64

        func own(of keyspace: ModelKeyspace) -> [ModelChange] {
            own.filter { $0.keyspace === keyspace }.map(\.change)
        }

        func hasRead(_ write: ModelCommit.Write) -> Bool {
            readKeys.contains { $0.0 === write.keyspace && write.change.concerns($0.1) }
                || readRanges.contains { $0.0 === write.keyspace && write.change.concerns($0.1) }
        }
    }

    func runTransaction() throws {
        guard let exact = exactKeyspaces() else { return }
        var isConflictExpected = false
        let durability = durability()
        do {
            try database.transaction(durability: durability, attempts: 1) { transaction in
                var progress = Progress(sequence: lastSequence, time: now)
                note("transaction at \(lastSequence)")
                for _ in 0..<random.between(1, 6) { try step(transaction, &progress, exact) }
                let foreign = random.chance(40) ? try interfere() : nil
                // What is read after the foreign commit counts too: the snapshot is older.
                for _ in 0..<random.below(4) { try step(transaction, &progress, exact) }
                isConflictExpected = !progress.own.isEmpty && foreign.map(progress.hasRead) ?? false
                let commit = ModelCommit(writes: progress.own, first: lastSequence + 1)
                commitsUnderWay = progress.own.isEmpty ? [] : [commit]
                note("  commits \(progress.own.count) changes")
            }
        } catch let error as ApusError where error.kind == .conflict {
            commitsUnderWay = []
            guard isConflictExpected else { throw HistoryFailure("a conflict that nothing explains") }
            note("  conflict, as it must be")
            observe("conflict")
            return
        } catch is Cancelled {
            note("  cancelled")
            return
        } catch {
            stampCommitsUnderWay()
            throw error
        }
        guard !isConflictExpected else { throw HistoryFailure("the transaction should have met a conflict") }
        acknowledgeCommitsUnderWay(durability)
    }

    private struct Cancelled: Error {}

    private func exactKeyspaces() -> [ModelKeyspace]? {
        let exact = keyspaces.filter(\.isExact)
        return exact.isEmpty ? nil : exact
    }

    /// A commit by somebody else while the transaction runs.
    private func interfere() throws -> ModelCommit.Write? {
        let keyspace = keyspace()
        let draft = draft(for: keyspace)
        guard let write = write(draft, keyspace) else { return nil }
        note("  somebody else: #\(lastSequence + 1) \(keyspace.name) \(draft)")
        var batch = WriteBatch()
        add(draft, to: &batch, keyspace)
        try commit([write], nil) { try database.commit(batch) }
        return write
    }

    private func step(
        _ transaction: Transaction, _ progress: inout Progress, _ exact: [ModelKeyspace]
    ) throws {
        let keyspace = random.pick(exact)
        switch random.below(10) {
        case 0..<4:
            let draft = draft(for: keyspace)
            note("  writes \(keyspace.name) \(draft)")
            if let write = write(draft, keyspace) { progress.own.append(write) }
            write(draft, with: transaction, keyspace)
        case 4..<7:
            let key = key()
            note("  reads \(key.shown) in \(keyspace.name)")
            progress.readKeys.append((keyspace, key))
            let found = try read(key, keyspace, by: progress.readKeys.count, transaction)
            let expected = keyspace.value(
                of: key, at: progress.sequence, time: progress.time, own: progress.own(of: keyspace))
            guard found == expected else {
                throw HistoryFailure(
                    "transaction at \(progress.sequence) reads \(key.shown) in \(keyspace.name): "
                        + "\(found?.shown ?? "nothing"), expected \(expected?.shown ?? "nothing")")
            }
        case 7, 8:
            let (range, isReversed) = (range(), random.chance(50))
            let limit = random.chance(50) ? random.below(5) : Int.max
            note("  scans \(keyspace.name) \(range.shown) reversed \(isReversed) limit \(limit)")
            let found = try transaction.entries(range, in: keyspace.handle, reversed: isReversed, limit: limit)
            // A scan that its limit ends has read no further than its last entry.
            var walked = range
            if let last = found.last, found.count == limit {
                if isReversed { walked.lower = last.key } else { walked.upper = last.key + [0] }
            }
            if limit > 0 { progress.readRanges.append((keyspace, walked)) }
            var expected = keyspace.entries(
                range, at: progress.sequence, time: progress.time, own: progress.own(of: keyspace))
            if isReversed { expected.reverse() }
            try check(
                found, Array(expected.prefix(limit)), keyspace, at: progress.sequence, time: progress.time,
                "scan in a transaction")
        default:
            if let (point, count) = progress.savepoints.last, random.chance(50) {
                note("  rolls back to \(count) changes")
                try transaction.rollBack(to: point)
                progress.own.removeSubrange(count...)
                progress.savepoints.removeLast()
            } else {
                note("  savepoint")
                progress.savepoints.append((transaction.savepoint(), progress.own.count))
            }
            if random.chance(5) { throw Cancelled() }
        }
    }

    /// Reads one key, by one way to do that after the other.
    private func read(
        _ key: [UInt8], _ keyspace: ModelKeyspace, by way: Int, _ transaction: Transaction
    ) throws -> [UInt8]? {
        switch way % 3 {
        case 0: return try transaction.get(key, in: keyspace.handle)
        case 1: return try transaction.withValue(for: key, in: keyspace.handle) { $0.copied() }
        default:
            var found: [UInt8]?
            try transaction.withValues(for: [key], in: keyspace.handle) { _, value in
                found = value?.copied()
                return .next
            }
            return found
        }
    }

    private func write(_ draft: Draft, with transaction: Transaction, _ keyspace: ModelKeyspace) {
        let handle = keyspace.handle
        switch draft {
        case .put(let key, let value, let expiry): transaction.put(key, value, in: handle, expiry: expiry)
        case .delete(let key): transaction.delete(key, in: handle)
        case .deleteRange(let start, let end):
            // The transaction takes Swift ranges of anything comparable; the model's keys are plain arrays.
            transaction.deleteRange(OrderedBytes(start)..<OrderedBytes(end), in: handle)
        case .merge(let key, let operand, let expiry): transaction.merge(key, operand, in: handle, expiry: expiry)
        }
    }
}

/// Bytes that a Swift range can be made of.
struct OrderedBytes: Comparable, ByteRepresentable {
    let bytes: [UInt8]
    init(_ bytes: [UInt8]) { self.bytes = bytes }

    static func < (a: OrderedBytes, b: OrderedBytes) -> Bool { a.bytes < b.bytes }

    func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try bytes.withBytes(body)
    }
}
