// Where content is cut into chunks: at places that the content itself decides, so that an insertion moves the cuts that
// follow with the bytes, and all chunks but one or two stay what they were.
//
// FastCDC (Xia et al., "FastCDC: a Fast and Efficient Content-Defined Chunking Approach for Data Deduplication",
// USENIX ATC 2016): a gear hash, one shift and one addition a byte; no cut before the smallest size, whose bytes are not
// even looked at; and normalised chunking, which makes cuts rarer before the wanted size and more frequent after it, so
// that sizes crowd around it. The hash shifts left, so its upper bits depend on the last 64 bytes: a cut is where enough
// of them are zero, which is one comparison.
//
// Readers do not depend on where the cuts are, but contents share chunks only if they were cut alike: the table and the
// sizes stay what they are.                                                                        — FORMAT.md §8.2

struct ContentChunker: Sendable {
    /// No chunk is smaller, the last one of a content aside.
    let minimum: Int
    /// The size that sizes crowd around.
    let normal: Int
    /// No chunk is larger.
    let maximum: Int
    /// A hash below it makes a cut before `normal`: two bits more than the wanted size asks for.
    private let rareBound: UInt64
    /// The same after `normal`: two bits fewer.
    private let frequentBound: UInt64

    /// As much content as one commit takes.
    var pageByteCount: Int { 64 * normal }

    static let standard = ContentChunker(minimum: 16 << 10, normalBits: 16, maximum: 256 << 10)

    init(minimum: Int, normalBits: Int, maximum: Int) {
        self.minimum = minimum
        normal = 1 << normalBits
        self.maximum = maximum
        rareBound = 1 << UInt64(64 - (normalBits + 2))
        frequentBound = 1 << UInt64(64 - (normalBits - 2))
        precondition(minimum > 0 && minimum < normal && normal < maximum)
    }

    /// The size of the first chunk of `bytes`: all of them if there is no cut. Whether a chunk that reaches the end of
    /// what there is so far is complete, the caller has to know.
    func firstChunk(of bytes: UnsafeRawBufferPointer) -> Int {
        if bytes.count <= minimum { return bytes.count }
        let limit = min(bytes.count, maximum)
        let turn = min(normal, limit)
        var hash: UInt64 = 0
        return Self.gear.withUnsafeBufferPointer { gear in
            cut(bytes, minimum..<turn, below: rareBound, &hash, gear)
                ?? cut(bytes, turn..<limit, below: frequentBound, &hash, gear)
                ?? limit
        }
    }

    /// The first place in `range` after which the hash is below `bound`.
    @inline(__always)
    private func cut(
        _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, below bound: UInt64, _ hash: inout UInt64,
        _ gear: UnsafeBufferPointer<UInt64>
    ) -> Int? {
        var index = range.lowerBound
        // Four bytes at a time: each of the four hashes is computed from the one before the group, so that the processor
        // need not wait for one of them to begin with the next.
        while index &+ 4 <= range.upperBound {
            let (first, second) = (gear[Int(bytes[index])], gear[Int(bytes[index &+ 1])])
            let (third, fourth) = (gear[Int(bytes[index &+ 2])], gear[Int(bytes[index &+ 3])])
            let pair = (first &<< 1) &+ second
            let hashes = (
                (hash &<< 1) &+ first, (hash &<< 2) &+ pair, (hash &<< 3) &+ (pair &<< 1) &+ third,
                (hash &<< 4) &+ ((pair &<< 2) &+ (third &<< 1) &+ fourth)
            )
            if min(min(hashes.0, hashes.1), min(hashes.2, hashes.3)) < bound { break }
            hash = hashes.3
            index &+= 4
        }
        while index < range.upperBound {
            hash = (hash &<< 1) &+ gear[Int(bytes[index])]
            index &+= 1
            if hash < bound { return index }
        }
        return nil
    }

    /// One random number for each byte: SplitMix64 from a fixed seed.
    static let gear: [UInt64] = {
        var state: UInt64 = 0x4170_7573_4765_6172
        return (0..<256).map { _ in
            state &+= 0x9E37_79B9_7F4A_7C15
            var word = state
            word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
            word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
            return word ^ (word >> 31)
        }
    }()
}
