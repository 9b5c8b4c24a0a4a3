// What a table file is made of.  FORMAT.md §4.1
//
//   partition: data blocks … │ filter │ index leaf          as often as needed
//   range-deletion block (if any) │ properties │ index root (if there are entries) │ footer
//
// Every block but the footer is stored as: byte count: u32 │ bytes │ kind and codec: u8 │ masked crc: u32, the checksum
// over file number u64, offset of the bytes u64, byte count, bytes, kind and codec. Compressed bytes begin with the
// block's uncompressed length, u32. A handle is offset and count of the bytes; the count in front of them, and the kind,
// are there for readers that have no handle: those that walk the file because its index is damaged.
//
// The footer is the last 72 bytes:
//   properties, root, range deletions, dictionary: (offset: u64, byte count: u32) each, zeros if there is none
//   file number: u64 │ masked crc: u32, over footer offset u64, the 56 bytes before it and the 12 after it
//   format version: u32 │ magic: u64

import ApusIO

/// Where a block is in its file.
struct BlockHandle: Hashable, Sendable {
    /// Of the stored bytes; their count stands in the four bytes before.
    var offset: UInt64
    /// Stored bytes, without the count before and the trailer behind them.
    var byteCount: UInt32

    static let none = BlockHandle(offset: 0, byteCount: 0)
    var isNone: Bool { byteCount == 0 }
    /// Where the bytes after the block and its trailer begin.
    var end: UInt64 { offset + UInt64(byteCount) + UInt64(TableFormat.blockTrailerByteCount) }
}

/// What a stored block is. On disk: never renumber, never reuse.
enum StoredBlockKind: UInt8, Sendable, CaseIterable {
    case data = 1
    case filter = 2
    case leaf = 3
    case rangeDeletions = 4
    case properties = 5
    case root = 6

    /// For messages.
    var name: String {
        switch self {
        case .data: "data block"
        case .filter: "filter"
        case .leaf: "index leaf"
        case .rangeDeletions: "range-deletion block"
        case .properties: "properties block"
        case .root: "index root"
        }
    }
}

enum TableFormat {
    static let version: UInt32 = 1
    /// "apustabl" when read as text.
    static let magic: UInt64 = 0x6C62_6174_7375_7061
    /// The byte count in front of a stored block.
    static let blockLengthByteCount = 4
    static let blockTrailerByteCount = 5
    static let footerByteCount = 72
    /// A partition of the index is cut when it has so many blocks, or its leaf so many bytes.
    static let blocksPerPartition = 256
    static let leafByteCount = 32 << 10
    /// The smallest stored block that holds anything: 16 bytes of header, a head, an offset, an entry, the trailer.
    static let smallestBlockByteCount = 16

    /// The byte behind a stored block.
    static func tag(_ kind: StoredBlockKind, _ codec: Codec) -> UInt8 { kind.rawValue << 4 | codec.rawValue }

    /// The checksum of a stored block; `bytes` are its bytes and the tag after them. Their count, which the file has
    /// in front of them, is covered as the caller knows it: whoever follows a handle need not read it.
    static func checksum(_ bytes: UnsafeRawBufferPointer, number: FileNumber, offset: UInt64) -> UInt32 {
        let place = (number.littleEndian, offset.littleEndian, UInt64(bytes.count - 1).littleEndian)
        let seed = withUnsafeBytes(of: place) { CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[..<20])) }
        return CRC32C.mask(CRC32C.checksum(bytes, seed: seed))
    }
}

/// The end of a table file: where its parts are.
struct TableFooter: Hashable {
    var properties = BlockHandle.none
    var root = BlockHandle.none
    var rangeDeletions = BlockHandle.none
    var dictionary = BlockHandle.none
    var number: FileNumber

    private static let checksumOffset = 56

    /// The footer's bytes for a file in which it starts at `offset`.
    func encode(at offset: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        for handle in [properties, root, rangeDeletions, dictionary] {
            bytes.appendLittleEndian(handle.offset)
            bytes.appendLittleEndian(handle.byteCount)
        }
        bytes.appendLittleEndian(number)
        bytes.appendLittleEndian(UInt32(0))
        bytes.appendLittleEndian(TableFormat.version)
        bytes.appendLittleEndian(TableFormat.magic)
        let checksum = bytes.withUnsafeBytes { Self.checksum($0, at: offset) }
        withUnsafeBytes(of: checksum.littleEndian) {
            bytes.replaceSubrange(Self.checksumOffset..<(Self.checksumOffset + 4), with: $0)
        }
        return bytes
    }

    /// - Parameter bytes: the last `TableFormat.footerByteCount` bytes of the file, which start at `offset`.
    static func decode(
        _ bytes: UnsafeRawBufferPointer,
        number: FileNumber,
        at offset: UInt64,
        file: String
    ) throws(ApusError) -> TableFooter {
        guard bytes.count == TableFormat.footerByteCount else {
            throw .corruption("table is shorter than its footer", file: file, offset: offset)
        }
        let magic: UInt64 = bytes.littleEndian(at: 64)
        guard magic == TableFormat.magic else {
            throw .corruption("the file does not end as a table does", file: file, offset: offset)
        }
        let stored: UInt32 = bytes.littleEndian(at: checksumOffset)
        guard stored == checksum(bytes, at: offset) else {
            throw .corruption("table footer has the wrong checksum", file: file, offset: offset)
        }
        let version: UInt32 = bytes.littleEndian(at: 60)
        guard version == TableFormat.version else {
            throw ApusError(.unsupportedFormat, "table of format version \(version)", file: file)
        }
        let footer = TableFooter(
            properties: handle(bytes, 0),
            root: handle(bytes, 12),
            rangeDeletions: handle(bytes, 24),
            dictionary: handle(bytes, 36),
            number: bytes.littleEndian(at: 48)
        )
        guard footer.number == number else {
            throw .corruption("this is table \(footer.number) in the place of \(number)", file: file, offset: offset)
        }
        guard footer.dictionary.isNone else {
            throw ApusError(.unsupportedFormat, "table with a compression dictionary", file: file)
        }
        return footer
    }

    private static func handle(_ bytes: UnsafeRawBufferPointer, _ position: Int) -> BlockHandle {
        BlockHandle(offset: bytes.littleEndian(at: position), byteCount: bytes.littleEndian(at: position + 8))
    }

    private static func checksum(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) -> UInt32 {
        var crc = withUnsafeBytes(of: offset.littleEndian) { CRC32C.checksum($0) }
        crc = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<checksumOffset]), seed: crc)
        return CRC32C.mask(CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[(checksumOffset + 4)...]), seed: crc))
    }
}
