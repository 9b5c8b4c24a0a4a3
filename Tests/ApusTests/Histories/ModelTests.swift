// The engine against the model, over random histories of every operation. A failing history is shrunk, and printed with
// the line that runs it again:
//
//   APUS_SEED=<seed> [APUS_STEPS=<n,n,…>]   runs that one alone and prints all of it
//   APUS_SEED_OFFSET=<n>                    moves the whole range of seeds
//   APUS_HISTORIES=<n>                      runs that many instead of those of an ordinary test run

import ApusIO
import Testing

@testable import Apus

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

func environmentText(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
func environmentNumber(_ name: String) -> UInt64? { environmentText(name).flatMap { UInt64($0) } }

/// How much was done, printed when the last group has ended: a campaign is judged by it.
private struct Tally {
    var histories = 0
    var crashes = 0
    var groupsLeft: Int
}

@Suite("Model")
struct ModelTests {
    static let groupCount = 50
    static let historiesInGroup = Int(environmentNumber("APUS_HISTORIES") ?? 2_100) / groupCount

    private static let offset = environmentNumber("APUS_SEED_OFFSET") ?? 0
    private static let single = environmentNumber("APUS_SEED")
    private static let steps = environmentText("APUS_STEPS")?.split(separator: ",").compactMap { Int($0) }
    private static let tally = Monitor(Tally(groupsLeft: groupCount))

    @Test("random histories agree with the model", arguments: 0..<groupCount)
    func histories(group: Int) {
        if let seed = Self.single {
            guard group == 0 else { return }
            let run = HistoryRun(seed: seed, steps: Self.steps, isTracing: true, isPrinting: true)
            if let failure = run.failure { Issue.record("history \(seed): \(failure)") }
            return
        }
        for index in 0..<Self.historiesInGroup {
            let seed = Self.offset + UInt64(group * Self.historiesInGroup + index)
            let run = HistoryRun(seed: seed)
            Self.tally.withLock { tally in
                tally.histories += 1
                tally.crashes += run.crashCount
            }
            if let failure = run.failure { Self.report(seed, failure) }
        }
        Self.tally.withLock { tally in
            tally.groupsLeft -= 1
            if tally.groupsLeft == 0 {
                print("model: \(tally.histories) histories, \(tally.crashes) crashes, all ends checked")
            }
        }
    }

    private static func report(_ seed: UInt64, _ failure: String) {
        guard HistoryRun(seed: seed).failure != nil else {
            Issue.record("history \(seed): \(failure), but not again: it depends on more than its seed")
            return
        }
        let steps = shrunkSteps(seed: seed)
        let run = HistoryRun(seed: seed, steps: steps, isTracing: true)
        let list = steps.map(String.init).joined(separator: ",")
        Issue.record(
            """
            history \(seed): \(failure)
            shrunk to \(steps.count) steps: \(run.failure ?? "")
              \(run.trace.suffix(60).joined(separator: "\n  "))
            APUS_SEED=\(seed) APUS_STEPS=\(list) prints it
            """)
    }
}
