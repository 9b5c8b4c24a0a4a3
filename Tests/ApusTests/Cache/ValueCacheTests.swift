// Separated values in memory: each is found as itself, however many share a slot; large ones and passes over everything
// leave the cache alone.

import ApusIO
import Testing

@testable import Apus

@Suite struct ValueCacheTests {
    private let disk = MemoryFileSystem()
    private let epochs = EpochDomain()
    private let number: FileNumber = 7
    private var path: String { FileName.blob(number).path(in: "db") }

    private func store(_ cache: BlockCache?) -> BlobStore {
        let values = cache.map { ValueCache($0, epochs: epochs, capacity: $0.statistics.capacity) }
        return BlobStore(pool: FilePool(fileSystem: disk, limit: 4), cache: values) { FileName.blob($0).path(in: "db") }
    }

    private func write(_ values: [[UInt8]], codec: Codec) throws -> [BlobReference] {
        let writer = try BlobWriter(fileSystem: disk, path: path, number: number, codec: codec)
        var references: [BlobReference] = []
        for (index, value) in values.enumerated() {
            try [UInt8]("key \(index)").withUnsafeBytes { key in
                try value.withUnsafeBytes { references.append(try writer.append(key, $0)) }
            }
        }
        _ = try writer.finish()
        return references
    }

    private func isRead(_ reference: BlobReference, as value: [UInt8], by store: BlobStore) throws -> Bool {
        var isEqual = false
        try store.withValue(of: reference) { bytes in isEqual = value.withUnsafeBytes { equalBytes($0, bytes) } }
        return isEqual
    }

    @Test("what is cached is not read again; what has left the cache is", arguments: Codec.allCases)
    func hitsAndMisses(_ codec: Codec) throws {
        var random = TestRandom(seed: 3)
        let values = [random.bytes(5_000), [UInt8](repeating: 4, count: 9_000)]
        let references = try write(values, codec: codec)
        let cache = BlockCache(capacity: 1 << 20, epochs: epochs)
        let store = store(cache)
        for (value, reference) in zip(values, references) { #expect(try isRead(reference, as: value, by: store)) }
        #expect(cache.statistics.misses == 2 && cache.statistics.blockCount == 2)
        let sound = disk[path]!
        disk[path] = sound.map { ~$0 }
        for (value, reference) in zip(values, references) { #expect(try isRead(reference, as: value, by: store)) }
        #expect(cache.statistics.misses == 2)
        cache.setCapacity(0)
        for reference in references { #expect(throws: ApusError.self) { try store.value(of: reference) } }
        disk[path] = sound
        for (value, reference) in zip(values, references) { #expect(try isRead(reference, as: value, by: store)) }
        #expect(cache.statistics.blockCount == 0)
    }

    @Test("large values are not kept, whole files of values neither")
    func whatIsLeftOut() throws {
        var random = TestRandom(seed: 4)
        let values = [random.bytes(ValueCache.largestRecord + 1), [UInt8](repeating: 0, count: 100_000)]
        let references = try write(values, codec: .lz4)
        let cache = BlockCache(capacity: 1 << 20, epochs: epochs)
        let store = store(cache)
        for (value, reference) in zip(values, references) {
            #expect(try isRead(reference, as: value, by: store))
            #expect(try store.value(of: reference) == value)
            try store.withRecord(reference) { _ in }
        }
        #expect(cache.statistics.blockCount == 0 && cache.statistics.byteCount == 0)
    }

    @Test("damage is an error, not a cached value")
    func damage() throws {
        var random = TestRandom(seed: 5)
        let references = try write([random.bytes(5_000)], codec: .lz4)
        let cache = BlockCache(capacity: 1 << 20, epochs: epochs)
        let store = store(cache)
        var wrong = references[0]
        wrong.valueByteCount -= 1
        #expect(throws: ApusError.self) { try store.value(of: wrong) }
        wrong = references[0]
        wrong.offset += 1
        #expect(throws: ApusError.self) { try store.value(of: wrong) }
        wrong.offset = 1 << 40
        #expect(throws: ApusError.self) { try store.value(of: wrong) }
        #expect(cache.statistics.blockCount == 0)
    }

    @Test("more values than slots: each is found as itself, and the budget holds", arguments: [1, 2, 3] as [UInt64])
    func crowd(_ seed: UInt64) throws {
        var random = TestRandom(seed: seed)
        let values = (0..<2_000).map { _ in random.bytes(10 + random.below(90)) }
        let references = try write(values, codec: .none)
        // 128 slots, and memory for more than that.
        let cache = BlockCache(capacity: 100_000, epochs: epochs)
        let crowded = BlobStore(
            pool: FilePool(fileSystem: disk, limit: 4), cache: ValueCache(cache, epochs: epochs, capacity: 0)
        ) { FileName.blob($0).path(in: "db") }
        let hot = (0..<30).map { _ in random.below(values.count) }
        for _ in 0..<20_000 {
            let index = random.chance(70) ? hot[random.below(30)] : random.below(values.count)
            #expect(try isRead(references[index], as: values[index], by: crowded))
        }
        #expect(cache.statistics.byteCount <= 100_000)
        #expect(cache.statistics.blockCount <= 128)
        #expect(cache.statistics.misses < 14_000, "some are found")
    }

    @Test("threads that read the same few values see each as itself")
    func threads() throws {
        var random = TestRandom(seed: 6)
        let values = (0..<200).map { _ in random.bytes(100 + random.below(400)) }
        let references = try write(values, codec: .none)
        // Room for some twenty of them.
        let store = store(BlockCache(capacity: 10_000, epochs: epochs))
        let threads = (0..<4).map { worker in
            TestThread {
                var random = TestRandom(seed: UInt64(worker))
                for _ in 0..<5_000 {
                    let index = random.below(values.count)
                    let isEqual = try? isRead(references[index], as: values[index], by: store)
                    #expect(isEqual == true)
                }
            }
        }
        for thread in threads { thread.join() }
    }
}
