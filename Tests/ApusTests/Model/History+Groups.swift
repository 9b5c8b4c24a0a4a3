// Several commits at once in a history: asynchronous ones wait in the queue until a background job leads them, or a
// caller who commits behind them, so that a group of many shares one log write and one sync.

import ApusIO
import ApusSimulation

@testable import Apus

extension History {
    private struct Member {
        var batch: WriteBatch
        var writes: [ModelCommit.Write]
        var durability: Durability?
    }

    /// What became of a member, and when.
    private struct Answer {
        var outcome: Result<Void, ApusError>
        var time: UInt64
    }

    func writeGroup() throws {
        let members = try (0..<random.between(2, 6)).map { _ in
            let (batch, writes) = try batch(of: random.pick([1, 1, 3, 8]))
            let durability = durability()
            note("  in a group: batch of \(writes.count) \(durability.map { "\($0)" } ?? "")")
            return Member(batch: batch, writes: writes, durability: durability)
        }
        let isLedByCaller = random.chance(50)
        note("#\(lastSequence + 1)… group of \(members.count), led by \(isLedByCaller ? "the last" : "a job")")
        let answers = try enqueue(members, isLedByCaller: isLedByCaller)
        var failure: ApusError?
        for (member, answer) in zip(members, answers) where !member.writes.isEmpty {
            switch answer.outcome {
            case .success:
                // What failed before was refused without effect, or this one would have been, too.
                commitsUnderWay = []
                let commit = ModelCommit(writes: member.writes, first: lastSequence + 1).stamped(answer.time)
                acknowledge(commit, member.durability ?? shape.options.durability)
            case .failure(let error) where error.kind == .outOfSpace && !machine.disk.isStopped:
                if commitsUnderWay.isEmpty { failure = error }
            case .failure(let error):
                let first = (commitsUnderWay.last?.last ?? lastSequence) + 1
                commitsUnderWay.append(ModelCommit(writes: member.writes, first: first).stamped(answer.time))
                failure = error
            }
        }
        if let failure { throw failure }
        try checkCount()
    }

    /// Returns when all of them are answered, in their order.
    private func enqueue(_ members: [Member], isLedByCaller: Bool) throws -> [Answer] {
        let (engine, answers) = (database.engine, Monitor<[Int: Answer]>([:]))
        @Sendable func answer(_ index: Int, _ outcome: Result<Void, ApusError>) {
            let answer = Answer(outcome: outcome, time: engine.clock.now())
            answers.withLock { $0[index] = answer }
        }
        let requests = try members.enumerated().map { index, member in
            try database.request(member.batch, member.durability, validate: nil) { answer(index, $0) }
        }
        for (index, request) in requests.enumerated() {
            if let request, index < requests.count - 1 || !isLedByCaller {
                engine.pipeline.enqueue(request)
            } else if request == nil {
                answer(index, .success(()))
            } else {
                let member = members[index]
                do throws(ApusError) {
                    try database.commit(member.batch, durability: member.durability)
                    answer(index, .success(()))
                } catch {
                    answer(index, .failure(error))
                }
            }
        }
        while answers.withLock({ $0.count }) < members.count { _ = machine.scheduler.help() }
        return answers.withLock { answers in members.indices.map { answers[$0]! } }
    }
}
