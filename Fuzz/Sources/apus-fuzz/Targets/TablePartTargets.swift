// The small parts of a table: filters, index entries, separators, properties, range deletions.

@testable import Apus

extension FuzzTarget {
    static let filter = FuzzTarget(
        name: "filter",
        summary: "Bloom filters: any question to whatever validates; filters that are built deny no key of theirs",
        maximumByteCount: 1024,
        run: { runFilter($0) },
        seeds: {
            var filter = RawBuffer(capacity: 256)
            BloomFilter.build((0..<50).map { UInt64($0) &* 0x9E37_79B9_7F4A_7C15 }, bitsPerKey: 10, into: &filter)
            return ["foreign": [0] + filter.copied(), "built": [1, 10, 1, 0x61, 2, 0x61, 0x62, 0]]
        }
    )

    static let index = FuzzTarget(
        name: "index",
        summary: "index entries, separators, properties and range deletions of tables",
        maximumByteCount: 1024,
        run: { runIndex($0) },
        seeds: indexSeeds
    )
}

/// mode: u8 (even: the rest is a filter; odd: bits per key u8 │ keys)
private func runFilter(_ bytes: UnsafeRawBufferPointer) {
    var source = ByteSource(bytes)
    guard source.byte() & 1 != 0 else {
        let memory = AlignedBytes(source.rest())
        memory.withBytes { bytes in
            do throws(DecodingFailure) {
                let filter = try BloomFilter.validate(bytes)
                for hash in [0, 1, UInt64(UInt32.max), 0xFFFF_FFFF_0000_0000, .max, 0x9E37_79B9_7F4A_7C15] {
                    _ = filter.mayContain(hash)
                }
            } catch {}
        }
        return
    }
    let bitsPerKey = 1 + source.below(255)
    var hashes: [UInt64] = []
    while !source.isAtEnd, hashes.count < 200 {
        hashes.append(source.bytes(upTo: 20).withUnsafeBytes { KeyHash.of($0) })
    }
    var output = RawBuffer(capacity: 256)
    BloomFilter.build(hashes, bitsPerKey: bitsPerKey, into: &output)
    let memory = AlignedBytes(output.copied())
    memory.withBytes { bytes in
        do throws(DecodingFailure) {
            let filter = try BloomFilter.validate(bytes)
            for hash in hashes { expect(filter.mayContain(hash), "a filter denies no key that it was built from") }
        } catch {
            violated("a filter that was built is valid: \(error.what)")
        }
    }
}

/// kind: u8 │ bytes
private func runIndex(_ bytes: UnsafeRawBufferPointer) {
    var source = ByteSource(bytes)
    let kind = source.below(5)
    if kind == 0 { return expectSeparator(&source) }
    let memory = AlignedBytes(source.rest())
    memory.withBytes { bytes in
        do throws(DecodingFailure) {
            switch kind {
            case 1:
                let partition = try IndexPartition(decoding: bytes)
                let again = partition.encode()
                expect(again.count <= bytes.count, "an index entry has no shorter form than that which is written")
            case 2:
                let handle = try BlockHandle(leafPayload: bytes)
                expect(handle.encode().count <= bytes.count, "a handle has no shorter form than that which is written")
                _ = handle.end
            case 3:
                let properties = try TableProperties.decode(bytes, number: 7)
                let encoded = properties.encode()
                let again = try encoded.withUnsafeBufferPointer { bytes throws(DecodingFailure) in
                    try TableProperties.decode(UnsafeRawBufferPointer(bytes), number: 7)
                }
                expect(again == properties, "properties are decoded as they were encoded")
            default: try expectRangeDeletions(RangeDeletion.decodeAll(bytes))
            }
        } catch {}
    }
}

private func expectSeparator(_ source: inout ByteSource) {
    var shared = source.bytes(upTo: 10)
    let last = shared + source.bytes(upTo: 20)
    shared += source.rest()
    guard !last.isEmpty, compareBytes(last, shared) < 0 else { return }
    let separator = last.withUnsafeBytes { a in shared.withUnsafeBytes { Separator.between(a, $0) } }
    expect(compareBytes(last, separator) <= 0, "a separator is not less than what it follows")
    expect(compareBytes(separator, shared) < 0, "a separator is less than what it precedes")
    expect(separator.count <= last.count, "a separator is no longer than what it follows")
}

private func expectRangeDeletions(_ deletions: [RangeDeletion]) throws(DecodingFailure) {
    var output = RawBuffer(capacity: 256)
    output.append(contentsOf: deletions)
    let encoded = output.copied()
    let again = try encoded.withUnsafeBufferPointer { bytes throws(DecodingFailure) in
        try RangeDeletion.decodeAll(UnsafeRawBufferPointer(bytes))
    }
    expect(
        again.count == deletions.count
            && zip(again, deletions).allSatisfy {
                $0.start == $1.start && $0.end == $1.end && $0.sequence == $1.sequence
            },
        "range deletions are decoded as they were encoded"
    )
    let set = RangeDeletions(deletions)
    for key in deletions.prefix(20).flatMap({ [$0.start, $0.end] }) {
        let expected =
            deletions.filter { compareBytes($0.start, key) <= 0 && compareBytes(key, $0.end) < 0 }
            .map(\.sequence).max() ?? .zero
        let found = key.withUnsafeBytes { set.newestSequence(covering: $0, atMost: .max) }
        expect(found == expected, "the newest range deletion of a key is found")
    }
}

private let indexSeeds: @Sendable () -> [String: [UInt8]] = {
    let partition = IndexPartition(
        leaf: BlockHandle(offset: 5000, byteCount: 300),
        filter: BlockHandle(offset: 4000, byteCount: 900),
        firstBlock: 256,
        blockCount: 17
    )
    var metadata = TableSummary(number: 7, createdAt: 5).metadata
    metadata.smallest = [1]
    metadata.largest = [2]
    metadata.blobReferences = [BlobFileShare(file: 3, byteCount: 90, valueCount: 1)]
    let properties = TableProperties(metadata: metadata, dataBlockCount: 3, partitionCount: 1, keyspace: 4)
    var deletions = RawBuffer(capacity: 256)
    deletions.append(contentsOf: [
        RangeDeletion(start: [1], end: [5], sequence: SequenceNumber(9)),
        RangeDeletion(start: [2], end: [7, 0], sequence: SequenceNumber(4)),
    ])
    return [
        "separator": [0, 2, 0x61, 0x62, 3, 0x61, 0xFF, 0x01, 0x62, 0x63], "partition": [1] + partition.encode(),
        "handle": [2] + partition.leaf.encode(), "properties": [3] + properties.encode(),
        "deletions": [4] + deletions.copied(),
    ]
}
