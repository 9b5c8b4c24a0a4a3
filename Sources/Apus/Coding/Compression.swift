// The codecs of stored blocks and values, over LZ4 and zstd: one-shot, into memory whose size is known beforehand, so
// hostile input can at most fail.

import ApusIO
import CLZ4
import CZstd

/// How bytes are stored. On disk: never renumber, never reuse.  FORMAT.md §2.5
enum Codec: UInt8, Sendable, CaseIterable {
    case none = 0
    case lz4 = 1
    case zstd = 2

    /// Compresses `input` into `output`; nil if the result would not fit there. With `none` always nil: such
    /// bytes are stored as they are.
    ///
    /// - Parameter haste: LZ4's acceleration. 2 takes two thirds of the time where data repeats at short distances, and costs
    ///   a twentieth of the gain in text.
    func compress(
        _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer, haste: Int32 = 1
    ) -> Int? {
        guard let source = input.baseAddress, let target = output.baseAddress else { return nil }
        switch self {
        case .none:
            return nil
        case .lz4:
            guard let sourceCount = Int32(exactly: input.count), sourceCount <= LZ4_MAX_INPUT_SIZE else { return nil }
            let count = LZ4_compress_fast(
                source.assumingMemoryBound(to: CChar.self),
                target.assumingMemoryBound(to: CChar.self),
                sourceCount,
                Int32(clamping: output.count),
                haste
            )
            return count > 0 ? Int(count) : nil
        case .zstd:
            return ZstdContexts.shared.withCompression { context in
                guard let context else { return nil }
                let count = ZSTD_compressCCtx(
                    context,
                    target,
                    output.count,
                    source,
                    input.count,
                    ZstdContexts.compressionLevel
                )
                return ZSTD_isError(count) == 0 ? count : nil
            }
        }
    }

    /// Fills `output` exactly; false if `input` is damaged or stands for another number of bytes.
    func decompress(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Bool {
        guard let source = input.baseAddress, let target = output.baseAddress else { return false }
        switch self {
        case .none:
            guard input.count == output.count else { return false }
            target.copyMemory(from: source, byteCount: input.count)
            return true
        case .lz4:
            guard let sourceCount = Int32(exactly: input.count), let targetCount = Int32(exactly: output.count) else {
                return false
            }
            let count = LZ4_decompress_safe(
                source.assumingMemoryBound(to: CChar.self),
                target.assumingMemoryBound(to: CChar.self),
                sourceCount,
                targetCount
            )
            return count == targetCount
        case .zstd:
            return ZstdContexts.shared.withDecompression { context in
                guard let context else { return false }
                return ZSTD_decompressDCtx(context, target, output.count, source, input.count) == output.count
            }
        }
    }

    /// Whether `storedByteCount` bytes can stand for `byteCount` bytes at all: asked before memory is allocated on the
    /// word of a file. LZ4 expands at most 255-fold; zstd at most from 4 bytes to a 128 KiB block.
    func canExpand(_ storedByteCount: Int, to byteCount: Int) -> Bool {
        guard byteCount >= 0 && byteCount <= Self.maximumByteCount else { return false }
        return switch self {
        case .none: byteCount == storedByteCount
        case .lz4: byteCount / 255 <= storedByteCount
        case .zstd: byteCount >> 15 <= storedByteCount
        }
    }

    /// No block or value is larger.
    static let maximumByteCount = Int(Int32.max)
}

/// zstd's working memory, which costs more to set up than a block costs to decompress: kept and lent out.
///
/// Invariant: a context is in the pool or in use by one caller, never both.
private final class ZstdContexts: Sendable {
    static let shared = ZstdContexts()
    static let compressionLevel: Int32 = 3
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
            let isKept = pool.withLock { Self.keep(context, in: &$0.compressing) }
            if !isKept { ZSTD_freeCCtx(context) }
        }
        return body(context)
    }

    /// `body` gets nil if there is no memory.
    func withDecompression<Result>(_ body: (OpaquePointer?) -> Result) -> Result {
        let context = pool.withLock { $0.decompressing.popLast() } ?? ZSTD_createDCtx()
        defer {
            let isKept = pool.withLock { Self.keep(context, in: &$0.decompressing) }
            if !isKept { ZSTD_freeDCtx(context) }
        }
        return body(context)
    }

    private static func keep(_ context: OpaquePointer?, in kept: inout [OpaquePointer]) -> Bool {
        guard let context, kept.count < keptCount else { return false }
        kept.append(context)
        return true
    }
}
