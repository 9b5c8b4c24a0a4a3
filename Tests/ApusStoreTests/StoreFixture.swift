// A store on a simulated machine, whose crashes and clock a test controls.

import Apus
import ApusSimulation
import ApusStore

final class StoreFixture {
    static let directory = "/store"

    var machine: Simulation
    var options = Options(memoryBudget: 1 << 20)

    init(seed: UInt64 = 1) {
        machine = Simulation(seed: seed)
    }

    func open() throws -> Store {
        try Store.open(at: Self.directory, options: options, environment: machine.environment)
    }

    /// Lets that much time pass.
    func advance(milliseconds: UInt64) {
        machine.clock.advance(nanoseconds: milliseconds * 1_000_000)
    }
}
