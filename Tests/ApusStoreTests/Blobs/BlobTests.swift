// Putting, reading and referring to blobs, each behaviour by itself.

import Apus
import Testing

@testable import ApusStore

@Suite struct BlobTests {
    @Test(arguments: [0, 1, 64, 256, 257, 5000, 16_384, 16_385, 100_000])
    func whatIsPutComesBack(count: Int) throws {
        let fixture = StoreFixture()
        var store = try fixture.open()
        var random = TestRandom(seed: UInt64(count) + 1)
        var contents = [random.bytes(count), random.text(count)]
        do {
            let blobs = try fixture.blobs(in: store)
            for content in contents {
                let id = try blobs.put(content)
                #expect(id == BlobID(of: content))
                #expect(try blobs.stat(id)?.isChunked == (count > 256))
            }
            // Once in a transaction, once more beside what is there.
            contents.append(random.bytes(count))
            try store.transaction { transaction in
                _ = try blobs.put(contents[2], in: transaction)
                _ = try blobs.put(contents[0], in: transaction)
                #expect(try blobs.get(BlobID(of: contents[2]), in: transaction) == contents[2])
            }
            #expect(try store.verify().problems == [])
        }
        try store.close()
        store = try fixture.open()
        let blobs = try fixture.blobs(in: store)
        for content in contents {
            let id = BlobID(of: content)
            #expect(try blobs.get(id) == content)
            #expect(try blobs.contains(id) && blobs.stat(id)?.byteCount == UInt64(count))
            try blobs.verify(id)
        }
        #expect(try blobs.statistics().blobs == Set(contents).count)
        try store.close()
    }

    @Test func absentBlobsAreAbsent() throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let blobs = try fixture.blobs(in: store)
        let id = BlobID(of: "never put")
        #expect(try blobs.get(id) == nil && blobs.get(id, 0..<1) == nil && blobs.stat(id) == nil)
        #expect(try !blobs.contains(id))
        let calls: [() throws -> Void] = [
            { try blobs.retain(id) }, { try blobs.release(id) }, { try blobs.verify(id) },
            { try blobs.read(id) { _ in .next } }, { try blobs.get(id, toFileAt: "/out") },
        ]
        for call in calls {
            let error = #expect(throws: StoreError.self) { try call() }
            #expect(error?.kind == .notFound && error?.key == id.description && error?.collection == "blob:b")
        }
        #expect(try !fixture.hasFile("/out"))
        try store.close()
    }

    @Test func everyRangeIsRead() throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let blobs = try fixture.blobs(in: store)
        var random = TestRandom(seed: 21)
        for count in [200, 90_000] {
            let content = random.text(count)
            let id = try blobs.put(content)
            for _ in 0..<60 {
                let lower = random.below(count + 10)
                let upper = lower + random.below(count)
                let range = UInt64(lower)..<UInt64(upper)
                let expected = Array(content[min(lower, count)..<min(upper, count)])
                #expect(try blobs.get(id, range) == expected)
                var pieces: [UInt8] = []
                try blobs.read(id, range) { piece in
                    #expect(piece.byteCount > 0 && piece.byteCount <= 1024)
                    piece.withBytes { pieces.append(contentsOf: $0) }
                    return .next
                }
                #expect(pieces == expected)
            }
            var calls = 0
            try blobs.read(id) { _ in
                calls += 1
                return .stop
            }
            #expect(calls == 1)
        }
        try store.close()
    }

    @Test func equalContentsAndUnchangedChunksAreStoredOnce() throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let blobs = try fixture.blobs(in: store)
        var random = TestRandom(seed: 22)
        let content = random.bytes(60_000)
        try blobs.put(content)
        let first = try blobs.statistics()
        #expect(first.pieceBytes == 60_000 && first.deduplicationRatio == 1 && first.compressionRatio < 1.01)
        try blobs.put(content)
        #expect(try blobs.statistics() == first)
        try blobs.put(content[..<30_000] + [1] + content[30_000...])
        let second = try blobs.statistics()
        #expect(second.blobs == 2 && second.contentBytes == 120_001)
        #expect(second.pieceBytes < 60_000 + 4 * 1024 && second.deduplicationRatio > 1.8)
        #expect(try store.verify().problems == [])
        try store.close()
    }

    @Test func differentChunksMayHaveEqualFingerprints() throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        // Two bits: every chunk meets others at its address.
        let blobs = try fixture.blobs(in: store, fingerprint: ChunkFingerprint(seed: 1, mask: 1))
        var random = TestRandom(seed: 23)
        let contents = (0..<4).map { _ in random.bytes(8000) }
        for content in contents + contents { try blobs.put(content) }
        for content in contents { #expect(try blobs.get(BlobID(of: content)) == content) }
        let pieces = try blobs.statistics().pieces
        #expect(try store.verify().problems == [])
        // What is left out of a row of equal fingerprints may be stored twice, but nothing is lost.
        fixture.advance(milliseconds: 10_000_000)
        try blobs.retain(BlobID(of: contents[3]))
        try blobs.collectGarbage()
        #expect(try blobs.get(BlobID(of: contents[3])) == contents[3])
        for content in contents { try blobs.put(content) }
        for content in contents { #expect(try blobs.get(BlobID(of: content)) == content) }
        #expect(try blobs.statistics().pieces >= pieces)
        #expect(try store.verify().problems == [])
        try store.close()
    }

    @Test func compressibleContentsAreCompressed() throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let blobs = try store.blobs()
        var random = TestRandom(seed: 24)
        try blobs.put(random.text(300_000))
        #expect(try blobs.statistics().compressionRatio > 2)
        try store.close()
    }

    @Test func referencesAreCounted() throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let blobs = try fixture.blobs(in: store)
        let id = try blobs.put("attachment")
        #expect(try blobs.stat(id)?.references == 0)
        try store.transaction { transaction in
            try blobs.retain(id, in: transaction)
            try blobs.retain(id, in: transaction)
            try blobs.release(id, in: transaction)
        }
        try blobs.retain(id)
        #expect(try blobs.stat(id)?.references == 2)
        #expect(try blobs.statistics().referencedBytes == 20)
        try blobs.release(id)
        try blobs.release(id)
        let error = #expect(throws: StoreError.self) { try blobs.release(id) }
        #expect(error?.kind == .constraintViolated)
        #expect(try blobs.statistics().referencedBytes == 0)
        #expect(throws: StoreError.self) {
            try store.transaction { transaction in
                try blobs.retain(id, in: transaction)
                throw StoreError(.invalidArgument, "given up")
            }
        }
        #expect(try blobs.stat(id)?.references == 0)
        try store.close()
    }

    @Test func filesArePutAndWritten() throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let blobs = try fixture.blobs(in: store)
        var random = TestRandom(seed: 25)
        for (index, count) in [0, 100, 256, 300, 40_000].enumerated() {
            let content = random.bytes(count)
            try fixture.write(content, toFileAt: "/in\(index)")
            let id = try blobs.put(fileAt: "/in\(index)")
            #expect(id == BlobID(of: content))
            try blobs.get(id, toFileAt: "/out\(index)")
            #expect(try blobs.put(fileAt: "/out\(index)") == id)
            let error = #expect(throws: ApusError.self) { try blobs.get(id, toFileAt: "/out\(index)") }
            #expect(error?.kind == .io && error?.file == "/out\(index)")
        }
        let error = #expect(throws: ApusError.self) { try blobs.put(fileAt: "/nothing") }
        #expect(error?.kind == .io)
        #expect(try store.verify().problems == [])
        try store.close()
    }

    @Test func piecesOfAnySizeMakeTheSameBlob() throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let blobs = try fixture.blobs(in: store)
        var random = TestRandom(seed: 26)
        let content = random.text(70_000)
        let id = try blobs.put(content)
        let figures = try blobs.statistics()
        for size in [1, 100, 16_384, 50_000, 70_000] {
            let writer = blobs.makeWriter()
            for start in stride(from: 0, to: content.count, by: size) {
                try writer.write(content[start..<min(start + size, content.count)])
            }
            #expect(try writer.finish() == id)
            #expect(throws: StoreError.self) { try writer.write("more") }
            #expect(throws: StoreError.self) { try writer.finish() }
            #expect(try blobs.statistics() == figures)
        }
        #expect(try store.verify().problems == [])
        try store.close()
    }

    @Test func damageIsReported() throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let blobs = try fixture.blobs(in: store)
        var random = TestRandom(seed: 27)
        let content = random.bytes(3000)
        let id = try blobs.put(content)
        let small = try blobs.put("small")
        #expect(try store.verify().isSound)
        func problems() throws -> Int { try store.verify().problemCount }
        // Each is undone before the next.
        func damage(_ keyspace: Keyspace, _ key: [UInt8], _ value: [UInt8]?) throws {
            let before = try keyspace.get(key)
            if let value { try keyspace.put(key, value) } else { try keyspace.delete(key) }
            #expect(try problems() > 0, "\(keyspace.name) \(key)")
            if let before { try keyspace.put(key, before) } else { try keyspace.delete(key) }
            #expect(try problems() == 0)
        }
        for entry in try blobs.index.entries() where entry.key[0] != BlobIndexTag.counter {
            // Counts are merges in a keyspace of merges: a value of eight bytes replaces them all the same.
            try damage(blobs.index, entry.key, nil)
            try damage(blobs.index, entry.key, [1])
        }
        for entry in try blobs.content.entries() {
            try damage(blobs.content, entry.key, nil)
            try damage(blobs.content, entry.key, entry.value.dropLast())
        }
        try damage(blobs.content, small.bytes, [0, 5] + Array("smell".utf8))
        try damage(blobs.content, Array(1...16), [0, 0])
        try damage(blobs.content, [7], [])
        try damage(blobs.index, BlobIndexKey.references(BlobID(of: "x")), [1, 0, 0, 0, 0, 0, 0, 0])
        try damage(blobs.index, BlobCounter.blobs.key, [9, 0, 0, 0, 0, 0, 0, 0])
        let chunk = try #require(try blobs.content.entries().first { $0.key.count == 16 })
        try blobs.content.delete(chunk.key)
        for call in [{ _ = try blobs.get(id) }, { try blobs.verify(id) }, { try blobs.read(id) { _ in .next } }] {
            let error = #expect(throws: StoreError.self) { try call() }
            #expect(error?.kind == .corruption && error?.key == id.description)
        }
        try store.close()
    }

    @Test func twoCollectionsShareNothing() throws {
        let store = try StoreFixture().open()
        let a = try store.blobs("a")
        let b = try store.blobs("b")
        let id = try a.put("content")
        #expect(try !b.contains(id))
        #expect(try store.blobs("a") === a)
        #expect(try store.verify().collections == ["blob:a", "blob:b"])
        try store.close()
    }
}
