// The example of the README, run as it is printed there. TidyTests holds the two together.

import Apus
import Foundation
import Testing

@Suite struct ReadmeExampleTests {
    @Test func exampleDoesWhatTheReadmeSays() throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).apus").path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        // README begins
        let db = try Database.open(at: directory)
        let users = try db.keyspace("users")
        let visits = try db.keyspace("visits", options: KeyspaceOptions(mergeOperator: .add))

        try users.put("ada", "Lovelace")  // durable when the call returns
        let name = try users.get("ada").map { String(decoding: $0, as: UTF8.self) }

        try db.write { batch in  // all of it or nothing, across keyspaces
            batch.put("grace", "Hopper", in: users)
            batch.merge("grace", 1, in: visits)
            batch.delete("ada", in: users)
        }

        let snapshot = try db.snapshot()  // the whole database at this moment
        try db.transaction { transaction in  // serializable, retried on conflict
            let count = try transaction.get("grace", in: visits) ?? []
            transaction.put("grace/visits", count, in: users)
        }
        for entry in try snapshot.entries(.prefix("g"), in: users) {
            print(String(decoding: entry.key, as: UTF8.self))  // grace
        }
        try db.close()
        // README ends
        #expect(name == "Lovelace")
        #expect(try snapshotKeys(directory) == ["grace", "grace/visits"])
    }

    /// What the example has left behind.
    private func snapshotKeys(_ directory: String) throws -> [String] {
        let db = try Database.open(at: directory)
        defer { try? db.close() }
        return try db.keyspace("users").entries().map { String(decoding: $0.key, as: UTF8.self) }
    }
}
