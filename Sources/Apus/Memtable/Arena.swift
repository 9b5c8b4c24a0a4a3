// The memory of one memtable: bytes are handed out front to back and come back all at once.
//
// Places in the arena are 32-bit offsets in units of 8 bytes: half the size of a pointer, and enough for 32 GiB.
//
//   byte 0    root word of the skiplist
//   byte 8    the entry with the empty key, which sorts before every other   (offset 1)
//   byte 24…  entries and nodes as they come

import ApusIO

/// A place in an arena, in units of 8 bytes. 0 is the root word, hence "none" for entries and nodes.
typealias ArenaOffset = UInt32

/// Bump allocation over one `PageMemory`. One writer; readers use the bytes through `SkipList`.
final class Arena {
    let memory: PageMemory
    let base: UnsafeMutableRawPointer
    /// Bytes handed out.
    @exclusivity(unchecked) private(set) var used = 8
    /// From here on the memory ahead is asked for. A small memtable never gets there.
    @exclusivity(unchecked) private var warmAt = 4 << 20

    init(memory: PageMemory) {
        self.memory = memory
        base = memory.base
    }

    /// `byteCount` bytes at a multiple of `alignment` (a power of two, at least 8), content arbitrary.
    /// - Precondition: there is room; see `Memtable.hasRoom`.
    @inline(__always)
    func allocate(byteCount: Int, alignment: Int = 8) -> ArenaOffset {
        let start = (used &+ alignment &- 1) & ~(alignment &- 1)
        let end = start &+ byteCount
        precondition(end <= memory.byteCount && start >> 3 <= Int(UInt32.max), "the arena of a memtable is full")
        used = end
        if end > warmAt { warmAt = memory.warm(ahead: end) }
        return ArenaOffset(truncatingIfNeeded: start >> 3)
    }
}

/// An entry in an arena: key length u32 │ payload length u32 │ trailer u64 │ key │ payload, padded to 8 bytes.
///
/// Invariant of the unsafe part: `base` is the start of a complete entry, which nobody writes to any more, in an
/// arena that outlives the view.
struct ArenaEntry {
    static let headerByteCount = 16

    let base: UnsafeRawPointer

    @inline(__always) var key: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base + 16, count: Int(base.load(as: UInt32.self)))
    }
    @inline(__always) var trailer: Trailer { Trailer(rawValue: base.load(fromByteOffset: 8, as: UInt64.self)) }
    @inline(__always) var payload: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: base + 16 + Int(base.load(as: UInt32.self)),
            count: Int(base.load(fromByteOffset: 4, as: UInt32.self))
        )
    }

    /// Bytes an entry takes, padding included.
    @inline(__always)
    static func byteCount(key: Int, payload: Int) -> Int { (headerByteCount &+ key &+ payload &+ 7) & ~7 }

    /// Writes an entry at `target`, which has room for it.
    @inline(__always)
    static func write(
        _ key: UnsafeRawBufferPointer,
        _ trailer: Trailer,
        _ payload: UnsafeRawBufferPointer,
        to target: UnsafeMutableRawPointer
    ) {
        target.storeBytes(of: UInt32(truncatingIfNeeded: key.count), as: UInt32.self)
        target.storeBytes(of: UInt32(truncatingIfNeeded: payload.count), toByteOffset: 4, as: UInt32.self)
        target.storeBytes(of: trailer.rawValue, toByteOffset: 8, as: UInt64.self)
        (target + headerByteCount).copyBytes(from: key)
        (target + headerByteCount + key.count).copyBytes(from: payload)
    }
}
