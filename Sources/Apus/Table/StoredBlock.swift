// Between a block in memory and its stored form in a table file: compression and checksum.  FORMAT.md §4.1
//
//   bytes, or uncompressed length: u32 │ compressed bytes │ codec: u8 │ masked crc: u32

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
    /// where that saves an eighth, appends codec and checksum.
    mutating func finish(
        _ output: inout RawBuffer,
        from start: Int,
        at offset: UInt64,
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
        let storedCount = output.count - start
        output.appendLittleEndian(used.rawValue)
        let checked = UnsafeRawBufferPointer(rebasing: output.bytes[start...])
        output.appendLittleEndian(TableFormat.checksum(checked, number: number, offset: offset))
        return BlockHandle(offset: offset, byteCount: UInt32(storedCount))
    }
}

/// Reads blocks of one table file. Thread-safe; every byte it hands out was checked against its checksum.
final class StoredBlockReader: Sendable {
    let number: FileNumber
    let path: String
    /// Where the blocks end and the footer begins.
    let end: UInt64
    private let file: PooledFile

    init(number: FileNumber, path: String, end: UInt64, file: PooledFile) {
        self.number = number
        self.path = path
        self.end = end
        self.file = file
    }

    /// Reads one block.
    func read(_ handle: BlockHandle) throws(ApusError) -> CachedBlock {
        let byteCount = try storedByteCount(handle)
        let stored = CachedBlock.allocate(byteCount: byteCount)
        do {
            try fill(UnsafeMutableRawBufferPointer(start: stored.bytes, count: byteCount), at: handle.offset)
            let (codec, content) = try check(stored.buffer, handle)
            if codec == .none {
                stored.shrink(to: content.count)
                return stored
            }
            let block = try decompress(codec, content, handle)
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
        _ handle: BlockHandle
    ) throws(ApusError) -> CachedBlock {
        let start = Int(handle.offset - offset)
        let stored = UnsafeRawBufferPointer(rebasing: bytes[start..<(start + (try storedByteCount(handle)))])
        let (codec, content) = try check(stored, handle)
        if codec != .none { return try decompress(codec, content, handle) }
        let block = CachedBlock.allocate(byteCount: content.count)
        if let source = content.baseAddress { block.bytes.copyMemory(from: source, byteCount: content.count) }
        return block
    }

    /// Fills `buffer` from `offset`, or throws.
    func fill(_ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(ApusError) {
        let count = try file.read(into: buffer, at: offset)
        if count < buffer.count {
            throw corruption("the file ends where \(buffer.count - count) more bytes are expected", at: offset)
        }
    }

    /// How many bytes the block and its trailer take, given that they lie before the footer.
    func storedByteCount(_ handle: BlockHandle) throws(ApusError) -> Int {
        let byteCount = UInt64(handle.byteCount) + UInt64(TableFormat.blockTrailerByteCount)
        guard byteCount <= end && handle.offset <= end - byteCount else {
            throw corruption("a block of \(handle.byteCount) bytes reaches beyond the file", at: handle.offset)
        }
        return Int(byteCount)
    }

    func corruption(_ message: String, at offset: UInt64?) -> ApusError {
        .corruption("table \(number): \(message)", file: path, offset: offset)
    }

    private func check(
        _ stored: UnsafeRawBufferPointer,
        _ handle: BlockHandle
    ) throws(ApusError) -> (Codec, UnsafeRawBufferPointer) {
        let checked = UnsafeRawBufferPointer(rebasing: stored[..<(stored.count - 4)])
        let expected: UInt32 = stored.littleEndian(at: stored.count - 4)
        guard expected == TableFormat.checksum(checked, number: number, offset: handle.offset) else {
            throw corruption("a block has the wrong checksum", at: handle.offset)
        }
        guard let codec = Codec(rawValue: checked[checked.count - 1]) else {
            throw corruption("codec \(checked[checked.count - 1]) of a block is unknown", at: handle.offset)
        }
        return (codec, UnsafeRawBufferPointer(rebasing: checked[..<(checked.count - 1)]))
    }

    private func decompress(
        _ codec: Codec,
        _ content: UnsafeRawBufferPointer,
        _ handle: BlockHandle
    ) throws(ApusError) -> CachedBlock {
        guard content.count > 4 else { throw corruption("a compressed block is cut off", at: handle.offset) }
        let byteCount = Int(content.littleEndian(at: 0) as UInt32)
        let compressed = UnsafeRawBufferPointer(rebasing: content[4...])
        guard codec.canExpand(compressed.count, to: byteCount) else {
            throw corruption("\(compressed.count) compressed bytes claim to be \(byteCount)", at: handle.offset)
        }
        let block = CachedBlock.allocate(byteCount: byteCount)
        let target = UnsafeMutableRawBufferPointer(start: block.bytes, count: byteCount)
        guard codec.decompress(compressed, into: target) else {
            block.release()
            throw corruption("a compressed block cannot be decompressed", at: handle.offset)
        }
        return block
    }
}
