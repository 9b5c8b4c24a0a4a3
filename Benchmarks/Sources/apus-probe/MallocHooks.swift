// Counts every heap allocation of this program, by being its `malloc`.
//
// The dynamic linker takes the first definition that it finds, and looks in the program before it looks in libc: the
// functions below, exported under libc's names, therefore serve the whole process, the Swift runtime and all libraries
// included. The linker gives them those names (Package.swift), since the compiler keeps `malloc` for itself. They count
// and pass on to glibc's own entry points, whose names start with `__libc_`. The program checks that this works on the
// machine at hand before it trusts the count (HookCheck).

import Synchronization

enum Allocations {
    /// A constant of the program image: reading it runs no initialiser, which could itself allocate.
    static let count = Atomic<Int>(0)

    /// Allocations by all threads while `body` runs.
    static func during<Failure: Error>(_ body: () throws(Failure) -> Void) throws(Failure) -> Int {
        let before = count.load(ordering: .relaxed)
        try body()
        return count.load(ordering: .relaxed) - before
    }

    @inline(__always)
    fileprivate static func tick() {
        count.add(1, ordering: .relaxed)
    }
}

@_silgen_name("__libc_malloc")
private func libcMalloc(_ byteCount: Int) -> UnsafeMutableRawPointer?

@_silgen_name("__libc_calloc")
private func libcCalloc(_ count: Int, _ byteCount: Int) -> UnsafeMutableRawPointer?

@_silgen_name("__libc_realloc")
private func libcRealloc(_ pointer: UnsafeMutableRawPointer?, _ byteCount: Int) -> UnsafeMutableRawPointer?

@_silgen_name("__libc_memalign")
private func libcMemalign(_ alignment: Int, _ byteCount: Int) -> UnsafeMutableRawPointer?

@_cdecl("apus_counting_malloc")
public func countingMalloc(_ byteCount: Int) -> UnsafeMutableRawPointer? {
    Allocations.tick()
    return libcMalloc(byteCount)
}

@_cdecl("apus_counting_calloc")
public func countingCalloc(_ count: Int, _ byteCount: Int) -> UnsafeMutableRawPointer? {
    Allocations.tick()
    return libcCalloc(count, byteCount)
}

@_cdecl("apus_counting_realloc")
public func countingRealloc(_ pointer: UnsafeMutableRawPointer?, _ byteCount: Int) -> UnsafeMutableRawPointer? {
    Allocations.tick()
    return libcRealloc(pointer, byteCount)
}

@_cdecl("apus_counting_aligned_alloc")
public func countingAlignedAlloc(_ alignment: Int, _ byteCount: Int) -> UnsafeMutableRawPointer? {
    Allocations.tick()
    return libcMemalign(alignment, byteCount)
}

@_cdecl("apus_counting_posix_memalign")
public func countingPosixMemalign(
    _ result: UnsafeMutablePointer<UnsafeMutableRawPointer?>,
    _ alignment: Int,
    _ byteCount: Int
) -> CInt {
    Allocations.tick()
    let outOfMemory: CInt = 12
    guard let pointer = libcMemalign(alignment, byteCount) else { return outOfMemory }
    result.pointee = pointer
    return 0
}
