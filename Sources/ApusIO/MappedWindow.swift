// A part of a file in memory, for a log that grows by small pieces: a store into a mapped page costs a few nanoseconds,
// a `pwrite` of the same bytes most of a microsecond.
//
// A store has no way to report an error: where the system cannot take it, the process gets a signal. So a window is
// used only where that cannot come to pass short of a dying machine: on file systems whose reserved space is really
// there, and on pages that the system has been asked to make writable beforehand, a call that does report errors.
// Everywhere else the file is written with calls.

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif
#if os(Linux)
import CLinuxVFS
#endif

/// Invariant of the unsafe part: `base` is a shared, writable mapping of `byteCount` bytes of a file from `offset` on,
/// which the file has, and which nobody cuts off while the window exists (files that are stored into are not made
/// shorter while they are open); it is unmapped with the object. One thread at a time stores.
final class MappedWindow: @unchecked Sendable {
    /// Large enough that not one put in a thousand meets its end, small enough to count for nothing in the process's memory.
    static let byteCount = 1 << 20
    /// What a writer makes ready that has to do it itself: takes some 25 µs.
    static let pieceByteCount = 64 << 10

    private let base: UnsafeMutableRawPointer
    private let offset: UInt64
    private let byteCount: Int
    /// Where the pages end that were made ready.
    @exclusivity(unchecked) private var readyByteCount = 0

    /// The window that begins with the page of `offset`. nil if the file ends there or the system refuses.
    /// - Parameter ready: how many bytes to make ready.
    init?(_ descriptor: Descriptor, at offset: UInt64, fileByteCount: UInt64, ready: Int = pieceByteCount) {
        let pageByteCount = UInt64(sysconf(Int32(_SC_PAGESIZE)))
        let start = offset / pageByteCount * pageByteCount
        guard fileByteCount > start else { return nil }
        let byteCount = Int(min(UInt64(Self.byteCount), (fileByteCount - start) / pageByteCount * pageByteCount))
        guard byteCount > 0, let fileOffset = off_t(exactly: start) else { return nil }
        let mapped = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, fileOffset)
        guard let mapped, mapped != MAP_FAILED else { return nil }
        #if os(Linux)
        // Without readahead the page cache gets pages one by one. Readahead would bring large folios, and making one
        // page of those writable walks over all of it: four times the cost a byte.
        madvise(mapped, byteCount, MADV_RANDOM)
        #endif
        base = mapped
        self.offset = start
        self.byteCount = byteCount
        if !prepare(from: offset, ready) { return nil }
    }

    deinit { munmap(base, byteCount) }

    /// The bytes of the file that it shows.
    var range: Range<UInt64> { offset..<(offset + UInt64(byteCount)) }

    /// Whether `count` bytes at `offset` can be stored.
    @inline(__always)
    func contains(_ offset: UInt64, _ count: Int) -> Bool {
        offset >= self.offset && offset &- self.offset &+ UInt64(count) <= UInt64(readyByteCount)
    }

    /// - Precondition: the window contains the place, and was prepared since the file was last synced.
    @inline(__always)
    func store(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) {
        guard let source = bytes.baseAddress else { return }
        (base + Int(offset &- self.offset)).copyMemory(from: source, byteCount: bytes.count)
    }

    /// Whether the window shows the place, and nothing between there and its end remains to be made ready.
    func isReady(from offset: UInt64) -> Bool { range.contains(offset) && readyByteCount == byteCount }

    /// Makes some pages from that of `offset` on present and writable, and says whether that worked. To be repeated after a
    /// sync: pages that are written back may be taken away, and would have to be read again.
    func prepare(from offset: UInt64, _ count: Int = pieceByteCount) -> Bool {
        #if os(Linux)
        let pageByteCount = Int(sysconf(Int32(_SC_PAGESIZE)))
        let start = Int(offset - self.offset) / pageByteCount * pageByteCount
        let end = min(start + max(count, 2 * pageByteCount), byteCount)
        let populateForWriting: Int32 = 23  // MADV_POPULATE_WRITE, a macro; Linux 5.14
        while madvise(base + start, end - start, populateForWriting) != 0 {
            if errno != EINTR && errno != EAGAIN { return false }
        }
        readyByteCount = end
        return true
        #else
        return false
        #endif
    }

    /// Whether space that was reserved in the file can be relied on, and a page of it become writable without asking
    /// for more: true of file systems that overwrite in place, not of those that write every change elsewhere, or do so
    /// where a copy of the file shares its blocks, as XFS does.
    static func isReliable(_ descriptor: Descriptor) -> Bool {
        #if os(Linux)
        var information = statfs()
        guard fstatfs(descriptor, &information) == 0 else { return false }
        let type = UInt32(truncatingIfNeeded: Int(information.f_type))
        // ext4 (and its ancestors), tmpfs.
        return [0xEF53, 0x0102_1994].contains(type)
        #else
        return false
        #endif
    }
}
