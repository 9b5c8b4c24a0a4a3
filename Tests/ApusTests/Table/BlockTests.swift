// Blocks: the order of their columns, and bytes that no writer wrote.

import Testing

@testable import Apus

@Suite struct BlockTests {
    /// Block bytes in memory that a view may be taken of.
    private final class Memory {
        let block: CachedBlock
        init(_ bytes: [UInt8]) {
            block = CachedBlock.allocate(byteCount: bytes.count)
            block.bytes.copyMemory(from: bytes, byteCount: bytes.count)
        }
        deinit { block.release() }
    }

    private func encode(_ entries: [TableEntry]) -> [UInt8] {
        let builder = BlockBuilder()
        for entry in entries {
            entry.key.withUnsafeBytes { key in
                entry.payload.withUnsafeBytes { builder.add(key, entry.trailer.rawValue, $0) }
            }
        }
        let estimate = builder.estimatedByteCount
        var output = RawBuffer(capacity: 10)
        builder.finish(into: &output)
        #expect(output.count <= estimate + 8 * entries.count, "the estimate is an upper bound but for large sequences")
        return output.copy()
    }

    @Test func ranksAndNodesConvertBothWays() {
        for count in 1...520 {
            let order = EytzingerOrder(count: count)
            // The definition: an in-order walk of the breadth-first tree.
            var inOrder: [Int] = []
            func walk(_ node: Int) {
                guard node <= count else { return }
                walk(2 * node)
                inOrder.append(node)
                walk(2 * node + 1)
            }
            walk(1)
            for (rank, node) in inOrder.enumerated() {
                #expect(order.node(rank: rank) == node)
                #expect(order.rank(node: node) == rank)
            }
        }
    }

    @Test func layoutIsFrozen() {
        let bytes = encode([
            TableEntry(Array("prefix-a".utf8), 10, [1, 2]),
            TableEntry(Array("prefix-b".utf8), 300, []),
            TableEntry(Array("prefix-cccccccccc".utf8), 9, [3]),
        ])
        let expected: [UInt8] =
            [3, 0, 0, 0, 7, 0, 0, 2, 9, 0, 0, 0, 0, 0, 0, 0] + Array("prefix-".utf8) + [0]
            + [0, 0, 0, 0, 0, 0, 0, 0x62, 0, 0, 0, 0, 0, 0, 0, 0x61, 0x63, 0x63, 0x63, 0x63, 0x63, 0x63, 0x63, 0x63]
            + [6, 0, 0, 0, 11, 0]
            + [1, 1, 1, 2, 1, 2] + [1, 1, 0xA3, 2, 0] + [10, 1, 0, 1, 0x63, 0x63, 3]
        #expect(bytes == expected)
    }

    @Test func mutatedBlocksAreRefusedOrSearchedWithinBounds() throws {
        var random = TestRandom(seed: 77)
        var accepted = 0
        for round in 0..<4000 {
            let entries = (0..<Int.random(in: 1...20, using: &random)).map {
                TableEntry(
                    [9, 9, UInt8($0)] + random.bytes(round % 14),
                    UInt64.random(in: 0...999, using: &random),
                    [1, 2]
                )
            }
            var bytes = encode(entries)
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let position = Int.random(in: bytes.indices, using: &random)
                bytes[position] = [0, 1, 2, 0x7F, 0x80, 0xFF, UInt8(truncatingIfNeeded: random.next())].randomElement(
                    using: &random
                )!
            }
            if Int.random(in: 0..<8, using: &random) == 0 {
                bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
            }
            let memory = Memory(bytes)
            guard let block = try? Block.validate(memory.block.buffer, .data) else { continue }
            accepted += 1
            let range = bytes.count
            for key in [
                [], [9], [9, 9], entries[0].key, entries.last!.key, [9, 9, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1], [255],
            ] as [[UInt8]] {
                key.withUnsafeBytes { key in
                    #expect((0...block.entryCount).contains(block.lowerBound(key, .seek(SequenceNumber(500)))))
                    if let found = block.find(key, .first) { #expect(found.payload.count <= range) }
                }
            }
            for rank in 0..<block.entryCount {
                let entry = block.entry(node: block.order.node(rank: rank))
                #expect(block.key(of: entry, rank: rank).count <= range)
                #expect(entry.end <= UnsafeRawPointer(memory.block.bytes) + range)
            }
        }
        #expect(accepted > 100)
    }

    @Test(arguments: 0..<200)
    func separatorLiesBetween(_ seed: Int) {
        var random = TestRandom(seed: UInt64(seed))
        for _ in 0..<50 {
            var keys = (0..<2).map { _ in
                random.bytes(Int.random(in: 1...6, using: &random), alphabet: [0x00, 0x01, 0xFE, 0xFF])
            }
            keys.sort { $0.lexicographicallyPrecedes($1) }
            guard keys[0] != keys[1] else { continue }
            let separator = keys[0].withUnsafeBytes { a in keys[1].withUnsafeBytes { Separator.between(a, $0) } }
            #expect(!separator.lexicographicallyPrecedes(keys[0]), "\(keys) \(separator)")
            #expect(separator.lexicographicallyPrecedes(keys[1]), "\(keys) \(separator)")
            #expect(separator.count <= max(keys[0].count, keys[1].count))
        }
    }
}
