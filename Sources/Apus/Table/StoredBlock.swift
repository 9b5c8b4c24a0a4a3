// Between a block in memory and its stored form in a table file: compression and checksum.  FORMAT.md §4.1
//
//   byte count: u32 │ bytes, or uncompressed length: u32 and compressed bytes │ kind << 4 | codec: u8
//   │ masked crc: u32

import ApusIO

/// Appends blocks in their stored form to a table's output.
struct StoredBlockEncoder: ~Copyable {
    private let number: FileNumber
    private let codec: Codec
    private var scratch = RawBuffer(capacity: 16 << 10)

    init(number: FileNumber, codec: Codec) {
        self.number = number
        self.codec = codec
    }

    /// Stores the block that `output` ends with, from `start` on, as the bytes at `offset` of the file: compresses it
    /// where that saves an eighth, fills in the byte count before it, appends tag and checksum.
    ///
    /// - Precondition: room for the byte count lies in front of `start`.
    mutating func finish(
        _ output: inout RawBuffer,
        from start: Int,
        at offset: UInt64,
        _ kind: StoredBlockKind,
        compressing: Bool
    ) -> BlockHandle {
        let bytes = UnsafeRawBufferPointer(rebasing: output.bytes[start...])
        var used = Codec.none
        if compressing && codec != .none {
            scratch.truncate(to: 0)
            let room = bytes.count - bytes.count / 8
            let target = UnsafeMutableRawBufferPointer(start: scratch.extend(room), count: room)
            if let count = codec.compress(bytes, into: target) {
                used = codec
                let byteCount = UInt32(bytes.count)
                output.truncate(to: start)
                output.appendLittleEndian(byteCount)
                output.append(UnsafeRawBufferPointer(rebasing: target[..<count]))
            }
        }
        let storedCount = UInt32(output.count - start)
        (output.base + (start - TableFormat.blockLengthByteCount)).storeBytes(
            of: storedCount.littleEndian,
            as: UInt32.self
        )
        output.appendLittleEndian(TableFormat.tag(kind, used))
        let checked = UnsafeRawBufferPointer(rebasing: output.bytes[start...])
        output.appendLittleEndian(TableFormat.checksum(checked, number: number, offset: offset))
        return BlockHandle(offset: offset, byteCount: storedCount)
    }
}

/// Turns the stored blocks of one table back into blocks. Every byte it hands out was checked against its checksum.
struct StoredBlockDecoder: Sendable {
    let number: FileNumber
    let path: String
    /// Where the blocks end and the footer begins.
    let end: UInt64

    /// A stored block that has the right checksum: views into its bytes.
    struct Content {
        var kind: StoredBlockKind
        var codec: Codec
        var bytes: UnsafeRawBufferPointer
    }

    /// How many bytes the block and its trailer take, given that they lie before the footer.
    func storedByteCount(_ handle: BlockHandle) throws(ApusError) -> Int {
        let byteCount = UInt64(handle.byteCount) + UInt64(TableFormat.blockTrailerByteCount)
        guard byteCount <= end && handle.offset <= end - byteCount else {
            throw corruption("a block of \(handle.byteCount) bytes reaches beyond the file", at: handle.offset)
        }
        return Int(byteCount)
    }

    /// - Parameter stored: the block and its trailer.
    func check(_ stored: UnsafeRawBufferPointer, _ handle: BlockHandle) throws(ApusError) -> Content {
        let checked = UnsafeRawBufferPointer(rebasing: stored[..<(stored.count - 4)])
        let expected: UInt32 = stored.littleEndian(at: stored.count - 4)
        guard expected == TableFormat.checksum(checked, number: number, offset: handle.offset) else {
            throw corruption("a block has the wrong checksum", at: handle.offset)
        }
        let tag = checked[checked.count - 1]
        guard let kind = StoredBlockKind(rawValue: tag >> 4) else {
            throw corruption("kind \(tag >> 4) of a block is unknown", at: handle.offset)
        }
        guard let codec = Codec(rawValue: tag & 0xF) else {
            throw corruption("codec \(tag & 0xF) of a block is unknown", at: handle.offset)
        }
        return Content(
            kind: kind,
            codec: codec,
            bytes: UnsafeRawBufferPointer(rebasing: checked[..<(checked.count - 1)])
        )
    }

    /// As `check`, and throws unless the block is of that kind.
    func check(
        _ stored: UnsafeRawBufferPointer,
        _ handle: BlockHandle,
        _ kind: StoredBlockKind
    ) throws(ApusError) -> Content {
        let content = try check(stored, handle)
        guard content.kind == kind else {
            throw corruption("\(content.kind.name) in the place of \(kind.name)", at: handle.offset)
        }
        return content
    }

    /// The block itself, in memory of its own.
    func block(_ content: Content, _ handle: BlockHandle) throws(ApusError) -> CachedBlock {
        if content.codec != .none { return try decompress(content, handle) }
        let block = CachedBlock.allocate(byteCount: content.bytes.count)
        if let source = content.bytes.baseAddress {
            block.bytes.copyMemory(from: source, byteCount: content.bytes.count)
        }
        return block
    }

    func decompress(_ content: Content, _ handle: BlockHandle) throws(ApusError) -> CachedBlock {
        guard content.bytes.count > 4 else { throw corruption("a compressed block is cut off", at: handle.offset) }
        let byteCount = Int(content.bytes.littleEndian(at: 0) as UInt32)
        let compressed = UnsafeRawBufferPointer(rebasing: content.bytes[4...])
        guard content.codec.canExpand(compressed.count, to: byteCount) else {
            throw corruption("\(compressed.count) compressed bytes claim to be \(byteCount)", at: handle.offset)
        }
        let block = CachedBlock.allocate(byteCount: byteCount)
        let target = UnsafeMutableRawBufferPointer(start: block.bytes, count: byteCount)
        guard content.codec.decompress(compressed, into: target) else {
            block.release()
            throw corruption("a compressed block cannot be decompressed", at: handle.offset)
        }
        return block
    }

    func corruption(_ message: String, at offset: UInt64?) -> ApusError {
        .corruption("table \(number): \(message)", file: path, offset: offset)
    }
}

/// Reads blocks of one table file. Thread-safe.
final class StoredBlockReader: Sendable {
    private let decoder: StoredBlockDecoder
    private let file: PooledFile

    /// Where the blocks end and the footer begins.
    var end: UInt64 { decoder.end }

    /// - Parameter end: where the blocks end and the footer begins.
    init(number: FileNumber, path: String, end: UInt64, file: PooledFile) {
        decoder = StoredBlockDecoder(number: number, path: path, end: end)
        self.file = file
    }

    /// Reads one block.
    func read(_ handle: BlockHandle, _ kind: StoredBlockKind) throws(ApusError) -> CachedBlock {
        let byteCount = try storedByteCount(handle)
        let stored = CachedBlock.allocate(byteCount: byteCount)
        do {
            try fill(UnsafeMutableRawBufferPointer(start: stored.bytes, count: byteCount), at: handle.offset)
            let content = try decoder.check(stored.buffer, handle, kind)
            if content.codec == .none {
                stored.shrink(to: content.bytes.count)
                return stored
            }
            let block = try decoder.decompress(content, handle)
            stored.release()
            return block
        } catch {
            stored.release()
            throw error
        }
    }

    /// Takes one block out of `bytes`, which were read from `offset` on and contain all of it.
    func decode(
        _ bytes: UnsafeRawBufferPointer,
        at offset: UInt64,
        _ handle: BlockHandle,
        _ kind: StoredBlockKind
    ) throws(ApusError) -> CachedBlock {
        let start = Int(handle.offset - offset)
        let stored = UnsafeRawBufferPointer(rebasing: bytes[start..<(start + (try storedByteCount(handle)))])
        return try decoder.block(try decoder.check(stored, handle, kind), handle)
    }

    /// Fills `buffer` from `offset`, or throws.
    func fill(_ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(ApusError) {
        let count = try file.read(into: buffer, at: offset)
        if count < buffer.count {
            throw corruption("the file ends where \(buffer.count - count) more bytes are expected", at: offset)
        }
    }

    /// Throws unless the byte count in front of the block is that of the handle.
    func checkLength(_ handle: BlockHandle) throws(ApusError) {
        guard handle.offset >= UInt64(TableFormat.blockLengthByteCount) else {
            throw corruption("a block without room for its length", at: handle.offset)
        }
        var length: UInt32 = 0
        try withUnsafeMutableBytes(of: &length) { (bytes) throws(ApusError) in
            try fill(bytes, at: handle.offset - UInt64(TableFormat.blockLengthByteCount))
        }
        guard UInt32(littleEndian: length) == handle.byteCount else {
            throw corruption(
                "a block of \(handle.byteCount) bytes says that it has \(UInt32(littleEndian: length))",
                at: handle.offset
            )
        }
    }

    func storedByteCount(_ handle: BlockHandle) throws(ApusError) -> Int { try decoder.storedByteCount(handle) }

    func corruption(_ message: String, at offset: UInt64?) -> ApusError { decoder.corruption(message, at: offset) }
}
