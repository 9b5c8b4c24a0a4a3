// A Bloom filter in lines of 512 bits: all probes of a key fall into one cache line, so a negative answer costs one
// miss (Putze, Sanders, Singler, "Cache-, hash- and space-efficient Bloom filters", 2007).  FORMAT.md §4.5
//
//   line count: u32 │ probes: u32 │ 0: u64 │ lines of 64 bytes
//
// The upper half of the hash picks the line, the lower half the bits: probe i takes the top 9 bits of
// (lower half × 0x9E3779B9^i) modulo 2^32; bit b of a line is bit b % 8 of its byte b / 8. At 10 bits a key one
// absent key in a hundred passes.

import ApusIO

/// A validated filter. Copying copies one pointer.
///
/// Invariant: `base` is 8-byte aligned and points to bytes that passed `validate`.
struct BloomFilter {
    private let base: UnsafeRawPointer

    static let headerByteCount = 16
    static let lineByteCount = 64
    private static let multiplier: UInt32 = 0x9E37_79B9

    @inline(__always)
    init(validated base: UnsafeRawPointer) { self.base = base }

    /// False only if no key with this hash was added.
    @inline(__always)
    func mayContain(_ hash: UInt64) -> Bool {
        let header = UInt64(littleEndian: base.load(as: UInt64.self))
        let line = base + Self.lineOffset(hash, lineCount: header & 0xFFFF_FFFF)
        var rest = UInt32(truncatingIfNeeded: hash)
        var probes = header >> 32
        while probes > 0 {
            let bit = Int(rest >> 23)
            let word = UInt64(littleEndian: line.load(fromByteOffset: (bit &>> 6) &* 8, as: UInt64.self))
            if word &>> UInt64(bit & 63) & 1 == 0 { return false }
            rest = rest &* Self.multiplier
            probes &-= 1
        }
        return true
    }

    /// Appends a filter of `hashes` to `output`.
    static func build(_ hashes: [UInt64], bitsPerKey: Int, into output: inout RawBuffer) {
        let lineCount = UInt64(max(1, (hashes.count * bitsPerKey + 511) / 512))
        let probes = probeCount(bitsPerKey: bitsPerKey)
        output.appendLittleEndian(UInt32(lineCount))
        output.appendLittleEndian(UInt32(probes))
        output.appendLittleEndian(UInt64(0))
        let byteCount = Int(lineCount) * lineByteCount
        let lines = output.extend(byteCount)
        lines.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        for hash in hashes {
            let line = lines + (lineOffset(hash, lineCount: lineCount) - headerByteCount)
            var rest = UInt32(truncatingIfNeeded: hash)
            for _ in 0..<probes {
                let bit = Int(rest >> 23)
                let byte = line.load(fromByteOffset: bit / 8, as: UInt8.self)
                line.storeBytes(of: byte | 1 << UInt8(bit % 8), toByteOffset: bit / 8, as: UInt8.self)
                rest = rest &* multiplier
            }
        }
    }

    /// Takes bytes from disk for a filter if its lines are there.
    static func validate(_ bytes: UnsafeRawBufferPointer) throws(DecodingFailure) -> BloomFilter {
        guard bytes.count >= headerByteCount + lineByteCount else { throw DecodingFailure(what: "filter is cut off") }
        let lineCount = Int(bytes.littleEndian(at: 0) as UInt32)
        let probes: UInt32 = bytes.littleEndian(at: 4)
        guard bytes.count - headerByteCount == lineCount * lineByteCount else {
            throw DecodingFailure(what: "filter of \(lineCount) lines has \(bytes.count) bytes")
        }
        guard (1...16).contains(probes) else { throw DecodingFailure(what: "filter with \(probes) probes") }
        return BloomFilter(validated: bytes.baseAddress!)
    }

    /// Multiplying by the count and keeping the upper half spreads the hash evenly without a division.
    @inline(__always)
    private static func lineOffset(_ hash: UInt64, lineCount: UInt64) -> Int {
        headerByteCount &+ Int(truncatingIfNeeded: ((hash >> 32) &* lineCount) >> 32) &* lineByteCount
    }

    /// The count with the fewest false positives, which is below bits × ln 2 because lines fill unevenly.
    private static func probeCount(bitsPerKey: Int) -> Int {
        switch bitsPerKey {
        case ...2: 1
        case 3: 2
        case 4...5: 3
        case 6: 4
        case 7...8: 5
        case 9...10: 6
        case 11: 7
        case 12...14: 8
        case 15...17: 9
        case 18...22: 10
        default: 12
        }
    }
}
