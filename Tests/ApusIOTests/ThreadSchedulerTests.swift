// Jobs run once, on their lane's threads, delayed ones not early; shutting down waits for what runs and drops the rest.

import ApusIO
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct ThreadSchedulerTests {
    @Test(arguments: [WorkClass.commit, .flush, .maintenance])
    func jobsOfASingleThreadedLaneRunInOrder(_ workClass: WorkClass) {
        let scheduler = ThreadScheduler()
        let seen = Monitor([Int]())
        for number in 0..<100 {
            scheduler.run(workClass) {
                seen.withLock { $0.append(number) }
                seen.broadcast()
            }
        }
        let order = seen.waitUntil(helping: scheduler) { $0.count == 100 ? $0 : nil }
        #expect(order == Array(0..<100))
        scheduler.shutDown()
    }

    @Test func everyCompactionThreadIsUsed() {
        let scheduler = ThreadScheduler(compactionThreads: 3)
        let running = Monitor(0)
        for _ in 0..<3 {
            scheduler.run(.compaction) {
                running.withLock { $0 += 1 }
                running.broadcast()
                // Ends only if all three run at once.
                running.waitUntil(helping: scheduler) { $0 == 3 ? true : nil }
            }
        }
        running.waitUntil(helping: scheduler) { $0 == 3 ? true : nil }
        scheduler.shutDown()
    }

    @Test func aLongCompactionDelaysNeitherFlushesNorCommits() {
        let scheduler = ThreadScheduler(compactionThreads: 1)
        let finished = Monitor(Set<String>())
        scheduler.run(.compaction) {
            finished.waitUntil(helping: scheduler) { $0.count == 3 ? true : nil }
            finished.withLock { _ = $0.insert("compaction") }
            finished.broadcast()
        }
        for (workClass, name) in [(WorkClass.commit, "commit"), (.flush, "flush"), (.maintenance, "maintenance")] {
            scheduler.run(workClass) {
                finished.withLock { _ = $0.insert(name) }
                finished.broadcast()
            }
        }
        finished.waitUntil(helping: scheduler) { $0.count == 4 ? true : nil }
        scheduler.shutDown()
    }

    @Test func delayedJobsRunInOrderOfTheirTimesAndNotEarly() {
        let scheduler = ThreadScheduler()
        let clock = SystemClock()
        struct Job {
            var earliest: UInt64
            var latest: UInt64
            var delay: UInt64
        }
        var jobs: [Job] = []
        let seen = Monitor([(delay: UInt64, at: UInt64)]())
        for delay: UInt64 in [30_000_000, 10_000_000, 20_000_000, 0] {
            let before = clock.monotonicNanoseconds()
            scheduler.run(.flush, after: delay) {
                seen.withLock { $0.append((delay, clock.monotonicNanoseconds())) }
                seen.broadcast()
            }
            let after = clock.monotonicNanoseconds()
            jobs.append(Job(earliest: before + delay, latest: after + delay, delay: delay))
        }
        scheduler.run(.flush, after: .max) { Issue.record("a job of the far future ran") }
        let all = seen.waitUntil(helping: scheduler) { $0.count == 4 ? $0 : nil }
        let places = all.map(\.delay)
        for job in jobs {
            let place = places.firstIndex(of: job.delay)!
            #expect(all[place].at >= job.earliest)
            // On a slow machine two jobs may have been given to the scheduler further apart than their delays.
            for other in jobs where job.latest < other.earliest {
                #expect(place < places.firstIndex(of: other.delay)!)
            }
        }
        scheduler.shutDown()
    }

    @Test func shuttingDownWaitsForTheRunningJobAndDropsTheRest() {
        let scheduler = ThreadScheduler()
        let started = Monitor(false)
        let finished = Atomic(false)
        let isReleased = Monitor(false)
        scheduler.run(.commit) {
            started.withLock { $0 = true }
            started.broadcast()
            isReleased.waitUntil(helping: scheduler) { $0 ? true : nil }
            finished.store(true, ordering: .sequentiallyConsistent)
        }
        scheduler.run(.commit) { Issue.record("a dropped job ran") }
        scheduler.run(.commit, after: 1) { Issue.record("a dropped delayed job ran") }
        started.waitUntil(helping: scheduler) { $0 ? true : nil }
        // The job goes on only once its successors are dropped, which the release of this object shows.
        scheduler.run(
            .commit,
            Self.job(
                holding: Token {
                    isReleased.withLock { $0 = true }
                    isReleased.broadcast()
                }
            )
        )
        scheduler.shutDown()
        let hasFinished = finished.load(ordering: .sequentiallyConsistent)
        #expect(hasFinished)
        scheduler.shutDown()
        scheduler.run(.commit) { Issue.record("a job ran after the end") }
        scheduler.run(.flush) { Issue.record("a job ran after the end") }
    }

    private static func job(holding token: Token) -> @Sendable () -> Void {
        { Issue.record("a dropped job ran, holding \(token)") }
    }

    @Test func aSchedulerThatWasNeverShutDownEndsByItself() {
        let done = Monitor(false)
        ThreadScheduler().run(.flush) {
            done.withLock { $0 = true }
            done.broadcast()
        }
        // The job may be dropped with the scheduler, or run; neither may hang or crash.
        _ = done.withLock { $0 }
    }

    /// Says when it goes.
    final class Token: Sendable {
        let onRelease: @Sendable () -> Void
        init(_ onRelease: @escaping @Sendable () -> Void) { self.onRelease = onRelease }
        deinit { onRelease() }
    }
}

@Suite struct SystemTests {
    @Test func theMonotonicClockNeverGoesBack() {
        let clock = SystemClock()
        var last = clock.monotonicNanoseconds()
        for _ in 0..<1000 {
            let now = clock.monotonicNanoseconds()
            #expect(now >= last)
            last = now
        }
        clock.sleep(nanoseconds: 1000)
        #expect(clock.monotonicNanoseconds() >= last + 1000)
        #expect(clock.wallMilliseconds() > 1_600_000_000_000)
    }

    @Test func randomNumbersDiffer() {
        let random = SystemRandom()
        #expect(Set((0..<100).map { _ in random.next() }).count == 100)
    }

    @Test func pagesAreZeroAndWritable() throws {
        let byteCount = 8 << 20
        let memory = try #require(PageMemory(byteCount: byteCount))
        #expect(memory.byteCount >= byteCount)
        for offset in stride(from: 0, to: memory.byteCount, by: 4096) {
            #expect(memory.base.load(fromByteOffset: offset, as: UInt64.self) == 0)
            memory.base.storeBytes(of: UInt64(offset), toByteOffset: offset, as: UInt64.self)
        }
        #expect(memory.base.load(fromByteOffset: 4 << 20, as: UInt64.self) == 4 << 20)
    }

    @Test func reservingMoreThanTheAddressSpaceFails() {
        #expect(PageMemory(byteCount: Int.max / 4) == nil)
    }

    @Test func theSystemEnvironmentIsComplete() throws {
        let environment = Environment.system(compactionThreads: 2)
        #expect(try environment.fileSystem.status(of: "/")?.isDirectory == true)
        #expect(!environment.scheduler.help())
        environment.scheduler.shutDown()
    }
}
