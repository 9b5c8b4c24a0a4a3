// The asynchronous forms, on the real disk, where threads are real: what a task awaits is what the blocking call does, and
// any number of tasks at once end.

import Apus
import ApusIO
import ApusStore
import Foundation
import Synchronization
import Testing

@Suite struct AsyncTests {
    private func withStore(_ body: (Store) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).apus").path
        let store = try Store.open(at: directory, options: Options(memoryBudget: 8 << 20, durability: .relaxed))
        defer {
            try? store.close()
            try? FileManager.default.removeItem(atPath: directory)
        }
        try await body(store)
    }

    @Test func blobsComeAndGoAsSequences() async throws {
        try await withStore { store in
            let blobs = try await store.blobs()
            var random = TestRandom(seed: 1)
            let content = random.bytes(3_000_000)
            let pieces = AsyncStream<[UInt8]> { continuation in
                for start in stride(from: 0, to: content.count, by: 70_001) {
                    continuation.yield(Array(content[start..<min(start + 70_001, content.count)]))
                }
                continuation.finish()
            }
            let id = try await blobs.put(contentsOf: pieces)
            #expect(id == BlobID(of: content))
            var read: [UInt8] = []
            for try await piece in blobs.pieces(of: id) { read += piece }
            #expect(read == content)
            var part: [UInt8] = []
            for try await piece in blobs.pieces(of: id, 5..<2_000_000) { part += piece }
            #expect(part == Array(content[5..<2_000_000]))
            #expect(try await blobs.get(id) == content)
            #expect(try await blobs.get(id, 10..<20) == Array(content[10..<20]))
            try await blobs.verify(id)
            try await blobs.retain(id)
            #expect(try await blobs.stat(id)?.references == 1)
            try await blobs.release(id)
            #expect(try await blobs.contains(id))
            #expect(try await blobs.collectGarbage().blobs == 0)
            #expect(try await blobs.statistics().blobs == 1)
            await #expect(throws: StoreError.self) {
                for try await _ in blobs.pieces(of: BlobID(of: "absent")) {}
            }
            let verification = try await store.verify()
            #expect(verification.isSound, "\(verification.problems)")
        }
    }

    @Test func contentsArriveByteByByte() async throws {
        try await withStore { store in
            let blobs = try await store.blobs()
            var random = TestRandom(seed: 9)
            let content = random.bytes(300_000)
            let bytes = AsyncStream<UInt8> { continuation in
                for byte in content { continuation.yield(byte) }
                continuation.finish()
            }
            let id = try await blobs.put(contentsOf: bytes)
            #expect(id == BlobID(of: content))
            #expect(try await blobs.get(id) == content)
        }
    }

    @Test func aFailedSequencePutsNothing() async throws {
        struct Failure: Error {}
        try await withStore { store in
            let blobs = try await store.blobs()
            var random = TestRandom(seed: 2)
            let piece = random.bytes(1_000_000)
            let pieces = AsyncThrowingStream<[UInt8], any Error> { continuation in
                for _ in 0..<8 { continuation.yield(piece) }
                continuation.finish(throwing: Failure())
            }
            await #expect(throws: Failure.self) { try await blobs.put(contentsOf: pieces) }
            #expect(try await blobs.statistics().blobs == 0)
            #expect(try await blobs.collectGarbage().incomplete == 1)
            #expect(try await blobs.statistics().pieces == 0)
        }
    }

    @Test func manyTasksPutTheSameContents() async throws {
        try await withStore { store in
            let blobs = try await store.blobs(gracePeriod: .zero)
            var random = TestRandom(seed: 3)
            let shared = random.bytes(600_000)
            let contents = (0..<8).map { shared[..<400_000] + [UInt8($0)] + shared[400_000...] }.map { Array($0) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for round in 0..<3 {
                    for content in contents {
                        group.addTask {
                            let id = try await store.transaction { transaction in
                                let id = try blobs.put(content, in: transaction)
                                if round == 0 { try blobs.retain(id, in: transaction) }
                                return id
                            }
                            if round == 1 { try await blobs.put(content) }
                            #expect(try await blobs.contains(id) || round > 0)
                        }
                    }
                    group.addTask { try await blobs.collectGarbage() }
                }
                try await group.waitForAll()
            }
            for content in contents { #expect(try await blobs.get(BlobID(of: content)) == content) }
            let statistics = try await blobs.statistics()
            #expect(statistics.blobs == 8 && statistics.pieceBytes < 2_000_000)
            let verification = try await store.verify()
            #expect(verification.isSound, "\(verification.problems)")
        }
    }

    @Test func sessionsWorkFromTasks() async throws {
        try await withStore { store in
            let sessions = try await store.sessions("web")
            let session = try await sessions.create(user: "ada", data: [1])
            #expect(try await sessions.load(session.id, touching: true)?.data == [1])
            #expect(try await sessions.touch(session.id))
            #expect(try await sessions.update(session.id, data: [2]))
            #expect(try await sessions.assign(session.id, to: "ada"))
            #expect(try await sessions.list(of: "ada").map(\.data) == [[2]])
            #expect(try await sessions.recent(limit: 5).count == 1)
            #expect(try await sessions.cache([3], as: "k", for: session.id, lifetime: .seconds(60)))
            #expect(try await sessions.cached("k", for: session.id) == [3])
            try await sessions.removeCached("k", for: session.id)
            try await sessions.setPreference("theme", to: [4], of: "ada")
            #expect(try await sessions.preference("theme", of: "ada") == [4])
            try await sessions.removePreference("theme", of: "ada")
            #expect(try await sessions.preferences(of: "ada").isEmpty)
            #expect(try await sessions.end(session.id))
            #expect(try await sessions.endAll(of: "ada") == 0)
        }
    }

    @Test func vectorsAreFoundFromTasks() async throws {
        try await withStore { store in
            let pages = try await store.vectors("pages", dimension: 3, metric: .l2)
            try await pages.upsert("sea", [0.9, 0.1, 0.2], metadata: ["year": 2021])
            try await pages.upsert([VectorItem("lake", [0.8, 0.3, 0.1]), VectorItem("dune", [0.1, 0.9, 0.3])])
            let before = try store.snapshot()
            #expect(try await pages.delete("sea"))
            #expect(try await pages.search([0.9, 0.1, 0.2], count: 1).map(\.name) == ["lake"])
            #expect(try await pages.search([0.9, 0.1, 0.2], count: 1, in: before).map(\.name) == ["sea"])
            #expect(try await pages.get("sea") == nil)
            #expect(try await pages.get("sea", in: before)?.metadata["year"] == 2021)
            #expect(try await !pages.contains("sea"))
            #expect(try await pages.contains("sea", in: before))
            #expect(try await pages.count() == 2)
            #expect(try await pages.count(in: before) == 3)
            let keys = Mutex<[String]>([])
            try await pages.scanKeys(in: before) { key in
                keys.withLock { $0.append(String(decoding: key, as: UTF8.self)) }
                return .next
            }
            #expect(keys.withLock { $0 } == ["dune", "lake", "sea"])
            #expect(try await pages.measureRecall().recall == 1)
            await #expect(throws: StoreError.self) { _ = try await store.vectors("pages", dimension: 4) }
            #expect(try await store.vectors(named: "pages") === pages)
            #expect(try await store.listCollections().map(\.name) == ["pages"])
        }
    }

    @Test func tasksReadSnapshots() async throws {
        try await withStore { store in
            let blobs = try await store.blobs()
            let sessions = try await store.sessions()
            let blob = try await blobs.put("content")
            let session = try await sessions.create(user: "ada", data: [1])
            try await sessions.setPreference("theme", to: [2], of: "ada")
            try await sessions.cache([3], as: "k", for: session.id, lifetime: .seconds(60))
            let before = try store.snapshot()
            try await blobs.retain(blob)
            try await blobs.put("more")
            try await sessions.end(session.id)
            try await sessions.removePreference("theme", of: "ada")

            #expect(try await blobs.get(blob, in: before) == Array("content".utf8))
            #expect(try await blobs.get(blob, 1..<3, in: before) == Array("on".utf8))
            #expect(try await blobs.contains(blob, in: before))
            #expect(try await blobs.stat(blob, in: before)?.references == 0)
            #expect(try await blobs.statistics(in: before).blobs == 1)
            let counts = Mutex((now: 0, then: 0))
            try await blobs.scan { _, _ in
                counts.withLock { $0.now += 1 }
                return .next
            }
            try await blobs.scan(in: before) { _, _ in
                counts.withLock { $0.then += 1 }
                return .next
            }
            #expect(counts.withLock { $0 == (2, 1) })
            #expect(try await sessions.load(session.id) == nil)
            #expect(try await sessions.load(session.id, in: before)?.data == [1])
            #expect(try await sessions.list(of: "ada", in: before).count == 1)
            #expect(try await sessions.recent(limit: 5, in: before).count == 1)
            #expect(try await sessions.cached("k", for: session.id, in: before) == [3])
            #expect(try await sessions.preference("theme", of: "ada", in: before) == [2])
            #expect(try await sessions.preferences(of: "ada", in: before).count == 1)
            #expect(try await store.listCollections(in: before).count == 2)
            _ = try await store.documents(named: "notes", schema: Schema())
            #expect(try await store.documentCollectionNames() == ["notes"])
            #expect(try await store.dryRunMigration(named: "notes", schema: Schema()).failureCount == 0)
        }
    }
}
