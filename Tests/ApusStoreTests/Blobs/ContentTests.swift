// Where contents are cut, how pieces are stored, and what they are called.

import Apus
import Testing

@testable import ApusStore

@Suite struct ContentTests {
    // MARK: Cutting

    private func sizes(_ bytes: [UInt8], _ chunker: ContentChunker) -> [Int] {
        bytes.withUnsafeBytes { bytes in
            var sizes: [Int] = []
            var start = 0
            while start < bytes.count {
                let count = chunker.firstChunk(of: UnsafeRawBufferPointer(rebasing: bytes[start...]))
                sizes.append(count)
                start += count
            }
            return sizes
        }
    }

    @Test func chunksKeepTheirBoundsAndCrowdAroundTheNormalSize() {
        var random = TestRandom(seed: 11)
        let chunker = ContentChunker(minimum: 64, normalBits: 8, maximum: 1024)
        let sizes = sizes(random.bytes(400_000), chunker)
        #expect(sizes.reduce(0, +) == 400_000)
        #expect(sizes.dropLast().allSatisfy { (65...1024).contains($0) })
        let mean = 400_000 / sizes.count
        #expect((200...400).contains(mean))
        // Plain chunking would leave a quarter of the chunks outside these.
        let near = sizes.filter { (128...640).contains($0) }
        #expect(near.count * 10 > sizes.count * 8, "\(near.count) of \(sizes.count)")
    }

    @Test func anInsertionChangesFewChunks() {
        var random = TestRandom(seed: 12)
        let chunker = ContentChunker(minimum: 64, normalBits: 8, maximum: 1024)
        let content = random.bytes(100_000)
        func chunks(_ bytes: [UInt8]) -> Set<[UInt8]> {
            var start = 0
            return Set(
                sizes(bytes, chunker).map { count in
                    defer { start += count }
                    return Array(bytes[start..<start + count])
                })
        }
        let before = chunks(content)
        for position in [0, 50_000, 99_999] {
            let after = chunks(content[..<position] + [1, 2, 3] + content[position...])
            #expect(after.subtracting(before).count <= 4)
        }
    }

    /// The definition, a byte at a time.
    private func firstCut(of bytes: ArraySlice<UInt8>, minimum: Int, normalBits: Int, maximum: Int) -> Int {
        var hash: UInt64 = 0
        for offset in min(minimum, bytes.count)..<max(min(maximum, bytes.count), min(minimum, bytes.count)) {
            hash = (hash &<< 1) &+ ContentChunker.gear[Int(bytes[bytes.startIndex + offset])]
            let bits = offset < 1 << normalBits ? normalBits + 2 : normalBits - 2
            if hash >> UInt64(64 - bits) == 0 { return offset + 1 }
        }
        return min(maximum, bytes.count)
    }

    @Test func cutsAreThoseOfTheDefinition() {
        var random = TestRandom(seed: 13)
        // Sizes of every remainder by the number of bytes that are looked at together.
        for (minimum, maximum) in [(15, 66), (16, 67), (17, 129), (18, 200)] {
            let chunker = ContentChunker(minimum: minimum, normalBits: 5, maximum: maximum)
            for length in [0, 1, minimum, minimum + 1, 31, 32, 33, 34, 35, 20_000] {
                let content = random.bytes(length)
                var start = 0
                for size in sizes(content, chunker) {
                    #expect(
                        size
                            == firstCut(
                                of: content[start...], minimum: minimum, normalBits: 5, maximum: maximum))
                    start += size
                }
                #expect(start == length)
            }
        }
    }

    @Test func cutsAreWhatTheyHaveAlwaysBeen() {
        // Contents that were cut otherwise would share nothing with those that are stored.
        var random = TestRandom(seed: 13)
        let standard = sizes(random.bytes(1 << 20), .standard)
        #expect(
            standard == [
                74451, 75643, 69688, 75462, 81545, 91076, 102_510, 71112, 68241, 86379, 79383, 23524, 69889, 69489,
                10184,
            ])
        #expect(ContentChunker.gear.first == 0xE748_2B9F_EE15_CF9C && ContentChunker.gear.last == 0x67E9_D02D_9425_75F8)
    }

    @Test func contentWithoutAnyCutEndsAtTheMaximum() {
        let zeros = [UInt8](repeating: 0, count: 5000)
        let chunker = ContentChunker(minimum: 64, normalBits: 8, maximum: 1024)
        let sizes = sizes(zeros, chunker)
        // The same bytes are cut the same way throughout, wherever that is.
        #expect(Set(sizes.dropLast()).count == 1 && sizes[0] <= 1024)
    }

    // MARK: Storing

    private func stored(_ content: [UInt8], trying: Bool = true) -> [UInt8] {
        var output: [UInt8] = [9, 9, 9]
        content.withUnsafeBytes { ContentCodec.encode($0, into: &output, trying: trying) }
        return output
    }

    private func content(of stored: [UInt8], count: Int) -> [UInt8]? {
        var content = [UInt8](repeating: 0, count: count)
        let isSound = stored.withUnsafeBytes { stored in
            content.withUnsafeMutableBytes { ContentCodec.decode(stored, into: $0) }
        }
        return isSound ? content : nil
    }

    @Test(arguments: [0, 1, 31, 32, 33, 1000, 70_000])
    func whatIsStoredComesBack(count: Int) {
        var random = TestRandom(seed: UInt64(count))
        for bytes in [random.bytes(count), random.text(count), [UInt8](repeating: 7, count: count)] {
            for trying in [true, false] {
                let stored = stored(bytes, trying: trying)
                #expect(content(of: stored, count: count) == bytes)
                #expect(stored.count <= count + 4)
                #expect(content(of: stored, count: count + 1) == nil)
                if count > 0 { #expect(content(of: stored, count: count - 1) == nil) }
            }
        }
        #expect(stored(random.text(10_000)).count < 6000)
    }

    @Test func damagedContentsAreRefused() {
        var random = TestRandom(seed: 3)
        let text = random.text(3000)
        let stored = stored(text)
        #expect(stored[0] == ContentCodec.zstd.rawValue)
        for count in [0, 1, 2, stored.count / 2, stored.count - 1] {
            #expect(content(of: Array(stored[..<count]), count: 3000) == nil)
        }
        var foreign = stored
        foreign[0] = 2
        #expect(content(of: foreign, count: 3000) == nil)
    }

    @Test(arguments: [1, 40, 64, 3000, 70_000])
    func chunksComeBack(count: Int) {
        var random = TestRandom(seed: UInt64(count))
        for bytes in [random.bytes(count), random.text(count), [UInt8](repeating: 7, count: count)] {
            var compressed: [UInt8] = [9]
            let isCompressed = bytes.withUnsafeBytes { ContentCodec.compress($0, into: &compressed) }
            // What is as long as the content is the content.
            if isCompressed { #expect(compressed.count < count) }
            let stored = isCompressed ? compressed : bytes
            #expect(chunk(stored, count: count) == bytes)
            #expect(chunk(stored, count: count - 1) == nil)
            #expect(chunk(stored, count: count + 1) == nil)
            #expect(chunk(Array(stored.dropLast()), count: count) == nil)
        }
    }

    private func chunk(_ stored: [UInt8], count: Int) -> [UInt8]? {
        var scratch: [UInt8] = []
        var content: [UInt8]?
        let isSound = stored.withUnsafeBytes { stored in
            ContentCodec.withChunk(stored, byteCount: count, scratch: &scratch) { content = [UInt8]($0) }
        }
        return isSound ? content : nil
    }

    @Test func attemptsAtCompressionAreFewWhereTheyFail() {
        var random = TestRandom(seed: 4)
        let noise = random.bytes(65_536)
        var trial = CompressionTrial()
        var attempts = 0
        for _ in 0..<200 {
            let isTried = noise.withUnsafeBytes { trial.isWorthTrying($0) }
            if isTried {
                attempts += 1
                trial.note(isCompressed: false)
            }
        }
        #expect((5...15).contains(attempts))
        let text = random.text(65_536)
        let isTextTried = text.withUnsafeBytes { trial.isWorthTrying($0) }
        #expect(isTextTried)
        trial.note(isCompressed: true)
        let isNoiseTried = noise.withUnsafeBytes { trial.isWorthTrying($0) }
        #expect(isNoiseTried)
    }

    // MARK: Names

    @Test func fingerprintsDependOnEveryByteAndOnTheSecret() {
        var random = TestRandom(seed: 5)
        let fingerprint = ChunkFingerprint(seed: 1)
        func address(_ bytes: [UInt8], _ fingerprint: ChunkFingerprint) -> ChunkAddress {
            bytes.withUnsafeBytes { fingerprint.address(of: $0) }
        }
        for count in [1, 7, 8, 63, 64, 65, 200] {
            let bytes = random.bytes(count)
            var seen: Set<ChunkAddress> = [address(bytes, fingerprint)]
            for index in 0..<count {
                var other = bytes
                other[index] ^= 1
                seen.insert(address(other, fingerprint))
            }
            seen.insert(address(bytes + [0], fingerprint))
            seen.insert(address(bytes, ChunkFingerprint(seed: 2)))
            #expect(seen.count == count + 3)
        }
    }

    @Test func addressesAreTheHashOfTheContent() throws {
        let id = BlobID(of: "abc")
        #expect(id.description == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(BlobID(hexadecimal: id.description) == id && BlobID(id.bytes) == id)
        #expect(BlobID(hexadecimal: "ba78") == nil)
        #expect(BlobID(hexadecimal: String(repeating: "g", count: 64)) == nil)
        #expect(BlobID([1, 2, 3]) == nil)
        #expect(BlobID(of: "a") > id || BlobID(of: "a") < id)
    }

    @Test func pagesAndRecordsComeBackAndNoPartOfThemDoes() {
        let entries = (1...3).map {
            ChunkEntry(address: ChunkAddress(high: UInt64($0), low: 9), byteCount: $0 * 1000, storedByteCount: $0 * 400)
        }
        let page = BlobPage.encode(entries)
        #expect(page.withUnsafeBytes { BlobPage.decode($0) } == entries)
        for count in 0..<page.count {
            #expect(page[..<count].withUnsafeBytes { BlobPage.decode($0) } == nil)
        }
        for layout in [BlobRecord.Layout.whole, .chunked(list: 77)] {
            let record = BlobRecord(layout: layout, byteCount: 1 << 40, putAt: 12_345)
            let bytes = record.encoded
            #expect(bytes.withUnsafeBytes { BlobRecord($0) } == record)
            for count in 0..<bytes.count { #expect(bytes[..<count].withUnsafeBytes { BlobRecord($0) } == nil) }
            #expect((bytes + [0]).withUnsafeBytes { BlobRecord($0) } == nil)
        }
        #expect([3, 1, 0, 0, 0, 0, 0, 0, 0, 0].withUnsafeBytes { BlobRecord($0) } == nil)
    }
}
