// Collects sorted entries and lays them out as a block.  FORMAT.md §4.2 (drawn in BlockFormat.swift)
//
// Entries are kept as they come and encoded at the end: the prefix that all keys share is only known then.

import ApusIO

/// One thread at a time. Reused for block after block; keeps its memory.
final class BlockBuilder {
    private struct Entry {
        var keyOffset: Int
        var payloadOffset: Int
        var keyCount: Int
        var payloadCount: Int
        var trailer: UInt64
    }

    @exclusivity(unchecked) private var keys = RawBuffer(capacity: 8 << 10)
    @exclusivity(unchecked) private var payloads = RawBuffer(capacity: 16 << 10)
    @exclusivity(unchecked) private var entries: [Entry] = []
    /// The encoded entries, and where each starts.
    @exclusivity(unchecked) private var body = RawBuffer(capacity: 16 << 10)
    @exclusivity(unchecked) private var offsets: [Int] = []
    /// Bytes that every key added so far begins with.
    @exclusivity(unchecked) private var sharedCount = 0
    /// Entry headers so far, each at its exact size but for the sequence number.
    @exclusivity(unchecked) private var entryHeaderByteCount = 0
    @exclusivity(unchecked) private var smallestSequence = UInt64.max

    var entryCount: Int { entries.count }
    var isEmpty: Bool { entries.isEmpty }

    /// Size of the block if it ended here: an upper bound, and close.
    var estimatedByteCount: Int {
        BlockFormat.headsOffset(prefixCount: sharedCount) + entries.count * BlockFormat.columnByteCount
            + entryHeaderByteCount + keys.count - entries.count * sharedCount + payloads.count
    }

    /// - Precondition: sorts after the entry before it.
    func add(_ key: UnsafeRawBufferPointer, _ trailer: UInt64, _ payload: UnsafeRawBufferPointer) {
        sharedCount =
            entries.isEmpty
            ? key.count : commonPrefixCount(key, UnsafeRawBufferPointer(rebasing: keys.bytes[..<sharedCount]))
        entries.append(
            Entry(
                keyOffset: keys.count,
                payloadOffset: payloads.count,
                keyCount: key.count,
                payloadCount: payload.count,
                trailer: trailer
            )
        )
        keys.append(key)
        payloads.append(payload)
        entryHeaderByteCount += 6 + varintByteCount(UInt64(payload.count))
        smallestSequence = min(smallestSequence, trailer >> 8)
    }

    /// The last key added. Valid until the next call.
    var lastKey: UnsafeRawBufferPointer { key(entries[entries.count - 1]) }
    var lastTrailer: UInt64 { entries[entries.count - 1].trailer }

    /// Appends the block to `output` and starts afresh.
    ///
    /// - Precondition: not empty.
    func finish(into output: inout RawBuffer) {
        precondition(!entries.isEmpty)
        // Encoded before the columns are, since they hold its offsets.
        for entry in entries {
            offsets.append(body.count)
            encode(entry)
        }
        let width = offsets[offsets.count - 1] > Int(UInt16.max) ? 4 : 2
        let start = output.count
        output.appendLittleEndian(
            BlockFormat.header(entryCount: entries.count, prefixCount: sharedCount, offsetWidth: width)
        )
        output.appendLittleEndian(smallestSequence)
        output.append(UnsafeRawBufferPointer(rebasing: keys.bytes[..<sharedCount]))
        while (output.count - start) % 8 != 0 { output.appendLittleEndian(UInt8(0)) }
        appendColumns(width, to: &output)
        output.append(body.bytes)
        reset()
    }

    private func appendColumns(_ width: Int, to output: inout RawBuffer) {
        let order = EytzingerOrder(count: entries.count)
        let heads = output.extend(entries.count * (8 + width))
        let column = heads + entries.count * 8
        for rank in 0..<entries.count {
            let position = order.node(rank: rank) - 1
            let head = keyHead(key(entries[rank]), from: sharedCount)
            heads.storeBytes(of: head.littleEndian, toByteOffset: position * 8, as: UInt64.self)
            if width == 4 {
                column.storeBytes(of: UInt32(offsets[rank]).littleEndian, toByteOffset: position * 4, as: UInt32.self)
            } else {
                column.storeBytes(of: UInt16(offsets[rank]).littleEndian, toByteOffset: position * 2, as: UInt16.self)
            }
        }
    }

    private func reset() {
        entries.removeAll(keepingCapacity: true)
        offsets.removeAll(keepingCapacity: true)
        body.truncate(to: 0)
        keys.truncate(to: 0)
        payloads.truncate(to: 0)
        sharedCount = 0
        entryHeaderByteCount = 0
        smallestSequence = .max
    }

    private func encode(_ entry: Entry) {
        let restCount = entry.keyCount - sharedCount
        body.appendVarint(UInt64(restCount))
        body.appendLittleEndian(UInt8(truncatingIfNeeded: entry.trailer))
        body.appendVarint(entry.trailer >> 8 - smallestSequence)
        body.appendVarint(UInt64(entry.payloadCount))
        if restCount > 8 { body.append(UnsafeRawBufferPointer(rebasing: key(entry)[(sharedCount + 8)...])) }
        body.append(UnsafeRawBufferPointer(start: payloads.base + entry.payloadOffset, count: entry.payloadCount))
    }

    private func key(_ entry: Entry) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: keys.base + entry.keyOffset, count: entry.keyCount)
    }
}

/// Bytes that `value` takes as a varint.
@inline(__always)
func varintByteCount(_ value: UInt64) -> Int {
    (70 &- (value | 1).leadingZeroBitCount) / 7
}
