// Writes of a history: single ones and batches, and the bookkeeping of what is acknowledged and how durable it is.

import ApusSimulation

@testable import Apus

extension History {
    /// Runs `body`, which commits `writes`, and takes them over into the model.
    func commit(_ writes: [ModelCommit.Write], _ durability: Durability?, _ body: () throws -> Void) throws {
        let commit = ModelCommit(writes: writes, first: lastSequence + 1)
        if writes.isEmpty { return try body() }
        commitsUnderWay = [commit]
        do {
            try body()
        } catch {
            stampCommitsUnderWay()
            throw error
        }
        acknowledgeCommitsUnderWay(durability)
        try checkCount()
    }

    func checkCount() throws {
        let sequence = database.engine.visibleSequence.rawValue
        guard sequence == lastSequence else {
            throw HistoryFailure("the engine counts \(sequence) entries, the model \(lastSequence)")
        }
    }

    /// Merges count as written when they are committed, and the commit may have been held up for a while: it is now.
    func stampCommitsUnderWay() {
        let time = now
        commitsUnderWay = commitsUnderWay.map { $0.stamped(time) }
    }

    func acknowledgeCommitsUnderWay(_ durability: Durability?) {
        stampCommitsUnderWay()
        for commit in commitsUnderWay { acknowledge(commit, durability ?? shape.options.durability) }
        commitsUnderWay = []
    }

    func acknowledge(_ commit: ModelCommit, _ durability: Durability) {
        apply(commit)
        if durability == .durable, let end = loggedEnds.last { durableSequence = end }
    }

    func apply(_ commit: ModelCommit) {
        for (index, write) in commit.writes.enumerated() {
            write.keyspace.apply(write.change, commit.first + UInt64(index))
        }
        lastSequence = commit.last
        if commit.isLogged { loggedEnds.append(commit.last) }
    }

    // MARK: Random changes

    func value(for keyspace: ModelKeyspace) -> [UInt8] {
        if keyspace.mergeOperator == .add { return random.bytes(8) }
        let count = random.below(shape.largestValue + 1)
        return random.chance(50) ? [UInt8](repeating: UInt8(random.below(256)), count: count) : random.bytes(count)
    }

    private func operand(for keyspace: ModelKeyspace) -> [UInt8] {
        keyspace.mergeOperator == .add ? random.bytes(8) : random.bytes(random.below(6))
    }

    private func expiry() -> Expiry {
        guard shape.hasTimes, random.chance(40) else { return .automatic }
        switch random.below(4) {
        case 0: return .never
        case 1: return .at(milliseconds: now + UInt64(random.pick([0, 10, 5_000])) - UInt64(random.pick([0, 0, 5])))
        default: return .after(.milliseconds(random.pick([0, 1, 400, 10_000, 1_000_000])))
        }
    }

    /// The expiry in ms, worked out as the documentation says.
    private func expiresAt(_ expiry: Expiry, _ keyspace: ModelKeyspace) -> UInt64 {
        switch expiry {
        case .automatic: keyspace.options.timeToLive.map { now + $0.milliseconds } ?? 0
        case .never: 0
        case .after(let duration): now + duration.milliseconds
        case .at(let milliseconds): milliseconds
        }
    }

    /// One change, and a function that makes it in a batch.
    enum Draft: CustomStringConvertible {
        case put([UInt8], [UInt8], Expiry)
        case delete([UInt8])
        case deleteRange([UInt8], [UInt8])
        case merge([UInt8], [UInt8], Expiry)

        var description: String {
            switch self {
            case .put(let key, let value, let expiry): "put \(key.shown) = \(value.shown) \(expiry)"
            case .delete(let key): "delete \(key.shown)"
            case .deleteRange(let start, let end): "deleteRange \(start.shown) to \(end.shown)"
            case .merge(let key, let operand, let expiry): "merge \(key.shown) \(operand.shown) \(expiry)"
            }
        }
    }

    func draft(for keyspace: ModelKeyspace) -> Draft {
        switch random.below(10) {
        case 0, 1: return .delete(key())
        case 2:
            let bounds = [key(), key()].sorted { $0 < $1 }
            return .deleteRange(bounds[0], bounds[1])
        case 3..<6 where keyspace.mergeOperator != nil:
            return .merge(key(), operand(for: keyspace), expiry())
        default: return .put(key(), value(for: keyspace), expiry())
        }
    }

    /// nil if the change writes nothing.
    func write(_ draft: Draft, _ keyspace: ModelKeyspace) -> ModelCommit.Write? {
        let change: ModelChange
        switch draft {
        case .put(let key, let value, let expiry):
            change = .put(key: key, value: value, expiresAt: expiresAt(expiry, keyspace))
        case .delete(let key): change = .delete(key: key)
        case .deleteRange(let start, let end):
            if start == end { return nil }
            change = .deleteRange(start: start, end: end)
        case .merge(let key, let operand, let expiry):
            change = .merge(
                key: key, operand: operand, writtenAt: now, expiresAt: expiresAt(expiry, keyspace))
        }
        return ModelCommit.Write(keyspace: keyspace, change: change)
    }

    // MARK: Operations

    func writeOne() throws {
        let keyspace = keyspace()
        let draft = draft(for: keyspace)
        let durability = durability()
        let write = write(draft, keyspace)
        note("#\(lastSequence + 1) \(keyspace.name) \(draft) \(durability.map { "\($0)" } ?? "")")
        try commit(write.map { [$0] } ?? [], durability) {
            let handle = keyspace.handle
            switch draft {
            case .put(let key, let value, let expiry):
                try handle.put(key, value, expiry: expiry, durability: durability)
            case .delete(let key): try handle.delete(key, durability: durability)
            case .deleteRange(let start, let end): try handle.deleteRange(from: start, to: end, durability: durability)
            case .merge(let key, let operand, let expiry):
                try handle.merge(key, operand, expiry: expiry, durability: durability)
            }
        }
    }

    /// A batch of so many changes, perhaps fewer, because some change nothing.
    func batch(of count: Int) throws -> (batch: WriteBatch, writes: [ModelCommit.Write]) {
        var batch = WriteBatch()
        var writes: [ModelCommit.Write] = []
        for _ in 0..<count {
            let keyspace = keyspace()
            let draft = draft(for: keyspace)
            note("  in batch: \(keyspace.name) \(draft)")
            if let write = write(draft, keyspace) { writes.append(write) }
            add(draft, to: &batch, keyspace)
        }
        guard batch.count == writes.count else {
            throw HistoryFailure("the batch counts \(batch.count) changes, not \(writes.count)")
        }
        return (batch, writes)
    }

    func writeBatch() throws {
        let (batch, writes) = try batch(of: random.pick([1, 3, 8, 20]))
        let durability = durability()
        note("#\(lastSequence + 1)… batch of \(batch.count) \(durability.map { "\($0)" } ?? "")")
        try commit(writes, durability) { try database.commit(batch, durability: durability) }
    }

    func add(_ draft: Draft, to batch: inout WriteBatch, _ keyspace: ModelKeyspace) {
        let handle = keyspace.handle
        switch draft {
        case .put(let key, let value, let expiry): batch.put(key, value, in: handle, expiry: expiry)
        case .delete(let key): batch.delete(key, in: handle)
        case .deleteRange(let start, let end): batch.deleteRange(from: start, to: end, in: handle)
        case .merge(let key, let operand, let expiry): batch.merge(key, operand, in: handle, expiry: expiry)
        }
    }
}

extension ModelCommit {
    /// With its merges written at `time`.
    func stamped(_ time: UInt64) -> ModelCommit {
        var stamped = self
        stamped.writes = writes.map { write in
            guard case .merge(let key, let operand, _, let expiresAt) = write.change else { return write }
            return Write(
                keyspace: write.keyspace,
                change: .merge(key: key, operand: operand, writtenAt: time, expiresAt: expiresAt))
        }
        return stamped
    }
}

extension Duration {
    /// For the model, which takes whole milliseconds only.
    var milliseconds: UInt64 {
        UInt64(components.seconds) * 1_000 + UInt64(components.attoseconds / 1_000_000_000_000_000)
    }
}
