// The example of the documentation's page on vectors, run as it is printed there. TidyTests holds the two together.

import Apus
import ApusStore
import Foundation
import Testing

@Suite struct VectorsExampleTests {
    @Test func exampleDoesWhatThePageSays() throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).apus").path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        // Example begins
        let store = try Store.open(at: directory)
        let pages = try store.vectors("pages", dimension: 3, metric: .cosine)

        try pages.upsert("sea", [0.9, 0.1, 0.2], metadata: ["year": 2021, "labels": ["water", "salt"]])
        try pages.upsert("lake", [0.8, 0.3, 0.1], metadata: ["year": 2024, "labels": ["water"]])
        try store.transaction { transaction in  // with other collections, all of it or nothing
            try pages.upsert("dune", [0.1, 0.9, 0.3], metadata: ["year": 2024], in: transaction)
            try pages.delete("sea", in: transaction)
        }

        for match in try pages.search([1, 0.2, 0.2], count: 2) {
            print(match.name, match.distance)  // lake, then dune
        }
        let recent = VectorFilter.greater("year", 2022) && .contains("labels", "water")
        let found = try pages.search([0, 1, 0], count: 5, filter: recent)  // lake alone
        let sure = try pages.search([0, 1, 0], count: 1, effort: .exact)  // dune
        let recall = try pages.measureRecall(effort: .approximate(width: 64)).recall
        try store.close()
        // Example ends
        #expect(found.map(\.name) == ["lake"] && sure.map(\.name) == ["dune"])
        #expect(recall == 1)
    }
}
