// Faults that killing real processes has found in the engine, each as the shortest story that shows it.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite("Torture regressions")
struct TortureRegressionTests {
    @Test("a log segment that is prepared while the database closes is not left behind")
    func preparationAfterCloseMakesNoFile() throws {
        let fixture = EngineFixture(seed: 1)
        let database = try fixture.open()
        try database.keyspace("a").put("key", "value")
        // The commit has ordered the next segment, and no thread has come to it yet.
        #expect(fixture.machine.scheduler.pendingCount > 0)
        try database.close()
        fixture.machine.scheduler.runAll()
        let logs = try fixture.names().filter { $0.hasSuffix(".log") }
        #expect(logs.isEmpty, "\(logs)")
    }
}
