// The bytes of a blob file: large values, written once in the order of their keys and read one at a time.
//
//   file    header │ record … │ footer
//   header  magic "APUSBLOB" │ format version u32 │ file number u64 │ masked CRC32C u32
//   record  header CRC u32 │ body CRC u32 │ key bytes u32 │ stored bytes u32 │ value bytes u32 │ codec u8 │ 0 0 0
//           │ key │ stored value
//   footer  value count u64 │ record bytes u64 │ file number u64 │ masked CRC32C u32 │ magic "BEND"
//                                                                                     — FORMAT.md §5
//
// A record's header CRC covers file number and offset, so that a record in the wrong place is damage, and the body CRC,
// so that no other body fits. The key is there for tools that walk a file; reads go by references and do not need it.

import ApusIO

enum BlobFormat {
    static let magic: [UInt8] = Array("APUSBLOB".utf8)
    static let endMagic: [UInt8] = Array("BEND".utf8)
    static let version: UInt32 = 1
    static let headerByteCount = 24
    static let footerByteCount = 32
    static let recordHeaderByteCount = 24
    /// No record is larger: header, key and value at their limits (a value is stored raw unless that is larger).
    static let maximumRecordByteCount =
        recordHeaderByteCount + Limits.keyByteCount.upperBound + Limits.valueByteCount.upperBound

    static func header(_ number: FileNumber) -> [UInt8] {
        var bytes = magic
        bytes.appendLittleEndian(version)
        bytes.appendLittleEndian(number)
        bytes.appendLittleEndian(CRC32C.mask(checksum(bytes)))
        return bytes
    }

    /// - Parameter offset: where the footer stands.
    static func footer(_ number: FileNumber, offset: UInt64, valueCount: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendLittleEndian(valueCount)
        bytes.appendLittleEndian(offset - UInt64(headerByteCount))
        bytes.appendLittleEndian(number)
        bytes.appendLittleEndian(CRC32C.mask(checksum(bytes)))
        return bytes + endMagic
    }

    /// Throws unless `bytes` begins with the header of file `number`.
    static func checkHeader(_ bytes: UnsafeRawBufferPointer, _ number: FileNumber, path: String) throws(ApusError) {
        guard bytes.count >= headerByteCount else { throw .corruption("The blob file has no header", file: path) }
        let found = UnsafeRawBufferPointer(rebasing: bytes[..<headerByteCount])
        guard magic.withUnsafeBytes({ equalBytes($0, UnsafeRawBufferPointer(rebasing: found[..<8])) }) else {
            throw .corruption("This is no blob file: its magic is wrong", file: path, offset: 0)
        }
        let checked = UnsafeRawBufferPointer(rebasing: found[..<20])
        guard found.littleEndian(at: 20) == CRC32C.mask(CRC32C.checksum(checked)) else {
            throw .corruption("The blob file's header does not match its checksum", file: path, offset: 0)
        }
        let foundVersion: UInt32 = found.littleEndian(at: 8)
        guard foundVersion == version else {
            throw ApusError(
                .unsupportedFormat,
                "The blob file has format version \(foundVersion), this program knows \(version)",
                file: path
            )
        }
        let foundNumber: FileNumber = found.littleEndian(at: 12)
        guard foundNumber == number else {
            throw .corruption("The blob file says that it is number \(foundNumber)", file: path, offset: 12)
        }
    }

    private static func checksum(_ bytes: [UInt8]) -> UInt32 { bytes.withUnsafeBytes { CRC32C.checksum($0) } }
}

/// The fixed part of a record.
struct BlobRecordHeader: Hashable, Sendable {
    var bodyChecksum: UInt32
    var keyByteCount: UInt32
    var storedByteCount: UInt32
    var valueByteCount: UInt32
    var codec: Codec

    /// Bytes of the whole record.
    var recordByteCount: UInt64 {
        UInt64(BlobFormat.recordHeaderByteCount) + UInt64(keyByteCount) + UInt64(storedByteCount)
    }

    /// - Parameters:
    ///   - file: the number of the file that the record goes to.
    ///   - offset: where in that file.
    func encoded(file: FileNumber, offset: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(BlobFormat.recordHeaderByteCount)
        bytes.appendLittleEndian(UInt32(0))
        bytes.appendLittleEndian(bodyChecksum)
        bytes.appendLittleEndian(keyByteCount)
        bytes.appendLittleEndian(storedByteCount)
        bytes.appendLittleEndian(valueByteCount)
        bytes.appendLittleEndian(UInt32(codec.rawValue))
        let checksum = bytes.withUnsafeBytes { Self.checksum($0, file: file, offset: offset) }
        for index in 0..<4 { bytes[index] = UInt8(truncatingIfNeeded: checksum >> UInt32(8 * index)) }
        return bytes
    }

    /// nil unless `bytes` begins with a header that was written for this place.
    init?(_ bytes: UnsafeRawBufferPointer, file: FileNumber, offset: UInt64) {
        guard bytes.count >= BlobFormat.recordHeaderByteCount else { return nil }
        let header = UnsafeRawBufferPointer(rebasing: bytes[..<BlobFormat.recordHeaderByteCount])
        guard header.littleEndian(at: 0) == Self.checksum(header, file: file, offset: offset) else { return nil }
        let codecWord: UInt32 = header.littleEndian(at: 20)
        guard codecWord <= UInt32(UInt8.max), let codec = Codec(rawValue: UInt8(codecWord)) else { return nil }
        self.codec = codec
        bodyChecksum = header.littleEndian(at: 4)
        keyByteCount = header.littleEndian(at: 8)
        storedByteCount = header.littleEndian(at: 12)
        valueByteCount = header.littleEndian(at: 16)
        guard recordByteCount <= UInt64(BlobFormat.maximumRecordByteCount),
            Limits.keyByteCount.contains(Int(keyByteCount)), Limits.valueByteCount.contains(Int(valueByteCount)),
            codec.canExpand(Int(storedByteCount), to: Int(valueByteCount))
        else { return nil }
    }

    init(bodyChecksum: UInt32, keyByteCount: Int, storedByteCount: Int, valueByteCount: Int, codec: Codec) {
        self.bodyChecksum = bodyChecksum
        self.keyByteCount = UInt32(keyByteCount)
        self.storedByteCount = UInt32(storedByteCount)
        self.valueByteCount = UInt32(valueByteCount)
        self.codec = codec
    }

    private static func checksum(_ header: UnsafeRawBufferPointer, file: FileNumber, offset: UInt64) -> UInt32 {
        let place = (file.littleEndian, offset.littleEndian)
        let seed = withUnsafeBytes(of: place) { CRC32C.checksum($0) }
        let rest = UnsafeRawBufferPointer(rebasing: header[4..<BlobFormat.recordHeaderByteCount])
        return CRC32C.mask(CRC32C.checksum(rest, seed: seed))
    }
}

/// A verified record: views into its bytes.
struct BlobRecord {
    let header: BlobRecordHeader
    let key: UnsafeRawBufferPointer
    let stored: UnsafeRawBufferPointer

    /// - Parameter bytes: exactly the record.
    init(
        _ bytes: UnsafeRawBufferPointer,
        file: FileNumber,
        offset: UInt64,
        path: String
    ) throws(ApusError) {
        guard let header = BlobRecordHeader(bytes, file: file, offset: offset) else {
            throw .corruption("A value's header does not match its checksum or its place", file: path, offset: offset)
        }
        guard header.recordByteCount == UInt64(bytes.count) else {
            throw .corruption(
                "A value takes \(header.recordByteCount) bytes where \(bytes.count) were expected",
                file: path,
                offset: offset
            )
        }
        let body = UnsafeRawBufferPointer(rebasing: bytes[BlobFormat.recordHeaderByteCount...])
        guard CRC32C.checksum(body) == header.bodyChecksum else {
            throw .corruption("A value does not match its checksum", file: path, offset: offset)
        }
        self.header = header
        key = UnsafeRawBufferPointer(rebasing: body[..<Int(header.keyByteCount)])
        stored = UnsafeRawBufferPointer(rebasing: body[Int(header.keyByteCount)...])
    }

    /// The value itself.
    func value(file path: String, offset: UInt64) throws(ApusError) -> [UInt8] {
        guard header.codec != .none else { return [UInt8](stored) }
        let count = Int(header.valueByteCount)
        var isWhole = false
        let value = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            let target = UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count)
            isWhole = header.codec.decompress(stored, into: target)
            initialized = isWhole ? count : 0
        }
        guard isWhole else { throw .corruption("A value does not decompress", file: path, offset: offset) }
        return value
    }
}
