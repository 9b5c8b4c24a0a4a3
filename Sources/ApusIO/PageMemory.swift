// Memory for arenas, straight from the system unless it is small: address space is reserved at once, pages appear when
// touched. What Swift's allocator cannot do is huge pages, which take a page fault off every 4 KiB of a filling memtable.

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Zero-filled memory, given back when the last reference goes: an anonymous mapping, or a block of the allocator if it
/// is small, which spares short-lived users two system calls and a page fault for every page.
///
/// Invariant of the unsafe part: `base` points to `byteCount` readable and writable bytes for the object's lifetime.
/// The object synchronises nothing; who shares the bytes between threads orders the accesses (`@unchecked Sendable`).
public final class PageMemory: @unchecked Sendable {
    public let base: UnsafeMutableRawPointer
    public let byteCount: Int
    private let isMapped: Bool

    private static let largestBlock = 64 << 10
    /// A cache line: what is laid out in such memory counts on it.
    private static let blockAlignment = 64

    /// nil if the system has no address space left.
    public init?(byteCount: Int) {
        let pageByteCount = Int(sysconf(Int32(_SC_PAGESIZE)))
        let rounded = max((byteCount + pageByteCount - 1) / pageByteCount * pageByteCount, pageByteCount)
        isMapped = rounded > Self.largestBlock
        guard isMapped else {
            base = .allocate(byteCount: rounded, alignment: Self.blockAlignment)
            base.initializeMemory(as: UInt8.self, repeating: 0, count: rounded)
            self.byteCount = rounded
            return
        }
        let mapped = mmap(nil, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON | MAP_NORESERVE, -1, 0)
        guard let mapped, mapped != MAP_FAILED else { return nil }
        base = mapped
        self.byteCount = rounded
        #if os(Linux)
        // Small users stay small: the first 2 MiB come in ordinary pages. Advice, so a refusal does no harm.
        let hugePageByteCount = 2 << 20
        if rounded > hugePageByteCount {
            let adviseHugePages: Int32 = 14  // MADV_HUGEPAGE, a macro that Musl hides
            _ = madvise(base + hugePageByteCount, rounded - hugePageByteCount, adviseHugePages)
        }
        #endif
    }

    deinit {
        if isMapped { munmap(base, byteCount) } else { base.deallocate() }
    }
}
