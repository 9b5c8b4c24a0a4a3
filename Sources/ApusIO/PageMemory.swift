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

    /// Where pages that have been asked for ahead of their use end. Belongs to whoever fills the memory.
    @exclusivity(unchecked) private var warmedByteCount = 0

    private static let largestBlock = 64 << 10
    private static let hugePageByteCount = 2 << 20
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
        // Small users stay small: the first 2 MiB come in ordinary pages.
        if rounded > Self.hugePageByteCount { Self.adviseHugePages(mapped + Self.hugePageByteCount, mapped + rounded) }
        #endif
    }

    /// Asks for huge pages under memory that is about to be filled for the first time, as far as whole ones fit into it.
    package static func adviseHugePages(_ memory: UnsafeMutableRawBufferPointer) {
        #if os(Linux)
        guard let base = memory.baseAddress, memory.count >= 2 * hugePageByteCount else { return }
        let start = base.alignedUp(toMultipleOf: hugePageByteCount)
        adviseHugePages(start, (base + memory.count).alignedDown(toMultipleOf: hugePageByteCount))
        #endif
    }

    #if os(Linux)
    /// Advice, so a refusal does no harm.
    private static func adviseHugePages(_ start: UnsafeMutableRawPointer, _ end: UnsafeMutableRawPointer) {
        let adviseHugePages: Int32 = 14  // MADV_HUGEPAGE, a macro that Musl hides
        _ = madvise(start, end - start, adviseHugePages)
    }
    #endif

    /// For memory that is filled from front to back: has the next few megabytes made ready by another thread, because the
    /// system clears every page first, which takes longer than filling it. Memory that has been used before is ready.
    ///
    /// - Parameter used: how far it is filled.
    /// - Returns: how far it will be filled when it is time to ask again.
    public func warm(ahead used: Int) -> Int {
        #if os(Linux)
        let page = Self.hugePageByteCount
        guard isMapped, byteCount > 4 * page else { return .max }
        // The page after the next: the writer may be in the next before anybody else is.
        let start = (used / page + 2) * page
        let end = min(start + page, byteCount)
        if start < end, end > warmedByteCount {
            warmedByteCount = end
            PageHelper.shared.run {
                let populateForWriting: Int32 = 23  // MADV_POPULATE_WRITE, a macro; Linux 5.14
                _ = madvise(self.base + start, end - start, populateForWriting)
            }
        }
        return start - page
        #else
        return .max
        #endif
    }

    deinit {
        if isMapped { munmap(base, byteCount) } else { base.deallocate() }
    }
}
