// How a piece of content is stored: compressed with zstd where that makes it smaller, as it is where not. The keyspace
// itself compresses nothing, so no byte is compressed twice, and log and memtables get the smaller form too.
//
//   codec: u8 (0 as it is, 1 zstd) │ byte count: varint │ bytes                                  — FORMAT.md §8.2
//
// A chunk that is kept as it is has no such header: who reads it knows its size from its list, and has the same number of
// bytes before them, which a compressed one never is.

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
        if isWorthTrying && compress(content, into: &output) { return }
        output.removeAll(keepingCapacity: true)
        output.append(ContentCodec.none.rawValue)
        output.appendVarint(UInt64(content.count))
        output.append(contentsOf: content)
    }

    /// Replaces `output` by the compressed form of `content`; false, and anything in `output`, if that would not be smaller
    /// than the content by one part in `leastGain`.
    static func compress(_ content: UnsafeRawBufferPointer, into output: inout [UInt8]) -> Bool {
        output.removeAll(keepingCapacity: true)
        output.append(ContentCodec.zstd.rawValue)
        output.appendVarint(UInt64(content.count))
        let start = output.count
        let limit = content.count - content.count / leastGain - start
        guard content.count > leastGain, limit > 0 else { return false }
        return ZstdContexts.shared.withCompression { context in
            guard let context else { return false }
            output.append(contentsOf: repeatElement(0, count: limit))
            let count = output.withUnsafeMutableBytes {
                ZSTD_compressCCtx(
                    context, $0.baseAddress! + start, limit, content.baseAddress, content.count, compressionLevel)
            }
            guard ZSTD_isError(count) == 0 else { return false }
            output.removeLast(limit - count)
            return true
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

    /// Calls `body` with the content of a chunk: where it lies, or decompressed into `scratch`. False if the chunk is damaged.
    static func withChunk(
        _ stored: UnsafeRawBufferPointer, byteCount: Int, scratch: inout [UInt8],
        _ body: (UnsafeRawBufferPointer) throws -> Void
    ) rethrows -> Bool {
        if stored.count == byteCount {
            try body(stored)
            return true
        }
        guard let header = header(of: stored, limit: byteCount), header.codec == .zstd, header.byteCount == byteCount
        else { return false }
        if scratch.count < byteCount { scratch = [UInt8](repeating: 0, count: byteCount) }
        let isWhole = scratch.withUnsafeMutableBytes {
            decode(stored, into: UnsafeMutableRawBufferPointer(rebasing: $0[..<byteCount]))
        }
        guard isWhole else { return false }
        try scratch.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[..<byteCount])) }
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
    /// A sample is a few stretches from one end of the piece to the other.
    private static let stretchCount = 4
    private static let stretchByteCount = 384
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

    /// Whether a sample of the bytes is so unevenly distributed that an entropy code alone would gain: its collision
    /// probability, which is 1/256 for random bytes, is more than a quarter above that.
    private static func isUneven(_ content: UnsafeRawBufferPointer) -> Bool {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 256) { histogram in
            histogram.initialize(repeating: 0)
            for stretch in 0..<stretchCount {
                let start = (content.count - stretchByteCount) / (stretchCount - 1) * stretch
                for index in start..<start + stretchByteCount { histogram[Int(content[index])] &+= 1 }
            }
            let collisions = histogram.reduce(0) { $0 + UInt64($1) * UInt64($1 &- ($1 > 0 ? 1 : 0)) }
            let count = UInt64(stretchCount * stretchByteCount)
            return collisions * 4 > count * (count - 1) / 256 * 5
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
