// Salvage of a database that was damaged at rest: everything that was not hit comes back, the rest is reported, and
// nothing is made up. APUS_SWEEP=full takes all mutations.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite("Salvage after corruption")
struct CorruptionSalvageTests {
    private func run(_ kind: CorruptionSample.Kind, _ mutations: [CorruptionMutation], _ what: String) throws {
        let sample = try CorruptionSample(kind)
        let regions = try sample.regions()
        var (complete, incomplete, failed) = (0, 0, 0)
        for (number, mutation) in mutations.enumerated() {
            do {
                let isComplete = try sample.checkSalvage(mutation, regions, target: "/salvaged-\(number)")
                if isComplete { complete += 1 } else { incomplete += 1 }
            } catch {
                failed += 1
                let report: Comment = "\(kind.testDescription), \(mutation.what): \(error)"
                if failed < 6 { Issue.record(report) }
            }
        }
        #expect(incomplete > complete)
        if isFullSweep {
            print(
                "salvage: \(what), \(kind.testDescription): \(mutations.count) databases: \(incomplete) with losses,"
                    + " \(complete) complete, \(failed) failed")
        }
    }

    @Test("after the mutations of the corruption tests", arguments: CorruptionSample.Kind.all)
    func mutations(_ kind: CorruptionSample.Kind) throws {
        let sample = try CorruptionSample(kind)
        let count: UInt64 = isFullSweep ? 10_002 / 6 : 30
        try run(
            kind,
            (0..<count).map { seed in
                var random = TestRandom(seed: seed)
                return CorruptionMutation.random(sample, &random)
            }, "mutations")
    }

    @Test("after a changed byte", arguments: CorruptionSample.Kind.all)
    func bytes(_ kind: CorruptionSample.Kind) throws {
        let sample = try CorruptionSample(kind)
        var mutations: [CorruptionMutation] = []
        for (index, name) in sample.files.keys.sorted().enumerated() {
            let bytes = sample.files[name]!
            let used = (bytes.lastIndex { $0 != 0 } ?? 0) + 1
            let step = isFullSweep ? 3 : 211
            for position in Swift.stride(from: index * 5 % step, to: used, by: step) {
                var changed = bytes
                changed[position] ^= 1 << UInt8(position % 8)
                mutations.append(CorruptionMutation(what: "\(name), byte \(position)", change: [name: changed]))
            }
        }
        try run(kind, mutations, "bytes")
    }
}
