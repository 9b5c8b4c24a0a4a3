// The layout of a block: data blocks, index leaves and the index root are all written this way.  FORMAT.md §4.2
//
//   entry count: u32 │ prefix length: u24 │ offset width: u8 (2 or 4) │ base sequence: u64
//   prefix, zero-padded to a multiple of 8
//   heads:   u64 per entry, in Eytzinger order
//   offsets: u16 or u32 per entry, in Eytzinger order; from the start of the entries
//   entries, in key order, without gaps:
//     rest length: varint │ kind: u8 │ sequence - base: varint │ payload length: varint │ suffix │ payload
//
// A key is: the prefix that all keys of the block share, then the rest. The first 8 bytes of the rest, zero-padded,
// are the head; what is left of it is the suffix. A search touches the first line of the block, one or two lines of
// heads, one of offsets, and the entry: 3–4 times faster than restart points.
//
// Eytzinger order is the breadth-first order of a complete binary search tree: a search walks from node 1 to 2k or
// 2k + 1, so that its first steps share cache lines. Ranks and nodes convert in closed form.

enum BlockFormat {
    static let headerByteCount = 16
    /// Bytes of a column entry: head and narrow offset.
    static let columnByteCount = 10
    /// Of an entry without suffix and payload: rest length (at most 65,536), kind, sequence, payload length.
    static let maximumEntryHeaderByteCount = 3 + 1 + 8 + 5

    @inline(__always)
    static func headsOffset(prefixCount: Int) -> Int { headerByteCount &+ ((prefixCount &+ 7) & ~7) }

    static func header(entryCount: Int, prefixCount: Int, offsetWidth: Int) -> UInt64 {
        UInt64(entryCount) | UInt64(prefixCount) << 32 | UInt64(offsetWidth) << 56
    }
}

/// The arithmetic of a complete binary search tree of `count` nodes in breadth-first order. Nodes count from 1, ranks
/// (positions in key order) from 0.
///
/// Fill the tree's last level up in thought: then the in-order position of a node follows from its depth and its place
/// there. Positions of the last level are the odd ones; those beyond `2 * lastLevelCount` do not exist.
struct EytzingerOrder {
    /// Levels below the root.
    private let height: Int
    private let lastLevelCount: Int

    /// - Precondition: `count` is at least 1.
    @inline(__always)
    init(count: Int) {
        height = 63 &- count.leadingZeroBitCount
        lastLevelCount = count &- (1 &<< height) &+ 1
    }

    @inline(__always)
    func node(rank: Int) -> Int {
        let ordinal = rank &+ 1
        let position = ordinal <= 2 &* lastLevelCount ? ordinal : 2 &* (ordinal &- lastLevelCount)
        let levelsUp = position.trailingZeroBitCount
        return (position &>> (levelsUp &+ 1)) &+ (1 &<< (height &- levelsUp))
    }

    @inline(__always)
    func rank(node: Int) -> Int {
        let depth = 63 &- node.leadingZeroBitCount
        let position = (2 &* (node &- (1 &<< depth)) &+ 1) &<< (height &- depth)
        let ordinal = position <= 2 &* lastLevelCount ? position : position / 2 &+ lastLevelCount
        return ordinal &- 1
    }
}
