// Codecs: what goes in comes out, and damaged input fails within its bounds.

import Testing

@testable import Apus

@Suite struct CompressionTests {
    private func compress(_ codec: Codec, _ input: [UInt8], room: Int) -> [UInt8]? {
        var output = [UInt8](repeating: 0, count: max(room, 1))
        let count = input.withUnsafeBytes { input in
            output.withUnsafeMutableBytes { codec.compress(input, into: .init(rebasing: $0[..<room])) }
        }
        return count.map { Array(output[..<$0]) }
    }

    private func decompress(_ codec: Codec, _ input: [UInt8], to byteCount: Int) -> [UInt8]? {
        var output = [UInt8](repeating: 0xAA, count: byteCount + 16)
        let isWhole = input.withUnsafeBytes { input in
            output.withUnsafeMutableBytes { codec.decompress(input, into: .init(rebasing: $0[..<byteCount])) }
        }
        #expect(output[byteCount...].allSatisfy { $0 == 0xAA }, "wrote beyond its output")
        return isWhole ? Array(output[..<byteCount]) : nil
    }

    @Test(arguments: [Codec.lz4, .zstd], [1, 100, 4096, 300_000])
    func compressedBytesComeBack(_ codec: Codec, _ count: Int) {
        var random = TestRandom(seed: UInt64(count))
        let input = (0..<count).map { $0 % 3 == 0 ? UInt8(truncatingIfNeeded: random.next()) & 3 : 0 }
        guard let compressed = compress(codec, input, room: count + 1000) else {
            Issue.record("not compressed")
            return
        }
        #expect(codec.canExpand(compressed.count, to: count))
        #expect(decompress(codec, compressed, to: count) == input)
        #expect(decompress(codec, compressed, to: count + 1) == nil)
        if count > 1 { #expect(decompress(codec, compressed, to: count - 1) == nil) }
    }

    @Test(arguments: [Codec.lz4, .zstd])
    func resultThatDoesNotFitIsNoResult(_ codec: Codec) {
        var random = TestRandom(seed: 4)
        #expect(compress(codec, random.bytes(4096), room: 3584) == nil)
    }

    @Test(arguments: [Codec.lz4, .zstd])
    func zerosCompressWithinTheExpansionLimit(_ codec: Codec) {
        for count in [1000, 1 << 20, 64 << 20] {
            let compressed = compress(codec, [UInt8](repeating: 0, count: count), room: count)
            #expect(codec.canExpand(compressed!.count, to: count))
        }
    }

    @Test func claimsBeyondTheExpansionLimitAreRefused() {
        #expect(!Codec.lz4.canExpand(100, to: 26_000))
        #expect(!Codec.zstd.canExpand(10, to: 1 << 20))
        #expect(!Codec.zstd.canExpand(1 << 30, to: 1 << 31))
        #expect(!Codec.none.canExpand(10, to: 11))
        #expect(Codec.none.canExpand(10, to: 10))
    }

    @Test(arguments: [Codec.lz4, .zstd])
    func damagedInputFailsOrStaysWithinItsOutput(_ codec: Codec) {
        var random = TestRandom(seed: 9)
        let input = (0..<2000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        let compressed = compress(codec, input, room: 4000)!
        for _ in 0..<2000 {
            var bad = compressed
            bad[Int.random(in: bad.indices, using: &random)] = UInt8(truncatingIfNeeded: random.next())
            bad.removeLast(Int.random(in: 0...3, using: &random))
            _ = decompress(codec, bad, to: input.count)
        }
    }
}
