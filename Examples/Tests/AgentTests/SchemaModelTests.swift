// The agent's schema against SQLite's: the same random operations, printed seeds.

import ApusStore
import Testing

@testable import agent

@Suite struct SchemaModelTests {
    @Test(arguments: [1, 2, 3] as [UInt64])
    func everyRuleHoldsAsInSQLite(seed: UInt64) throws {
        let history = try SchemaHistory(seed: seed)
        for step in 1...900 {
            try history.step()
            if step % 3 == 0 { try history.compareQuery() }
            if step % 100 == 0 { try history.compareRows() }
        }
        try history.compareRows()
        for violation in [Violation.primaryKey, .unique, .check, .reference] {
            #expect(history.violations[violation, default: 0] > 0, "seed \(seed) broke no \(violation)")
        }
        #expect(history.cascades > 0)
        let report = try history.store.storage.store.verify()
        #expect(report.isSound, "seed \(seed): \(report.problems)")
        let counts = history.violations.map { "\($0.key) \($0.value)" }.sorted().joined(separator: ", ")
        print("seed \(seed): \(counts), cascades \(history.cascades)")
    }

    @Test func whatOthersReferToStays() throws {
        let history = try SchemaHistory(seed: 99)
        let storage = history.store.storage
        let component = try storage.components.insert(Component(path: "a", name: "a", kind: .folder))
        let first = try storage.decide("LSM", because: "writes", about: component)
        let second = try storage.decide("LSM, tiered", because: "more writes", about: component, replacing: first)
        #expect(throws: (any Error).self) { try storage.decisions.delete(first) }
        #expect(try storage.decisions.get(first)?.status == .superseded)
        // With the component both go at once.
        try storage.components.delete(component)
        #expect(try storage.decisions.get(second) == nil && storage.decisions.query().isEmpty())
    }
}
