// The whole engine against the model of the tests: an input is a history of operations, faults and crashes on a
// simulated machine.

@testable import Apus

extension FuzzTarget {
    static let engine = FuzzTarget(
        name: "engine",
        summary: "histories of every operation, with crashes, against the model",
        maximumByteCount: 1200,
        run: { bytes in
            let input = [UInt8](bytes)
            let seed = UInt64(CRC32C.checksum(bytes))
            // About so many operations as the input decides.
            let steps = Array(0..<(4 + bytes.count / 12))
            do {
                TestRandom.begin(input)
                try History(seed: seed, isTracing: false).run(steps: steps)
            } catch {
                TestRandom.begin(input)
                let again = History(seed: seed, isTracing: true)
                try? again.run(steps: steps)
                violated("\(error)\n  " + again.trace.suffix(60).joined(separator: "\n  "))
            }
        },
        seeds: {
            Dictionary(
                uniqueKeysWithValues: (0..<24).map { index in
                    TestRandom.begin([])
                    var random = TestRandom(seed: UInt64(index))
                    return ("\(index)", random.bytes(100 + 30 * index))
                }
            )
        }
    )
}
