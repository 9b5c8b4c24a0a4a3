// One random log of operations, crashes and reopenings included, under many sets of options: how big memtables, blocks,
// tables and levels are, which codec and which filter, when background work runs, must not change a single answer.
// APUS_SEED_OFFSET moves the seeds, APUS_SWEEP=full takes ten times as many.

import ApusIO
import Testing

@testable import Apus

@Suite("Metamorphic")
struct MetamorphicTests {
    private static let stepCount = 240
    private static let seeds: [UInt64] = {
        let offset = environmentNumber("APUS_SEED_OFFSET") ?? 0
        return (0..<(environmentText("APUS_SWEEP") == "full" ? 20 : 4)).map { offset + $0 }
    }()
    private static let logsLeft = Monitor(seeds.count)

    @Test("a log of operations gives the same history under every set of options", arguments: seeds)
    func sameHistory(seed: UInt64) throws {
        #expect(HistoryVariant.all.count >= 20)
        var expected: [String]?
        defer {
            Self.logsLeft.withLock { left in
                left -= 1
                if left == 0 {
                    print(
                        "metamorphic: \(Self.seeds.count) logs, each under \(HistoryVariant.all.count) sets of options")
                }
            }
        }
        for variant in HistoryVariant.all {
            let history = History(seed: seed, isTracing: false, variant: variant)
            do {
                try history.run(steps: Array(0..<Self.stepCount))
            } catch {
                Issue.record("log \(seed), \(variant.name): \(error)")
                continue
            }
            #expect(history.crashCount > 0, "log \(seed) has no crash")
            #expect(history.operationKinds.count >= 30, "log \(seed) has few kinds of operations")
            guard let first = expected else {
                expected = history.observations
                continue
            }
            guard history.observations != first else { continue }
            let index = zip(history.observations, first).prefix { $0 == $1 }.count
            let step = first.prefix(index).last { $0.hasPrefix("step ") } ?? "the beginning"
            Issue.record(
                """
                log \(seed), after \(step): \(HistoryVariant.all[0].name) and \(variant.name) differ
                \(index < first.count ? first[index] : "the end")
                \(index < history.observations.count ? history.observations[index] : "the end")
                """)
        }
    }
}
