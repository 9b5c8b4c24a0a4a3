// Searches beside writers, on real threads and a real disk: nobody waits, nothing false is found.

import Apus
import ApusStore
import Foundation
import Testing

@Suite struct VectorConcurrencyTests {
    @Test func searchesBesideWritersFindOnlyWhatIsThere() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).apus").path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let store = try Store.open(at: directory, options: Options(memoryBudget: 8 << 20, durability: .relaxed))
        let vectors = try await store.vectors("v", dimension: 8, metric: .l2)
        // Every vector of key n is (n, round, 0, …), so that a result tells whether it was ever written.
        try await vectors.upsert((0..<700).map { VectorItem("\($0)", [Float($0), 0, 0, 0, 0, 0, 0, 0]) })
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<2 {
                group.addTask {
                    for round in 1..<60 {
                        let items = (0..<10).map { offset in
                            let number = (round * 37 + offset * 11 + writer * 350) % 700
                            return VectorItem("\(number)", [Float(number), Float(round % 2), 0, 0, 0, 0, 0, 0])
                        }
                        try await vectors.upsert(items)
                    }
                }
            }
            for searcher in 0..<2 {
                group.addTask {
                    for round in 0..<150 {
                        let number = (round * 13 + searcher * 400) % 700
                        let query: [Float] = [Float(number), 0, 0, 0, 0, 0, 0, 0]
                        let matches = try await vectors.search(query, count: 5)
                        // No key is ever without a vector, so all five are found, each once, at one of its two places.
                        #expect(matches.count == 5 && Set(matches.map(\.name)).count == 5)
                        for match in matches {
                            let offset = Float(Int(match.name)! - number)
                            let distance = match.distance - offset * offset
                            #expect(distance == 0 || distance == 1)
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try vectors.count(in: store) == 700 && vectors.statistics.indexedCount == 700)
        let report = try await store.verify()
        #expect(report.isSound)
        try store.close()
    }
}
