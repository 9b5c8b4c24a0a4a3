// The figures of a database agree with each other and with what was done to it.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite struct StatisticsTests {
    @Test("amplification per keyspace and level adds up to what was written")
    func amplification() throws {
        let fixture = EngineFixture(seed: 1)
        let database = try fixture.open()
        let keyspace = try database.keyspace("a", options: KeyspaceOptions(compression: .none))
        let idle = try database.keyspace("b")
        for number in 0..<600 {
            let value = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 100)
            if number % 3 == 0 {
                try keyspace.put("key \(number % 100)", value)
            } else {
                try database.write { batch in batch.put("key \(number % 100)", value, in: keyspace) }
            }
            fixture.machine.scheduler.runAll()
        }
        try database.flush()
        try database.compact()
        let statistics = database.statistics
        let figures = try #require(statistics.keyspaces.first { $0.name == "a" })
        let userBytes = (0..<600).reduce(0) { $0 + "key \($1 % 100)".utf8.count + 100 }
        #expect(figures.userBytesWritten == UInt64(userBytes))
        #expect(statistics.userBytesWritten == UInt64(userBytes))
        let written = figures.levels.reduce(0) { $0 + $1.bytesWritten }
        #expect(written == statistics.flushedBytes + statistics.compactionBytesWritten)
        #expect(figures.levels[0].bytesWritten == statistics.flushedBytes)
        #expect(figures.levels.last!.bytesWritten >= figures.levels.last!.byteCount)
        #expect(figures.writeAmplification == statistics.writeAmplification)
        #expect(figures.writeAmplification > 2)
        let byLevel = figures.levels.reduce(0.0) { $0 + $1.writeAmplification }
        #expect(abs(byLevel + 1 - figures.writeAmplification) < 1e-9)
        // Compacted, everything is in the last level.
        #expect(figures.levels.last!.spaceAmplification == 1)
        let other = try #require(statistics.keyspaces.first { $0.name == idle.name })
        #expect(other.writeAmplification == 0)
        #expect(other.levels.allSatisfy { $0.bytesWritten == 0 })
    }

    @Test("the histogram of syncs counts every one of them")
    func syncs() throws {
        let fixture = EngineFixture(seed: 2, writeBufferByteCount: 1 << 20)
        let database = try fixture.open()
        let keyspace = try database.keyspace("a")
        fixture.disk.inject(
            Fault(.delay(nanoseconds: 3_000_000), on: [.synchronize], times: 5) { $0.path.hasSuffix(".log") })
        for number in 0..<20 { try keyspace.put("key \(number)", "value", durability: .durable) }
        let statistics = database.statistics
        let latency = statistics.syncLatency
        #expect(latency.histogram.reduce(0) { $0 + $1.count } == statistics.syncs)
        #expect(latency.histogram.map(\.bound) == latency.histogram.map(\.bound).sorted())
        #expect(latency.histogram.last { $0.bound >= .milliseconds(3) }?.count == 5)
        #expect(latency.maximum >= .milliseconds(3))
    }
}
