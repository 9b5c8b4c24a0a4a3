// Reading the log back: torn tails, sealed segments, the chain, stale frames of reused segments.

import ApusIO
import Testing

@testable import Apus

@Suite struct LogReplayTests {
    @Test func returnsEveryBatchInOrderAcrossSegments() throws {
        let disk = LogTestFileSystem()
        let database = try LogTestDatabase.open(disk)
        for sequence in 1...300 { try database.commit(UInt64(sequence), sequence % 97, isDurable: sequence % 3 == 0) }
        try database.logs.synchronize()
        let (_, replayed) = try #require(try LogTestDatabase.read(disk))
        #expect(replayed.sequences == Array(1...300))
        #expect(replayed.batches.allSatisfy { $0.1 == LogTestDatabase.batch($0.0.rawValue, Int($0.0.rawValue) % 97) })
        #expect(database.logs.segments.count > 3)
        #expect(replayed.result.lastSequence == SequenceNumber(300))
        #expect(replayed.result.discardedByteCount == 0)
    }
}
