// A whole simulated machine: disk, clock, background work and randomness from one seed.

import ApusIO

/// Everything a database needs of the outside world, simulated, so that one seed is one history.
///
/// ```swift
/// var machine = Simulation(seed: 7)
/// let database = try Database.open(at: "/db", environment: machine.environment)
/// …
/// machine.crash(.anyNames)             // then open it again with `machine.environment`
/// ```
public struct Simulation: Sendable {
    public let disk: SimulatedDisk
    public let clock: SimulatedClock
    public let random: SeededRandom
    /// Replaced by every crash and restart: pending work dies with the process.
    public private(set) var scheduler: SimulatedScheduler

    public init(seed: UInt64) {
        // Each part has numbers of its own: one more call to the disk must not change the order of background work.
        var seeds = SeededGenerator(seed: seed)
        clock = SimulatedClock()
        disk = SimulatedDisk(seed: seeds.next(), clock: clock)
        scheduler = SimulatedScheduler(seed: seeds.next(), clock: clock)
        random = SeededRandom(seed: seeds.next())
    }

    public var environment: Environment {
        Environment(fileSystem: disk, clock: clock, scheduler: scheduler, random: random)
    }

    /// Cuts the power. Everything of the old process must be let go; it gets errors if it goes on.
    public mutating func crash(_ mode: CrashMode = .anyNames) {
        disk.crash(mode)
        replaceScheduler()
    }

    /// Kills the process and keeps what it wrote; also the way on after a clean end.
    public mutating func restart() {
        disk.restart()
        replaceScheduler()
    }

    private mutating func replaceScheduler() {
        // The disk is dead to the old process already, so jobs that release objects reach nothing.
        scheduler.shutDown()
        scheduler = SimulatedScheduler(seed: random.next(), clock: clock)
    }
}

extension Environment {
    /// A simulated machine of its own; use `Simulation` to get at its parts.
    public static func simulated(seed: UInt64) -> Environment {
        Simulation(seed: seed).environment
    }
}
