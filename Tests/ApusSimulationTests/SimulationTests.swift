// Time, background work and randomness follow from the seed.

import ApusIO
import ApusSimulation
import Testing

@Suite struct SimulationTests {
    /// Collects what jobs report.
    final class Journal: Sendable {
        private let state = Monitor([String]())
        var entries: [String] { state.withLock { $0 } }
        func add(_ entry: String) { state.withLock { $0.append(entry) } }
    }

    private func scheduler(seed: UInt64 = 1) -> (SimulatedScheduler, SimulatedClock, Journal) {
        let clock = SimulatedClock()
        return (SimulatedScheduler(seed: seed, clock: clock), clock, Journal())
    }

    @Test func theSeedDecidesTheOrderOfJobs() {
        func order(_ seed: UInt64) -> [String] {
            let (scheduler, _, journal) = scheduler(seed: seed)
            for number in 0..<6 { scheduler.run(.compaction) { journal.add("\(number)") } }
            scheduler.runAll()
            return journal.entries
        }
        #expect(order(1) == order(1))
        #expect(order(1).sorted() == ["0", "1", "2", "3", "4", "5"])
        #expect(Set((0..<20).map { order($0) }).count > 10)
    }

    @Test func jobsWaitForTheirTime() {
        let (scheduler, clock, journal) = scheduler()
        scheduler.run(.commit, after: 20) { journal.add("late at \(clock.monotonicNanoseconds())") }
        scheduler.run(.commit, after: 10) {
            journal.add("early at \(clock.monotonicNanoseconds())")
            scheduler.run(.commit, after: 5) { journal.add("again at \(clock.monotonicNanoseconds())") }
        }
        scheduler.run(.commit, after: 1000) { journal.add("never") }
        #expect(!scheduler.runOne())
        scheduler.runAll(for: 100)
        #expect(journal.entries == ["early at 10", "again at 15", "late at 20"])
        #expect(clock.monotonicNanoseconds() == 100)
        #expect(scheduler.pendingCount == 1)
    }

    @Test func aWaitRunsTheWorkItWaitsFor() {
        let (scheduler, clock, _) = scheduler()
        let state = Monitor(0)
        scheduler.run(.flush) { state.withLock { $0 += 1 } }
        scheduler.run(.commit, after: 50) { state.withLock { $0 += 1 } }
        let seen = state.waitUntil(helping: scheduler) { $0 == 2 ? $0 : nil }
        #expect(seen == 2)
        #expect(clock.monotonicNanoseconds() == 50)
    }

    @Test func aJobThatWaitsLetsOtherClassesRun() {
        let (scheduler, _, journal) = scheduler()
        let isFlushed = Monitor(false)
        scheduler.run(.commit) {
            scheduler.run(.commit) { journal.add("next commit") }
            scheduler.run(.flush) {
                isFlushed.withLock { $0 = true }
                journal.add("flush")
            }
            isFlushed.waitUntil(helping: scheduler) { $0 ? true : nil }
            journal.add("commit")
        }
        scheduler.runAll()
        #expect(journal.entries == ["flush", "commit", "next commit"])
    }

    @Test func aDeadlockStopsTheProcess() async {
        await #expect(processExitsWith: .failure) {
            let scheduler = SimulatedScheduler(seed: 1, clock: SimulatedClock())
            Monitor(false).waitUntil(helping: scheduler) { $0 ? true : nil }
        }
    }

    @Test func shuttingDownDropsPendingWork() {
        let (scheduler, _, journal) = scheduler()
        scheduler.run(.commit) { journal.add("dropped") }
        scheduler.shutDown()
        scheduler.shutDown()
        scheduler.run(.commit) { journal.add("too late") }
        scheduler.runAll()
        #expect(journal.entries == [])
        #expect(scheduler.pendingCount == 0)
    }

    @Test func timePassesWhenTold() {
        let clock = SimulatedClock(wallMilliseconds: 1000)
        clock.sleep(nanoseconds: 600_000)
        #expect(clock.wallMilliseconds() == 1000)
        clock.advance(nanoseconds: 500_000)
        #expect(clock.wallMilliseconds() == 1001)
        clock.setWall(milliseconds: 5)
        #expect(clock.wallMilliseconds() == 5)
        #expect(clock.monotonicNanoseconds() == 1_100_000)
    }

    @Test func randomNumbersFollowFromTheSeed() {
        func numbers(_ seed: UInt64) -> [UInt64] {
            let random = SeededRandom(seed: seed)
            return (0..<5).map { _ in random.next() }
        }
        #expect(numbers(0) == numbers(0))
        #expect(numbers(0) != numbers(1))
        // The published first numbers of xoshiro256** after SplitMix64 with seed 0.
        #expect(numbers(0).prefix(2) == [0x99EC_5F36_CB75_F2B4, 0xBF6E_1F78_4956_452A])
    }

    @Test func aMachineRunsOnAfterACrash() throws {
        var machine = Simulation(seed: 42)
        let before = machine.environment
        before.scheduler.run(.commit) { Issue.record("work outlived the crash") }
        _ = try before.fileSystem.open("/a", .create)
        machine.crash(.dropAll)
        machine.scheduler.runAll()
        before.scheduler.run(.commit) { Issue.record("the dead process went on") }
        #expect(try machine.environment.fileSystem.list("/") == [])
        let journal = Journal()
        machine.environment.scheduler.run(.commit) { journal.add("new") }
        machine.scheduler.runAll()
        #expect(journal.entries == ["new"])
        machine.restart()
        #expect(machine.scheduler.pendingCount == 0)
        #expect(Environment.simulated(seed: 1).random.next() == Environment.simulated(seed: 1).random.next())
    }
}
