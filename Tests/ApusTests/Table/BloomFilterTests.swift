// Filters: no false negative ever, few false positives, and bytes and hash frozen.

import Testing

@testable import Apus

@Suite struct BloomFilterTests {
    private func hash(_ key: [UInt8]) -> UInt64 { key.withUnsafeBytes { KeyHash.of($0) } }

    private func withFilter(_ hashes: [UInt64], bitsPerKey: Int, _ body: (BloomFilter) -> Void) throws {
        var output = RawBuffer(capacity: 64)
        BloomFilter.build(hashes, bitsPerKey: bitsPerKey, into: &output)
        try output.copy().withUnsafeBytes { body(try BloomFilter.validate($0)) }
    }

    @Test(arguments: [1, 2, 4, 10, 16, 30])
    func everyAddedKeyMayBeContained(_ bitsPerKey: Int) throws {
        for count in [0, 1, 2, 51, 52, 1000] {
            let hashes = (0..<count).map { hash([UInt8($0 >> 8), UInt8($0 & 255)]) }
            try withFilter(hashes, bitsPerKey: bitsPerKey) { filter in
                for hash in hashes { #expect(filter.mayContain(hash)) }
            }
        }
    }

    @Test func tenBitsPassOneAbsentKeyInAHundred() throws {
        var random = TestRandom(seed: 5)
        let present = (0..<20_000).map { _ in hash(random.bytes(16)) }
        try withFilter(present, bitsPerKey: 10) { filter in
            let passed = (0..<100_000).count { _ in filter.mayContain(hash(random.bytes(16))) }
            #expect(passed < 1300, "\(passed) of 100,000")
        }
    }

    @Test func sequentialKeysHashApart() {
        var buckets = [Int](repeating: 0, count: 64)
        for index in 0..<64_000 { buckets[Int(hash(Array("key\(index)".utf8)) >> 58)] += 1 }
        #expect(buckets.allSatisfy { (850...1150).contains($0) })
        #expect(Set((0...40).map { hash([UInt8](repeating: 0, count: $0)) }).count == 41)
    }

    @Test func hashAndBytesAreFrozen() throws {
        #expect(hash([]) == frozenHashes[0])
        #expect(hash([1]) == frozenHashes[1])
        #expect(hash([1, 2, 3, 4]) == frozenHashes[2])
        #expect(hash(Array(0..<8)) == frozenHashes[3])
        #expect(hash(Array(0..<16)) == frozenHashes[4])
        #expect(hash(Array(0..<17)) == frozenHashes[5])
        #expect(hash(Array(0..<100)) == frozenHashes[6])
        var output = RawBuffer(capacity: 64)
        BloomFilter.build([0x8000_0000_1234_5678, 1], bitsPerKey: 10, into: &output)
        let bytes = output.copy()
        #expect(bytes.count == 80)
        #expect(Array(bytes[..<16]) == [1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        let bits = (0..<512).filter { bytes[16 + $0 / 8] >> UInt8($0 % 8) & 1 == 1 }
        #expect(bits == frozenBits)
    }

    /// Computed by an independent implementation of FORMAT.md §4.5.
    private let frozenHashes: [UInt64] = [
        0x50E3_AA9B_387D_CBED,
        0xCB63_9A76_7A2F_BFDD,
        0x875B_B057_35BE_2D5B,
        0xF60F_5CF6_CCFE_43C6,
        0x9C51_A062_E3E7_87EE,
        0x79B6_8CF4_8366_4A94,
        0x9BCF_C1C1_B954_3DB0,
    ]
    private let frozenBits = [0, 36, 107, 172, 230, 272, 316, 327, 410, 445, 454, 487]

    @Test func filterWithImpossibleShapeIsRefused() {
        var output = RawBuffer(capacity: 64)
        BloomFilter.build([1, 2, 3], bitsPerKey: 10, into: &output)
        let good = output.copy()
        for (position, value) in [(0, UInt8(2)), (0, 0), (3, 0xFF), (4, 0), (4, 17), (5, 1)] {
            var bytes = good
            bytes[position] = value
            _ = bytes.withUnsafeBytes { bytes in
                #expect(throws: DecodingFailure.self) { _ = try BloomFilter.validate(bytes) }
            }
        }
    }
}
