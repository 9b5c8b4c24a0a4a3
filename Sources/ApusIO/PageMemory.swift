// Memory straight from the system, for arenas: address space is reserved at once, pages appear when touched.
// Swift's allocator would do for small blocks; what it cannot do is huge pages, which take a page fault off every
// 4 KiB of a filling memtable.

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// One anonymous mapping, zero-filled, unmapped when the last reference goes.
///
/// Invariant of the unsafe part: `base` points to `byteCount` readable and writable bytes for the object's lifetime.
/// The object synchronises nothing; who shares the bytes between threads orders the accesses (`@unchecked Sendable`).
public final class PageMemory: @unchecked Sendable {
    public let base: UnsafeMutableRawPointer
    public let byteCount: Int

    /// nil if the system has no address space left.
    public init?(byteCount: Int) {
        let pageByteCount = Int(sysconf(Int32(_SC_PAGESIZE)))
        let rounded = max((byteCount + pageByteCount - 1) / pageByteCount * pageByteCount, pageByteCount)
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
        munmap(base, byteCount)
    }
}
