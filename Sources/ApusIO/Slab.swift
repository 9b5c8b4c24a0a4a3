// Memory in pieces of one huge page, for allocators of small objects that live long and are looked at in random order.

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Zero-filled pieces of 2 MiB, aligned to their size, so that the address of anything inside leads to the beginning.
public enum Slab {
    public static let byteCount = 2 << 20

    /// True if a sanitizer watches this process. It sees what happens to freed memory only if the system's allocator
    /// does the freeing.
    public static let isWatched: Bool = {
        let everything = UnsafeMutableRawPointer(bitPattern: 0)  // RTLD_DEFAULT
        return ["__asan_init", "__tsan_init", "__msan_init"].contains { (name: String) in dlsym(everything, name) != nil
        }
    }()

    /// Maps a piece; nil if the system has no address space left.
    /// - Parameter isHuge: asks for one huge page, which is all in memory from the first touch on. Advice, so a refusal
    ///   does no harm.
    public static func map(isHuge: Bool) -> UnsafeMutableRawPointer? {
        // Twice as much holds an aligned piece; the rest goes back.
        let mapped = mmap(nil, 2 * byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON | MAP_NORESERVE, -1, 0)
        guard let mapped, mapped != MAP_FAILED else { return nil }
        let before = (byteCount - Int(bitPattern: mapped) & (byteCount - 1)) & (byteCount - 1)
        let start = mapped + before
        if before > 0 { munmap(mapped, before) }
        munmap(start + byteCount, byteCount - before)
        #if os(Linux)
        let adviseHugePages: Int32 = 14  // MADV_HUGEPAGE, a macro that Musl hides
        if isHuge { _ = madvise(start, byteCount, adviseHugePages) }
        #endif
        return start
    }

    /// - Precondition: `start` came from `map`, and nobody uses the piece any more.
    public static func unmap(_ start: UnsafeMutableRawPointer) {
        munmap(start, byteCount)
    }
}
