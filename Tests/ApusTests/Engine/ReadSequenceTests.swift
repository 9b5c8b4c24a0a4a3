// What layers above the engine learn of the moments at which somebody reads.

import Apus
import ApusSimulation
import Testing

@Suite struct ReadSequenceTests {
    @Test func theOldestReaderIsKnown() throws {
        let database = try Database.open(at: "/db", environment: .simulated(seed: 1))
        let keyspace = try database.keyspace("k")
        try keyspace.put("a", "1")
        #expect(database.sequence == 1 && database.oldestReadSequence == 1)
        let first = try database.snapshot()
        try keyspace.put("b", "2")
        let second = try database.snapshot()
        try keyspace.put("c", "3")
        #expect(first.sequence == 1 && second.sequence == 2 && database.sequence == 3)
        #expect(database.oldestReadSequence == 1)
        first.release()
        #expect(database.oldestReadSequence == 2)
        try database.transaction { transaction in
            #expect(transaction.sequence == 3)
            try keyspace.put("d", "4")
            second.release()
            #expect(database.oldestReadSequence == 3, "the transaction reads there")
        }
        #expect(database.oldestReadSequence == database.sequence && database.sequence == 4)
        try database.close()
    }
}
