// Blocks of entries: what passes validation can be searched for anything without leaving the block, and what the
// builder makes is searched right.
//
// mode: u8 (even: the rest is a block; odd: the rest describes entries to build one of)

@testable import Apus

extension FuzzTarget {
    static let block = FuzzTarget(
        name: "block",
        summary: "table blocks: any search of whatever validates; blocks that are built, against a sorted array",
        maximumByteCount: 2048,
        run: { bytes in
            var source = ByteSource(bytes)
            if source.byte() & 1 == 0 {
                searchForeign(source.rest())
            } else {
                buildAndSearch(&source)
            }
        },
        seeds: {
            let entries = [
                BlockEntry(key: Array("apple".utf8), trailer: 5 << 8 | 1, payload: [1, 2, 3]),
                BlockEntry(key: Array("apple".utf8), trailer: 3 << 8 | 2, payload: []),
                BlockEntry(key: Array("apple, a very long one".utf8), trailer: 9 << 8 | 1, payload: [4]),
                BlockEntry(key: Array("applied".utf8), trailer: 4 << 8 | 4, payload: [UInt8](repeating: 0, count: 20)),
            ]
            let large = (0..<40).map { number in
                BlockEntry(key: [0x6B, number], trailer: UInt64(number) << 8 | 1, payload: [9, 9, 9, number])
            }
            return [
                "small": [0] + built(entries), "large": [0] + built(large), "single": [0] + built([entries[2]]),
                "described": [1, 3, 1, 0x61, 1, 1, 1, 2, 0x61, 0x62, 2, 1, 0, 4] + Array("abcdabcdefghefghij".utf8),
            ]
        }
    )
}

struct BlockEntry: Equatable {
    var key: [UInt8]
    var trailer: UInt64
    var payload: [UInt8]

    func isBefore(_ other: BlockEntry) -> Bool {
        key.withUnsafeBytes { a in
            other.key.withUnsafeBytes {
                compareInternal(a, Trailer(rawValue: trailer), $0, Trailer(rawValue: other.trailer)) < 0
            }
        }
    }
}

func built(_ entries: [BlockEntry]) -> [UInt8] {
    let builder = BlockBuilder()
    for entry in entries {
        entry.key.withUnsafeBytes { key in
            entry.payload.withUnsafeBytes { builder.add(key, entry.trailer, $0) }
        }
    }
    var output = RawBuffer(capacity: 1024)
    builder.finish(into: &output)
    return output.copied()
}

extension RawBuffer {
    borrowing func copied() -> [UInt8] { [UInt8](bytes) }
}

private func entries(of block: Block) -> [BlockEntry] {
    var next = block.entriesStart
    return (0..<block.entryCount).map { rank in
        let entry = block.entry(at: next)
        next = entry.end
        return BlockEntry(
            key: block.key(of: entry, rank: rank),
            trailer: entry.trailer.rawValue,
            payload: [UInt8](entry.payload)
        )
    }
}

private func searchForeign(_ bytes: [UInt8]) {
    let memory = AlignedBytes(bytes)
    memory.withBytes { bytes in
        for content in [Block.Content.data, .index] {
            do throws(DecodingFailure) {
                let block = try Block.validate(bytes, content)
                let found = entries(of: block)
                for entry in found { search(block, for: entry) }
                search(block, for: BlockEntry(key: [], trailer: .max, payload: []))
                search(block, for: BlockEntry(key: [0xFF], trailer: 0, payload: []))
                let isOrdered = zip(found, found.dropFirst()).allSatisfy { $0.isBefore($1) }
                if isOrdered { expectSearchable(built(found), found) }
            } catch {}
        }
    }
}

private func search(_ block: Block, for entry: BlockEntry) {
    entry.key.withUnsafeBytes { key in
        let rank = block.lowerBound(key, Trailer(rawValue: entry.trailer))
        expect((0...block.entryCount).contains(rank), "a search ends within the block")
        _ = block.find(key, Trailer(rawValue: entry.trailer))
    }
}

private func buildAndSearch(_ source: inout ByteSource) {
    let shared = source.bytes(upTo: 12)
    var wanted: [BlockEntry] = []
    for _ in 0..<source.below(60) {
        var entry = BlockEntry(key: [], trailer: (source.number() & ~0xFF) | 1, payload: [])
        if source.byte() % 5 > 0 { entry.key = shared }
        entry.key += source.bytes(upTo: 20)
        entry.payload = source.bytes(upTo: 30)
        if !entry.key.isEmpty { wanted.append(entry) }
    }
    wanted.sort { $0.isBefore($1) }
    var unique: [BlockEntry] = []
    for entry in wanted where unique.last.map({ $0.isBefore(entry) }) ?? true { unique.append(entry) }
    if !unique.isEmpty { expectSearchable(built(unique), unique) }
}

/// The block holds exactly these entries, and finds each of them, and what lies between them.
private func expectSearchable(_ bytes: [UInt8], _ expected: [BlockEntry]) {
    let memory = AlignedBytes(bytes)
    memory.withBytes { bytes in
        do throws(DecodingFailure) {
            let block = try Block.validate(bytes, .index)
            expect(entries(of: block) == expected, "a block holds what was added")
            for (rank, entry) in expected.enumerated() {
                expectRank(block, entry, rank)
                entry.key.withUnsafeBytes { key in
                    let found = block.find(key, Trailer(rawValue: entry.trailer))
                    expect(found?.trailer.rawValue == entry.trailer, "an entry of a block is found")
                    expect(found.map { [UInt8]($0.payload) } == entry.payload, "an entry is found with its payload")
                }
                var behind = entry
                behind.key.append(0)
                behind.trailer = .max
                expectRank(block, behind, expected.firstIndex { !$0.isBefore(behind) } ?? expected.count)
                behind = entry
                behind.key.removeLast()
                expectRank(block, behind, expected.firstIndex { !$0.isBefore(behind) } ?? expected.count)
            }
        } catch {
            violated("a block that was built is valid: \(error.what)")
        }
    }
}

private func expectRank(_ block: Block, _ entry: BlockEntry, _ rank: Int) {
    let found = entry.key.withUnsafeBytes { block.lowerBound($0, Trailer(rawValue: entry.trailer)) }
    expect(found == rank, "a search finds rank \(rank), not \(found)")
}
