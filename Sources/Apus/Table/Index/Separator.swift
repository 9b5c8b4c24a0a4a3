// Keys of index entries: short, and between the blocks that they separate.

import ApusIO

enum Separator {
    /// The user key of an index entry that follows a block ending in `last` and precedes one beginning with `next`:
    /// a short key that is not less than `last` and less than `next`.
    ///
    /// - Precondition: `last` sorts before `next`.
    static func between(_ last: UnsafeRawBufferPointer, _ next: UnsafeRawBufferPointer) -> [UInt8] {
        let shared = commonPrefixCount(last, next)
        // `last` is a prefix of `next`, so nothing shorter is not less than it.
        if shared == last.count { return [UInt8](last) }
        if next.count > shared + 1 { return [UInt8](next[...shared]) }
        if last[shared] + 1 < next[shared] { return last[..<shared] + [last[shared] + 1] }
        // The first differing bytes are neighbours: round a later byte of `last` up.
        var position = shared + 1
        while position < last.count && last[position] == 0xFF { position += 1 }
        if position + 1 < last.count { return last[..<position] + [last[position] + 1] }
        return [UInt8](last)
    }
}
