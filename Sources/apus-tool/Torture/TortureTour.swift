// Several databases, tortured side by side until the rounds are done: while one waits for the disk, another has the
// processor.

import ApusIO
import Foundation

final class TortureTour: Sendable {
    private struct State {
        var roundsLeft: Int
        var verdicts: [TortureVerdict]
        var failure: (any Error)?
        let progress: TortureProgress
    }

    private let rounds: Int
    private let sessions: [TortureSession.Settings]
    private let start = ContinuousClock.now
    private let state: Monitor<State>

    init(rounds: Int, _ sessions: [TortureSession.Settings], showsProgress: Bool) {
        self.rounds = rounds
        self.sessions = sessions
        state = Monitor(
            State(
                roundsLeft: rounds,
                verdicts: sessions.map { TortureVerdict(seed: $0.workload.seed) },
                progress: TortureProgress(isShown: showsProgress)
            )
        )
    }

    /// Ends at the first violation.
    func run() throws -> TortureVerdict {
        let threads = sessions.indices.map { index in
            SystemThread.started { [self] in run(index) }
        }
        for thread in threads { thread.join() }
        return try state.withLock { state in
            state.progress.finish()
            if let failure = state.failure { throw failure }
            let verdict = sum(state)
            if verdict.violations.isEmpty, verdict.rounds >= 20, verdict.commitsVerified == 0 {
                throw Failure("no writer got as far as a commit: nothing was tested")
            }
            return verdict
        }
    }

    private func run(_ index: Int) {
        do {
            let session = try TortureSession(sessions[index])
            while takeRound() {
                try session.round()
                state.withLock { state in
                    state.verdicts[index] = session.verdict
                    state.progress.update(sum(state), of: rounds)
                }
            }
        } catch {
            state.withLock { $0.failure = $0.failure ?? error }
        }
    }

    private func takeRound() -> Bool {
        state.withLock { state in
            guard state.roundsLeft > 0, state.failure == nil, state.verdicts.allSatisfy(\.violations.isEmpty) else {
                return false
            }
            state.roundsLeft -= 1
            return true
        }
    }

    private func sum(_ state: State) -> TortureVerdict {
        var verdict = TortureVerdict(seed: sessions[0].workload.seed, sumOf: state.verdicts)
        verdict.seconds = (.now - start).seconds
        return verdict
    }
}
