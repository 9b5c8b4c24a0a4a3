// Random histories of a collection of vectors against a dictionary and brute force, on a simulated machine that crashes.

import Testing

@testable import ApusStore

@Suite struct VectorModelTests {
    /// Seeds of the histories; a failing one is run again by its number.
    @Test(arguments: 1...24 as ClosedRange<UInt64>)
    func collectionsBehaveLikeDictionaries(seed: UInt64) throws {
        do {
            let history = try VectorHistory(seed: seed)
            try history.run(stepCount: 120)
        } catch {
            Issue.record("seed \(seed): \(error)")
        }
    }
}
