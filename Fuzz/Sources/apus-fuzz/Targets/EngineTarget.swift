// The whole engine against the model of the tests: an input is a history of operations, faults and crashes on a
// simulated machine.

@testable import Apus

extension FuzzTarget {
    static let engine = FuzzTarget(
        name: "engine",
        summary: "histories of every operation, with crashes, against the model",
        maximumByteCount: 1200,
        run: { bytes in
            TestRandom.input = [UInt8](bytes)
            let seed = UInt64(CRC32C.checksum(bytes))
            // About so many operations as the input decides.
            let stepCount = 4 + bytes.count / 12
            do {
                try History(seed: seed, isTracing: false).run(stepCount: stepCount)
            } catch {
                let again = History(seed: seed, isTracing: true)
                try? again.run(stepCount: stepCount)
                violated("\(error)\n  " + again.trace.suffix(60).joined(separator: "\n  "))
            }
        },
        seeds: {
            Dictionary(
                uniqueKeysWithValues: (0..<24).map { index in
                    TestRandom.input = []
                    var random = TestRandom(seed: UInt64(index))
                    return ("\(index)", random.bytes(100 + 30 * index))
                }
            )
        }
    )
}
