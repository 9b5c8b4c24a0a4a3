// The example of the documentation's page on blobs, run as it is printed there. TidyTests holds the two together.

import Apus
import ApusStore
import Foundation
import Testing

@Suite struct BlobsExampleTests {
    @Test func exampleDoesWhatThePageSays() throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).apus").path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        // Example begins
        let store = try Store.open(at: directory)
        let blobs = try store.blobs()
        let mail = try store.database.keyspace("mail")

        let photo = try blobs.put([UInt8](repeating: 7, count: 1_000_000))
        try store.transaction { transaction in  // whoever refers to a blob says so in the same commit
            transaction.put("mail/1", photo, in: mail)
            try blobs.retain(photo, in: transaction)
        }

        let writer = blobs.makeWriter()  // any size, in bounded memory
        for line in 1...100_000 { try writer.write("line \(line)\n") }
        let log = try writer.finish()

        let middle = try blobs.get(log, 500_000..<500_100)  // reads one chunk
        var byteCount = 0
        try blobs.read(log) { piece in  // one chunk in memory at a time
            byteCount += piece.byteCount
            return .next
        }

        try store.transaction { transaction in
            transaction.delete("mail/1", in: mail)
            try blobs.release(photo, in: transaction)
        }
        let garbage = try blobs.collectGarbage()  // both blobs are younger than the grace period
        let statistics = try blobs.statistics()
        print(statistics.compressionRatio, statistics.deduplicationRatio)
        try store.close()
        // Example ends
        #expect(middle?.count == 100 && byteCount == 1_088_895)
        #expect(garbage.blobs == 0 && statistics.blobs == 2 && statistics.deduplicationRatio > 1)
    }
}
