// Checks a block from disk before anything searches it, so that searching needs no checks.  FORMAT.md §4.2

import ApusIO

extension Block {
    /// What the entries of a block are.
    enum Content {
        /// Entries of the table: every kind but range deletions.
        case data
        /// Separators with block handles: their trailers only order them, and may be no kind at all.
        case index
    }

    /// Takes bytes from disk for a block if every column and every entry lies within them.
    ///
    /// Does not check that keys ascend: a search in unordered keys finds nothing or something, within bounds, and the
    /// checksum has vouched for the bytes. `Table.verify` checks the order.
    ///
    /// - Precondition: `bytes` starts at an 8-byte aligned address and 8 readable bytes follow it.
    static func validate(_ bytes: UnsafeRawBufferPointer, _ content: Content) throws(DecodingFailure) -> Block {
        guard bytes.count >= BlockFormat.headerByteCount else { throw DecodingFailure(what: "block header is cut off") }
        let header: UInt64 = bytes.littleEndian(at: 0)
        let baseSequence: UInt64 = bytes.littleEndian(at: 8)
        let entryCount = Int(header & 0xFFFF_FFFF)
        let prefixCount = Int(header >> 32 & 0xFF_FFFF)
        let width = Int(header >> 56)
        guard entryCount > 0 else { throw DecodingFailure(what: "block has no entries") }
        guard prefixCount <= Limits.keyByteCount.upperBound else {
            throw DecodingFailure(what: "block prefix of \(prefixCount) bytes is longer than any key")
        }
        guard width == 2 || width == 4 else { throw DecodingFailure(what: "block offset width \(width)") }
        guard baseSequence <= SequenceNumber.max.rawValue else {
            throw DecodingFailure(what: "block base sequence \(baseSequence)")
        }
        // No overflow: a count below 2^32 times 12.
        let columnsEnd = BlockFormat.headsOffset(prefixCount: prefixCount) + entryCount * (8 + width)
        guard columnsEnd <= bytes.count else {
            throw DecodingFailure(what: "block columns of \(entryCount) entries reach beyond its \(bytes.count) bytes")
        }
        try validateEntries(bytes, columnsEnd, entryCount, prefixCount, width, baseSequence, content)
        return Block(validated: bytes.baseAddress!)
    }

    private static func validateEntries(
        _ bytes: UnsafeRawBufferPointer,
        _ columnsEnd: Int,
        _ entryCount: Int,
        _ prefixCount: Int,
        _ width: Int,
        _ baseSequence: UInt64,
        _ content: Content
    ) throws(DecodingFailure) {
        let entries = UnsafeRawBufferPointer(rebasing: bytes[columnsEnd...])
        let offsets = columnsEnd - entryCount * width
        let order = EytzingerOrder(count: entryCount)
        var reader = ByteReader(entries)
        for rank in 0..<entryCount {
            let position = offsets + (order.node(rank: rank) - 1) * width
            let offset =
                width == 2
                ? Int(bytes.littleEndian(at: position) as UInt16) : Int(bytes.littleEndian(at: position) as UInt32)
            guard offset == reader.position else {
                throw DecodingFailure(what: "entry \(rank) starts at \(reader.position), its offset says \(offset)")
            }
            let restCount = try reader.varint("key length")
            guard restCount <= UInt64(Limits.keyByteCount.upperBound - prefixCount) else {
                throw DecodingFailure(what: "key is longer than any key")
            }
            let kind = try reader.integer(UInt8.self, "entry kind")
            if content == .data {
                guard let kind = EntryKind(rawValue: kind), kind != .rangeDeletion else {
                    throw DecodingFailure(what: "entry kind \(kind)")
                }
                guard restCount > 0 || prefixCount > 0 else { throw DecodingFailure(what: "empty key") }
            }
            let sequence = try reader.varint("sequence")
            guard sequence <= SequenceNumber.max.rawValue - baseSequence else {
                throw DecodingFailure(what: "sequence is larger than 56 bits")
            }
            let payloadCount = try reader.varint("payload length")
            if restCount > 8 { _ = try reader.take(restCount - 8, "key") }
            _ = try reader.take(payloadCount, "payload")
        }
        guard reader.isAtEnd else { throw DecodingFailure(what: "\(reader.remaining) bytes after the last entry") }
    }
}
