// How a piece of content is stored: compressed with zstd where that makes it smaller, as it is where not. The keyspace
// itself compresses nothing, so no byte is compressed twice, and log and memtables get the smaller form too.
//
//   codec: u8 (0 as it is, 1 zstd) │ byte count: varint │ bytes                                  — FORMAT.md §8.2

import Apus
import ApusIO
import CZstd

enum ContentCodec: UInt8 {
    case none = 0
    case zstd = 1

    static let compressionLevel: Int32 = 3
    /// Less gained than one part in so many is not worth the decompression.
    private static let leastGain = 32

    /// Replaces `output` by the stored form of `content`.
    static func encode(_ content: UnsafeRawBufferPointer, into output: inout [UInt8], trying isWorthTrying: Bool) {
        output.removeAll(keepingCapacity: true)
        output.append(ContentCodec.zstd.rawValue)
        output.appendVarint(UInt64(content.count))
        let headerByteCount = output.count
        if isWorthTrying, content.count > leastGain,
            let compressed = compress(content, into: &output, limit: content.count - content.count / leastGain)
        {
            output.removeLast(output.count - headerByteCount - compressed)
            return
        }
        output.removeLast(output.count - headerByteCount)
        output[0] = ContentCodec.none.rawValue
        output.append(contentsOf: content)
    }

    /// Appends up to `limit` bytes; nil if that is not enough.
    private static func compress(
        _ content: UnsafeRawBufferPointer, into output: inout [UInt8], limit: Int
    ) -> Int? {
        let start = output.count
        return ZstdContexts.shared.withCompression { context -> Int? in
            guard let context else { return nil }
            output.append(contentsOf: repeatElement(0, count: limit))
            let count = output.withUnsafeMutableBytes {
                ZSTD_compressCCtx(
                    context, $0.baseAddress! + start, limit, content.baseAddress, content.count, compressionLevel)
            }
            return ZSTD_isError(count) == 0 ? count : nil
        }
    }

    /// How many bytes the stored form stands for; nil if it is none, or stands for more than `limit`.
    static func contentByteCount(of stored: UnsafeRawBufferPointer, limit: Int) -> Int? {
        header(of: stored, limit: limit)?.byteCount
    }

    /// Fills `output` exactly; false if the stored form is damaged or stands for another number of bytes.
    static func decode(_ stored: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Bool {
        guard let header = header(of: stored, limit: output.count), header.byteCount == output.count else {
            return false
        }
        let bytes = UnsafeRawBufferPointer(rebasing: stored[header.offset...])
        switch header.codec {
        case .none:
            output.copyMemory(from: bytes)
            return true
        case .zstd:
            return ZstdContexts.shared.withDecompression { context in
                guard let context, let target = output.baseAddress, let source = bytes.baseAddress else { return false }
                return ZSTD_decompressDCtx(context, target, output.count, source, bytes.count) == output.count
            }
        }
    }

    /// Calls `body` with the content: where it lies, or decompressed into `scratch`. False if the stored form is damaged
    /// or stands for more than `limit` bytes.
    static func withContent(
        of stored: UnsafeRawBufferPointer, limit: Int, scratch: inout [UInt8],
        _ body: (UnsafeRawBufferPointer) throws -> Void
    ) rethrows -> Bool {
        guard let header = header(of: stored, limit: limit) else { return false }
        if header.codec == .none {
            try body(UnsafeRawBufferPointer(rebasing: stored[header.offset...]))
            return true
        }
        if scratch.count < header.byteCount { scratch = [UInt8](repeating: 0, count: header.byteCount) }
        let isWhole = scratch.withUnsafeMutableBytes {
            decode(stored, into: UnsafeMutableRawBufferPointer(rebasing: $0[..<header.byteCount]))
        }
        guard isWhole else { return false }
        try scratch.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[..<header.byteCount])) }
        return true
    }

    private static func header(
        of stored: UnsafeRawBufferPointer, limit: Int
    ) -> (codec: ContentCodec, byteCount: Int, offset: Int)? {
        var reader = StoreByteReader(stored)
        guard let codec = reader.byte().flatMap(ContentCodec.init(rawValue:)),
            let byteCount = reader.varint().flatMap({ Int(exactly: $0) }), byteCount <= limit
        else { return nil }
        if codec == .none && reader.remainingByteCount != byteCount { return nil }
        return (codec, byteCount, reader.offset)
    }
}

/// Decides which pieces are worth an attempt at compression, so that media and archives cost next to none.
///
/// A piece is tried if a sample of its bytes is distributed unevenly, which nearly everything compressible is. Even
/// bytes may still repeat, so they are tried too, as long as that succeeds: after a failure the next one, then two, four
/// and so on up to 32 are stored as they are.
struct CompressionTrial: Sendable {
    private var skipped = 0
    private var skipping = 0
    private static let largestSkip = 32
    private static let sampleByteCount = 4096
    /// Pieces smaller than this are simply tried.
    private static let smallByteCount = 2048

    mutating func isWorthTrying(_ content: UnsafeRawBufferPointer) -> Bool {
        if content.count < Self.smallByteCount || Self.isUneven(content) { return true }
        if skipped < skipping {
            skipped += 1
            return false
        }
        skipped = 0
        return true
    }

    /// Tells what came of an attempt.
    mutating func note(isCompressed: Bool) {
        skipping = isCompressed ? 0 : min(max(1, 2 * skipping), Self.largestSkip)
    }

    /// Whether the bytes of a sample from the middle are so unevenly distributed that an entropy code alone would gain:
    /// their collision probability, which is 1/256 for random bytes, is more than a quarter above that.
    private static func isUneven(_ content: UnsafeRawBufferPointer) -> Bool {
        let count = min(content.count, sampleByteCount)
        let start = (content.count - count) / 2
        return withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 256) { histogram in
            histogram.initialize(repeating: 0)
            for index in start..<start + count { histogram[Int(content[index])] &+= 1 }
            let collisions = histogram.reduce(0) { $0 + UInt64($1) * UInt64($1 &- ($1 > 0 ? 1 : 0)) }
            let expected = UInt64(count) * UInt64(count - 1) / 256
            return collisions * 4 > expected * 5
        }
    }
}

/// zstd's working memory, which costs more to set up than a chunk costs to decompress: kept and lent out.
///
/// Invariant: a context is in the pool or in use by one caller, never both.
private final class ZstdContexts: Sendable {
    static let shared = ZstdContexts()
    /// Contexts kept beyond their use; more are made and freed when more threads work at once.
    private static let keptCount = 4

    private struct Pool {
        var compressing: [OpaquePointer] = []
        var decompressing: [OpaquePointer] = []
    }
    private let pool = Monitor(Pool())

    /// `body` gets nil if there is no memory.
    func withCompression<Result>(_ body: (OpaquePointer?) -> Result) -> Result {
        let context = pool.withLock { $0.compressing.popLast() } ?? ZSTD_createCCtx()
        defer {
            if !pool.withLock({ Self.keep(context, in: &$0.compressing) }) { ZSTD_freeCCtx(context) }
        }
        return body(context)
    }

    /// `body` gets nil if there is no memory.
    func withDecompression<Result>(_ body: (OpaquePointer?) -> Result) -> Result {
        let context = pool.withLock { $0.decompressing.popLast() } ?? ZSTD_createDCtx()
        defer {
            if !pool.withLock({ Self.keep(context, in: &$0.decompressing) }) { ZSTD_freeDCtx(context) }
        }
        return body(context)
    }

    private static func keep(_ context: OpaquePointer?, in kept: inout [OpaquePointer]) -> Bool {
        guard let context, kept.count < keptCount else { return false }
        kept.append(context)
        return true
    }
}
