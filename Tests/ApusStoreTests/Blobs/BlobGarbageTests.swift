// Reclaiming: what nothing refers to goes, when its grace period is over; nothing else does, whatever runs beside it and
// whenever the power fails.

import Apus
import Testing

@testable import ApusStore

@Suite struct BlobGarbageTests {
    @Test func unreferencedBlobsGoWhenTheirGracePeriodIsOver() throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let blobs = try fixture.blobs(in: store, gracePeriod: .seconds(100))
        var random = TestRandom(seed: 31)
        let contents = [random.bytes(100), random.bytes(9000), random.bytes(100), random.bytes(9000)]
        let ids = try contents.map { try blobs.put($0) }
        for id in ids[2...] { try blobs.retain(id) }
        fixture.advance(milliseconds: 100_000)
        #expect(try blobs.collectGarbage() == BlobGarbage())
        fixture.advance(milliseconds: 25_000)
        // Putting it again counts as putting it.
        try blobs.put(contents[0])
        let garbage = try blobs.collectGarbage()
        #expect(garbage.blobs == 1 && garbage.incomplete == 0 && garbage.pieces > 10 && garbage.storedBytes >= 9000)
        #expect(try ids.map { try blobs.contains($0) } == [true, false, true, true])
        #expect(try blobs.get(ids[3]) == contents[3])
        for id in ids[2...] { try blobs.release(id) }
        fixture.advance(milliseconds: 125_000)
        #expect(try blobs.collectGarbage().blobs == 3)
        #expect(try blobs.statistics() == BlobStatistics())
        #expect(try blobs.content.count() == 0)
        #expect(try store.verify().problems == [])
        try store.close()
    }

    @Test func sharedChunksStayWithWhoeverUsesThem() throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let blobs = try fixture.blobs(in: store, gracePeriod: .zero)
        var random = TestRandom(seed: 32)
        let content = random.bytes(20_000)
        let edited = content[..<5000] + [1, 2, 3] + content[5000...]
        let old = try blobs.put(content)
        let new = try blobs.put(edited)
        try blobs.retain(new)
        try blobs.collectGarbage()
        #expect(try !blobs.contains(old) && blobs.get(new) == Array(edited))
        #expect(try blobs.statistics().pieceBytes == edited.count)
        #expect(try store.verify().problems == [])
        try store.close()
    }

    @Test func putsThatAreUnderWayLoseNothing() throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let blobs = try fixture.blobs(in: store, gracePeriod: .zero)
        var random = TestRandom(seed: 33)
        let content = random.bytes(100_000)
        let shared = try blobs.put(content[..<30_000])
        let writer = blobs.makeWriter()
        for start in stride(from: 0, to: content.count, by: 10_000) {
            try writer.write(content[start..<start + 10_000])
            try blobs.collectGarbage()
        }
        let id = try writer.finish()
        #expect(try blobs.get(id) == content && !blobs.contains(shared))
        #expect(try store.verify().problems == [])
        try blobs.collectGarbage()
        #expect(try blobs.statistics() == BlobStatistics())
        try store.close()
    }

    @Test func abandonedPutsAreReclaimed() throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let blobs = try fixture.blobs(in: store)
        var random = TestRandom(seed: 34)
        let content = random.bytes(60_000)
        for isDropped in [true, false] {
            var writer: BlobWriter? = blobs.makeWriter()
            try writer?.write(content)
            #expect(try blobs.collectGarbage().incomplete == 0)
            #expect(try blobs.statistics().pieces > 50 && blobs.statistics().blobs == 0)
            if isDropped { writer = nil } else { writer?.cancel() }
            #expect(try blobs.collectGarbage().incomplete == 1)
            #expect(try blobs.statistics() == BlobStatistics())
            #expect(try store.verify().problems == [])
            withExtendedLifetime(writer) {}
        }
        try store.close()
    }

    @Test func crashedPutsAreReclaimed() throws {
        let fixture = StoreFixture()
        var random = TestRandom(seed: 35)
        let content = random.bytes(60_000)
        do {
            let store = try fixture.open()
            let blobs = try fixture.blobs(in: store)
            let writer = blobs.makeWriter()
            try writer.write(content)
            try store.database.synchronize()
            fixture.crash(store)
        }
        let store = try fixture.open()
        let blobs = try fixture.blobs(in: store)
        #expect(try blobs.statistics().pieces > 50)
        #expect(try store.verify().problems == [])
        #expect(try blobs.collectGarbage().incomplete == 1)
        #expect(try blobs.statistics() == BlobStatistics())
        #expect(try store.verify().problems == [])
        try store.close()
    }

    @Test func aReferenceThatComesInTimeSavesTheBlob() throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let blobs = try fixture.blobs(in: store, gracePeriod: .zero)
        let id = try blobs.put("wanted")
        var attempts = 0
        // Garbage is collected between the look at the blob and the commit: the transaction has to notice.
        let error = #expect(throws: StoreError.self) {
            try store.transaction { transaction in
                attempts += 1
                try blobs.retain(id, in: transaction)
                if attempts == 1 { try blobs.collectGarbage() }
            }
        }
        #expect(error?.kind == .notFound && attempts == 2)
        #expect(try store.verify().problems == [])
        try blobs.put("wanted")
        try blobs.retain(id)
        try blobs.collectGarbage()
        #expect(try blobs.contains(id))
        try store.close()
    }

    @Test func aPutBesideACollectionKeepsItsChunks() throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let blobs = try fixture.blobs(in: store, gracePeriod: .zero)
        var random = TestRandom(seed: 36)
        let content = random.bytes(8000)
        try blobs.put(content)
        var attempts = 0
        let id = try store.transaction { transaction in
            attempts += 1
            let id = try blobs.put(content + [1], in: transaction)
            if attempts == 1 { try blobs.collectGarbage() }
            return id
        }
        #expect(attempts == 2)
        #expect(try blobs.get(id) == content + [1])
        #expect(try store.verify().problems == [])
        try store.close()
    }

    @Test func aReaderOfASnapshotKeepsWhatItReads() throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let blobs = try fixture.blobs(in: store, gracePeriod: .zero)
        var random = TestRandom(seed: 37)
        let content = random.bytes(9000)
        let id = try blobs.put(content)
        let snapshot = try store.snapshot()
        var read: [UInt8] = []
        try blobs.read(id) { piece in
            if read.isEmpty { try blobs.collectGarbage() }
            piece.withBytes { read.append(contentsOf: $0) }
            return .next
        }
        #expect(read == content)
        #expect(try blobs.get(id) == nil && blobs.get(id, in: snapshot) == content)
        snapshot.release()
        try store.close()
    }
}
