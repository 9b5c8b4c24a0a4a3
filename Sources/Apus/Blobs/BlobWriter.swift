// Writes one blob file (FORMAT.md §5): values are appended in any order and get a reference; `finish` makes all of them
// durable. A file that takes values as they are committed (ValueFile) is written and synced on the way, too. The file's name becomes durable with the directory, which the caller syncs before a table that refers to the
// file enters the manifest.

import ApusIO

/// Appends values to a new blob file. One thread at a time. After an error only `abandon` may be called.
final class BlobWriter {
    let number: FileNumber
    let path: String
    private var file: any File
    private let fileSystem: any FileSystem
    private let codec: Codec
    /// Bytes that the file does not have yet.
    private var buffer: [UInt8] = []
    /// Where `buffer` begins in the file.
    private var flushedByteCount: UInt64 = 0
    private var checksum: UInt32 = 0
    /// Up to here the file has its space; 0 if none was reserved.
    private var reservedByteCount: UInt64 = 0
    /// Part of what was appended since the last call of `write` has been written.
    private var isMidway = false
    private var valueCount: UInt64 = 0
    private var compressed: [UInt8] = []
    private var isClosed = false

    private static let flushByteCount = 256 << 10
    /// Values from here on are written past the buffer, so that they are not copied.
    private static let directByteCount = 64 << 10

    /// Commits of less are stored into a mapping of the file, where that is cheaper.
    private static let storedByteCount = 4 << 10

    /// Creates the file.
    init(fileSystem: any FileSystem, path: String, number: FileNumber, codec: Codec) throws(ApusError) {
        self.number = number
        self.path = path
        self.codec = codec
        self.fileSystem = fileSystem
        file = try io { () throws(IOError) in try fileSystem.open(path, .create) }
        buffer.reserveCapacity(Self.flushByteCount + Self.directByteCount)
        buffer += BlobFormat.header(number)
    }

    /// Bytes written so far, without the footer.
    var byteCount: UInt64 { flushedByteCount + UInt64(buffer.count) }

    /// Compresses `value` if that saves at least an eighth, and appends it.
    func append(
        _ key: UnsafeRawBufferPointer,
        _ value: UnsafeRawBufferPointer
    ) throws(ApusError) -> BlobReference {
        let room = value.count - value.count / 8
        if codec != .none, compressed.count < room { compressed = [UInt8](repeating: 0, count: room) }
        let count =
            codec == .none
            ? nil
            : compressed.withUnsafeMutableBytes { scratch in
                codec.compress(value, into: UnsafeMutableRawBufferPointer(rebasing: scratch[..<room]), haste: 2)
            }
        guard let count else { return try append(key, stored: value, valueByteCount: value.count, codec: .none) }
        // The scratch memory is put aside while it is read, and not kept when one value made it huge.
        let bytes = compressed
        compressed = []
        defer { if bytes.count <= Self.flushByteCount { compressed = bytes } }
        return try bytes.withUnsafeBufferPointer { scratch throws(ApusError) in
            let stored = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(scratch)[..<count])
            return try append(key, stored: stored, valueByteCount: value.count, codec: codec)
        }
    }

    /// Reserves space on the disk for records of `byteCount` bytes altogether, in steps of `step` bytes, so that writing
    /// them cannot fail for want of it. An error leaves the writer as it is.
    func reserve(_ byteCount: Int, inStepsOf step: UInt64) throws(ApusError) {
        let needed = self.byteCount + UInt64(byteCount) + UInt64(BlobFormat.footerByteCount)
        guard needed > reservedByteCount else { return }
        let end = (needed + step - 1) / step * step
        try io { () throws(IOError) in try file.allocate(end) }
        reservedByteCount = end
    }

    /// Hands what was appended to the operating system.
    func write() throws(ApusError) {
        try write(buffered: !isMidway && buffer.count < Self.storedByteCount)
        isMidway = false
    }

    /// Makes everything written durable, but for the file's name.
    func synchronize() throws(ApusError) {
        try io { () throws(IOError) in try file.synchronize() }
    }

    /// Appends a record of another blob file, stored as it is there.
    func append(copyOf record: BlobRecord) throws(ApusError) -> BlobReference {
        try append(
            record.key,
            stored: record.stored,
            valueByteCount: Int(record.header.valueByteCount),
            codec: record.header.codec
        )
    }

    private func append(
        _ key: UnsafeRawBufferPointer,
        stored: UnsafeRawBufferPointer,
        valueByteCount: Int,
        codec: Codec
    ) throws(ApusError) -> BlobReference {
        let offset = byteCount
        let header = BlobRecordHeader(
            bodyChecksum: CRC32C.checksum(stored, seed: CRC32C.checksum(key)),
            keyByteCount: key.count,
            storedByteCount: stored.count,
            valueByteCount: valueByteCount,
            codec: codec
        )
        buffer += header.encoded(file: number, offset: offset)
        buffer += key
        if stored.count >= Self.directByteCount {
            try flush()
            try write(stored)
        } else {
            buffer += stored
            if buffer.count >= Self.flushByteCount { try flush() }
        }
        valueCount += 1
        return BlobReference(
            file: number,
            offset: offset,
            storedByteCount: UInt32(header.recordByteCount),
            valueByteCount: UInt32(valueByteCount)
        )
    }

    /// Writes the footer, syncs and closes the file.
    func finish() throws(ApusError) -> BlobFileMetadata {
        let end = byteCount
        if reservedByteCount > 0 { try giveBackReserve() }
        buffer += BlobFormat.footer(number, offset: end, valueCount: valueCount)
        try flush()
        try io { () throws(IOError) in try file.synchronize() }
        isClosed = true
        try io { () throws(IOError) in try file.close() }
        return BlobFileMetadata(
            number: number,
            byteCount: flushedByteCount,
            checksum: checksum,
            valueCount: valueCount,
            recordByteCount: end - UInt64(BlobFormat.headerByteCount)
        )
    }

    /// Closes the file; the caller removes it. Its bytes are of no use, so neither is an error.
    func abandon() {
        guard !isClosed else { return }
        isClosed = true
        try? file.close()
    }

    /// Cuts off what was reserved and not used. A file that was stored into is never cut while it is open for that.
    private func giveBackReserve() throws(ApusError) {
        try flush()
        try io { () throws(IOError) in try file.synchronize() }
        reservedByteCount = 0
        isClosed = true
        try io { () throws(IOError) in try file.close() }
        file = try io { () throws(IOError) in try fileSystem.open(path, .update) }
        isClosed = false
        try io { () throws(IOError) in try file.truncate(to: flushedByteCount) }
    }

    private func flush() throws(ApusError) {
        try write(buffered: false)
        isMidway = true
    }

    /// - Parameter isSmall: all that was appended since the last call of `write`.
    private func write(buffered isSmall: Bool) throws(ApusError) {
        try buffer.withUnsafeBufferPointer { bytes throws(ApusError) in
            try write(UnsafeRawBufferPointer(bytes), isSmall: isSmall)
        }
        buffer.removeAll(keepingCapacity: true)
    }

    private func write(_ bytes: UnsafeRawBufferPointer, isSmall: Bool = false) throws(ApusError) {
        guard !bytes.isEmpty else { return }
        // A stream of little is stored. What is more has the disk begin by itself: another thread would take the processor
        // from somebody else, and pages made ready for storing would be in the way.
        if isSmall && reservedByteCount > 0 {
            try io { () throws(IOError) in try file.store(bytes, at: flushedByteCount) }
        } else {
            try io { () throws(IOError) in try file.write(bytes, at: flushedByteCount) }
        }
        checksum = CRC32C.checksum(bytes, seed: checksum)
        flushedByteCount += UInt64(bytes.count)
    }
}
