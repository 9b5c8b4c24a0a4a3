// The engine against the model, over random histories of every operation. A failing history prints its seed and its
// last operations; `APUS_SEED=<seed>` runs that one alone and prints all of them.

import Testing

@testable import Apus

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

@Suite("Model")
struct ModelTests {
    static let groupCount = 50
    static let historiesInGroup = 42

    private static func environmentNumber(_ name: String) -> UInt64? {
        getenv(name).flatMap { UInt64(String(cString: $0)) }
    }

    /// Moves the whole range of seeds, for hunts longer than a test run.
    private static let offset = environmentNumber("APUS_SEED_OFFSET") ?? 0
    private static let single = environmentNumber("APUS_SEED")
    private static let isVerbose = getenv("APUS_VERBOSE") != nil

    private static func run(_ seed: UInt64, isTracing: Bool, isPrinting: Bool) -> (failure: String, trace: [String])? {
        let history = History(seed: seed, isTracing: isTracing, isPrinting: isPrinting)
        do {
            try history.run(stepCount: 60 + Int(seed % 4) * 20)
            return nil
        } catch {
            return ("\(error)", history.trace)
        }
    }

    @Test("random histories agree with the model", arguments: 0..<groupCount)
    func histories(group: Int) {
        if let seed = Self.single {
            guard group == 0 else { return }
            if let failed = Self.run(seed, isTracing: true, isPrinting: true) {
                Issue.record("history \(seed): \(failed.failure)")
            }
            return
        }
        for index in 0..<Self.historiesInGroup {
            let seed = Self.offset + UInt64(group * Self.historiesInGroup + index)
            if Self.isVerbose { print("history \(seed)") }
            guard let failed = Self.run(seed, isTracing: false, isPrinting: false) else { continue }
            guard let again = Self.run(seed, isTracing: true, isPrinting: false) else {
                Issue.record("history \(seed): \(failed.failure), but not again: it depends on more than its seed")
                continue
            }
            let tail = again.trace.suffix(12).joined(separator: "\n  ")
            let report: Comment = "history \(seed): \(again.failure)\n  \(tail)\nAPUS_SEED=\(seed) prints all of it"
            Issue.record(report)
        }
    }
}
