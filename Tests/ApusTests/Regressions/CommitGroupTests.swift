// What a group of commits owes to each of its members, and relaxed commits to those who wait. On the simulated machine
// a group is made by queueing requests before the job that leads them gets its turn.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite("Commits in groups")
struct CommitGroupTests {
    /// Puts "key 0", "key 1", … in one group, and returns what each of the commits was told.
    private func commitTogether(
        _ durabilities: [Durability], in keyspace: Keyspace, _ fixture: EngineFixture
    ) throws -> [Result<Void, ApusError>?] {
        let outcomes = Monitor([Result<Void, ApusError>?](repeating: nil, count: durabilities.count))
        for (number, durability) in durabilities.enumerated() {
            var batch = WriteBatch()
            batch.put("key \(number)", "value", in: keyspace)
            let request = try keyspace.database.request(batch, durability, validate: nil) { outcome in
                outcomes.withLock { $0[number] = outcome }
            }
            keyspace.database.engine.pipeline.enqueue(try #require(request))
        }
        fixture.machine.scheduler.runAll()
        return outcomes.withLock { $0 }
    }

    @Test(
        "a durable commit is durable in whatever company",
        arguments: [[.durable, .relaxed], [.relaxed, .durable], [.relaxed, .durable, .relaxed]] as [[Durability]])
    func mixed(durabilities: [Durability]) throws {
        let fixture = EngineFixture(seed: 1)
        do {
            let database = try fixture.open()
            let keyspace = try database.keyspace("a")
            for outcome in try commitTogether(durabilities, in: keyspace, fixture) { try #require(outcome).get() }
            fixture.disk.inject(Fault(.stop))
            try? database.close()
        }
        fixture.disk.removeFaults()
        fixture.machine.crash(.dropAll)
        let durable = try #require(durabilities.lastIndex(of: .durable))
        #expect(try fixture.open().existingKeyspace("a").count() > durable)
    }

    @Test(
        "when the log fails, every commit of the group learns of it",
        arguments: [IOError.Operation.write, .synchronize])
    func failure(operation: IOError.Operation) throws {
        let fixture = EngineFixture(seed: 2)
        let database = try fixture.open()
        let keyspace = try database.keyspace("a")
        fixture.disk.inject(
            Fault(.fail(ErrorCode.inputOutput), on: [operation]) { $0.path.hasSuffix(".log") })
        let outcomes = try commitTogether([.durable, .durable, .relaxed], in: keyspace, fixture)
        for (number, outcome) in outcomes.enumerated() {
            expectError(.failed, "commit \(number)") { try outcome?.get() }
        }
        #expect(try keyspace.count() == 0)
    }

    @Test("relaxed commits become durable by themselves within the interval, every time")
    func relaxed() throws {
        let fixture = EngineFixture(seed: 3)
        fixture.options.durability = .relaxed
        fixture.options.syncInterval = .milliseconds(300)
        do {
            let database = try fixture.open()
            let keyspace = try database.keyspace("a")
            for number in 0..<4 {
                try keyspace.put("key \(number)", "value")
                fixture.machine.scheduler.runAll(for: 300_000_000)
            }
            fixture.disk.inject(Fault(.stop))
            try? database.close()
        }
        fixture.disk.removeFaults()
        fixture.machine.crash(.dropAll)
        #expect(try fixture.open().existingKeyspace("a").count() == 4)
    }
}
