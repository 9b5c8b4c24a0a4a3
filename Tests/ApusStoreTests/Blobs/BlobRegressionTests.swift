// Mistakes that collections of blobs have made once.

import Apus
import ApusIO
import ApusSimulation
import Testing

@testable import ApusStore

@Suite struct BlobRegressionTests {
    /// A put that found its content there already returned at once, however lately that had been written without waiting
    /// for the disk.
    @Test(arguments: [100, 5000], [false, true])
    func durablePutsOfRelaxedBlobsAreDurable(byteCount: Int, inTransaction: Bool) throws {
        for seed in 1...2 as ClosedRange<UInt64> {
            let fixture = StoreFixture(seed: seed)
            var random = TestRandom(seed: seed)
            let content = random.bytes(byteCount)
            do {
                let store = try fixture.open()
                let blobs = try fixture.blobs(in: store)
                try blobs.put(content, durability: .relaxed)
                if inTransaction {
                    try store.transaction(durability: .durable) { _ = try blobs.put(content, in: $0) }
                } else {
                    try blobs.put(content, durability: .durable)
                }
                fixture.crash(store)
            }
            let store = try fixture.open()
            let blobs = try fixture.blobs(in: store)
            #expect(try blobs.get(BlobID(of: content)) == content, "seed \(seed)")
            #expect(try blobs.statistics().blobs == 1)
            #expect(try store.verify().isSound)
            try store.close()
        }
    }

    /// The bytes of the file were synchronized, its name was not.
    @Test func writtenFilesSurvivePowerLoss() throws {
        for seed in 1...5 as ClosedRange<UInt64> {
            let fixture = StoreFixture(seed: seed)
            let store = try fixture.open()
            let blobs = try fixture.blobs(in: store)
            let id = try blobs.put([UInt8](repeating: 1, count: 3000))
            try blobs.get(id, toFileAt: "/out")
            fixture.crash(store)
            #expect(try fixture.machine.disk.status(of: "/out")?.byteCount == 3000, "seed \(seed)")
        }
    }

    /// Another store on the same database collected the garbage: the first one's put went on, and its blob had holes.
    @Test func putsNoticeThatAnotherStoreReclaimedThem() throws {
        let store = try StoreFixture().open()
        let other = try Store(store.database)
        let chunker = ContentChunker(minimum: 64, normalBits: 8, maximum: 1024)
        let blobs = try store.blobs("b", gracePeriod: .zero, chunker: chunker)
        var random = TestRandom(seed: 3)
        for isAtTheEnd in [false, true] {
            let writer = blobs.makeWriter()
            try writer.write(random.bytes(30_000))
            #expect(
                try other.blobs("b", gracePeriod: .zero, chunker: chunker).collectGarbage().incomplete == 1)
            let error = #expect(throws: StoreError.self) {
                if isAtTheEnd { _ = try writer.finish() } else { try writer.write(random.bytes(60_000)) }
            }
            #expect(error?.kind == .notFound)
            #expect(try blobs.statistics() == BlobStatistics())
            #expect(try store.verify().problems == [])
        }
        try store.close()
    }

    /// Sizes that no content has were turned into integers that do not hold them.
    @Test func absurdSizesAreDamage() throws {
        let store = try StoreFixture().open()
        let blobs = try StoreFixture().blobs(in: store, gracePeriod: .zero)
        let id = BlobID(of: "x")
        for byteCount in [UInt64.max, 1 << 63, 1 << 57] {
            let record = BlobRecord(layout: .chunked(list: 1), byteCount: byteCount, putAt: 0)
            try blobs.index.put(BlobIndexKey.record(id), record.encoded)
            #expect(throws: StoreError.self) { try blobs.retain(id) }
            #expect(throws: StoreError.self) { try blobs.get(id) }
            #expect(throws: StoreError.self) { try blobs.stat(id) }
            try blobs.collectGarbage()
            #expect(try !store.verify().isSound)
        }
        let record = BlobRecord(layout: .chunked(list: 1), byteCount: 1 << 56, putAt: 0)
        try blobs.index.put(BlobIndexKey.record(id), record.encoded)
        let entry = ChunkEntry(address: ChunkAddress(high: 1, low: 1), byteCount: 1 << 20, storedByteCount: 5)
        try blobs.index.put(BlobIndexKey.page(1, offset: .max), BlobPage.encode([entry]))
        try blobs.index.put(BlobIndexKey.references(id), [UInt8](repeating: 0xFF, count: 7) + [0x7F])
        #expect(throws: StoreError.self) { try blobs.get(id) }
        #expect(throws: StoreError.self) { try blobs.get(id, 5..<10) }
        #expect(try !store.verify().isSound)
        var large = entry
        large.storedByteCount = .max
        #expect(BlobPage.encode([large]).withUnsafeBytes { BlobPage.decode($0) } == nil)
        try store.close()
    }
}
