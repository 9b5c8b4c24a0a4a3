// The bytes of one simulated file, and how to take back what was not synced.
//
// `bytes` is what reads see. Every change since the last sync is kept in order with the bytes it replaced (an undo log),
// so writing costs two copies and syncing costs nothing; only a crash looks at sectors (FileContent+Crash.swift).

import ApusIO

/// One change of a file since its last sync.
struct UnsyncedChange: Sendable {
    var offset: Int
    var byteCount: Int
    /// What stood at `offset` before. Shorter than `byteCount` where the file ended; zeros stood there.
    var old: [UInt8]
    var lengthBefore: Int
    /// The file was cut: journalled with its new length, so that bytes and length survive together or not at all.
    var isTruncation = false
}

struct FileContent: Sendable {
    /// The unit that reaches the disk whole or not at all.
    static let sectorByteCount = 512

    var bytes: [UInt8] = []
    var unsynced: [UnsyncedChange] = []
    /// By sector number: what the disk holds where a failed sync dropped the newer bytes that reads still see. The
    /// bytes may end early; zeros follow. No change in `unsynced` touches these sectors.
    var dropped: [Int: [UInt8]] = [:]

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) -> Int {
        guard offset < bytes.count else { return 0 }
        let count = min(buffer.count, bytes.count - offset)
        bytes.withUnsafeBytes { source in
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[offset..<offset + count]))
        }
        return count
    }

    mutating func write(_ source: UnsafeRawBufferPointer, at offset: Int) {
        guard !source.isEmpty else { return }
        let end = offset + source.count
        redirty(offset..<end)
        let length = bytes.count
        let overlap = offset..<max(offset, min(end, length))
        unsynced.append(
            UnsyncedChange(offset: offset, byteCount: source.count, old: copy(overlap), lengthBefore: length)
        )
        if offset > length { appendZeros(offset - length) }
        bytes.withUnsafeMutableBytes { target in
            UnsafeMutableRawBufferPointer(rebasing: target[overlap])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[..<overlap.count]))
        }
        bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: source[overlap.count...]))
    }

    /// Makes the file at least this long.
    mutating func extend(to byteCount: Int) {
        let length = bytes.count
        guard byteCount > length else { return }
        unsynced.append(UnsyncedChange(offset: length, byteCount: 0, old: [], lengthBefore: length))
        appendZeros(byteCount - length)
    }

    mutating func truncate(to byteCount: Int) {
        let length = bytes.count
        guard byteCount < length else { return extend(to: byteCount) }
        redirty(byteCount..<length)
        unsynced.append(
            UnsyncedChange(
                offset: byteCount,
                byteCount: length - byteCount,
                old: copy(byteCount..<length),
                lengthBefore: length,
                isTruncation: true
            )
        )
        bytes.removeLast(length - byteCount)
    }

    mutating func synchronize() {
        unsynced.removeAll()
    }

    /// Makes what reads see the durable state, whatever happened before.
    mutating func settle() {
        unsynced.removeAll()
        dropped.removeAll()
    }

    /// A change to a dropped sector makes the whole sector dirty again. What the disk holds there becomes the state
    /// before one more change, which brought the bytes that reads see.
    private mutating func redirty(_ range: Range<Int>) {
        guard !dropped.isEmpty else { return }
        let size = Self.sectorByteCount
        for sector in range.lowerBound / size...(range.upperBound - 1) / size {
            guard let old = dropped.removeValue(forKey: sector) else { continue }
            unsynced.append(
                UnsyncedChange(offset: sector * size, byteCount: size, old: old, lengthBefore: bytes.count)
            )
        }
    }

    func copy(_ range: Range<Int>) -> [UInt8] {
        if range.isEmpty { return [] }
        return [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
            bytes.withUnsafeBytes { source in
                UnsafeMutableRawBufferPointer(buffer).copyMemory(from: UnsafeRawBufferPointer(rebasing: source[range]))
            }
            count = range.count
        }
    }

    /// Appends by copying: filling byte by byte is slow in debug builds.
    mutating func appendZeros(_ count: Int) {
        var left = count
        bytes.reserveCapacity(bytes.count + count)
        Self.zeros.withUnsafeBytes { zeros in
            while left > 0 {
                let part = min(left, zeros.count)
                bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: zeros[..<part]))
                left -= part
            }
        }
    }

    private static let zeros = [UInt8](repeating: 0, count: 64 << 10)
}
