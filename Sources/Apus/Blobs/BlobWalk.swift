// Walks a blob file from front to back without any reference: for `verify` and for `dump`. Damage is reported where it
// is found and the walk goes on behind it, at the next place where a record's header fits.

import ApusIO

/// Something found in a blob file.
enum BlobFinding {
    /// A record that is as it was written. The views end with the call.
    case record(BlobRecord, offset: UInt64)
    /// Nothing but zeros up to the end: space reserved for values to come, in a file that was not ended.
    case reserve(byteCount: UInt64, offset: UInt64)
    case damage(ApusError)
}

/// One reading of one blob file. One thread; memory is bounded by the largest record.
struct BlobWalk {
    private let file: any File
    private let path: String
    private let number: FileNumber
    private let byteCount: UInt64
    private(set) var valueCount: UInt64 = 0

    private static let scanByteCount = 256 << 10

    init(file: any File, path: String, number: FileNumber) throws(ApusError) {
        self.file = file
        self.path = path
        self.number = number
        byteCount = try io { () throws(IOError) in try file.byteCount() }
    }

    /// Where the records end.
    private var end: UInt64 {
        let least = UInt64(BlobFormat.headerByteCount + BlobFormat.footerByteCount)
        return byteCount >= least ? byteCount - UInt64(BlobFormat.footerByteCount) : byteCount
    }

    /// Reports every record and every damage, in the order of the file.
    mutating func run(_ report: (BlobFinding) throws(ApusError) -> Void) throws(ApusError) {
        do {
            try bytes(at: 0, min(UInt64(BlobFormat.headerByteCount), byteCount)) { header throws(ApusError) in
                try BlobFormat.checkHeader(header, number, path: path)
            }
        } catch  where error.kind == .corruption || error.kind == .unsupportedFormat {
            try report(.damage(error))
        }
        var offset = UInt64(BlobFormat.headerByteCount)
        while offset < end {
            if let next = try record(at: offset, report) {
                offset = next
                continue
            }
            if try isZero(from: offset) {
                return try report(.reserve(byteCount: byteCount - offset, offset: offset))
            }
            let next = try nextHeader(after: offset) ?? end
            try report(
                .damage(
                    .corruption(
                        "\(next - offset) bytes hold no value that fits this place",
                        file: path,
                        offset: offset
                    )
                )
            )
            offset = next
        }
        try checkFooter(report)
    }

    /// Reports the record at `offset` and returns where it ends; nil if its header does not fit.
    private mutating func record(
        at offset: UInt64,
        _ report: (BlobFinding) throws(ApusError) -> Void
    ) throws(ApusError) -> UInt64? {
        guard let header = try header(at: offset), header.recordByteCount <= end - offset else { return nil }
        valueCount += 1
        try bytes(at: offset, header.recordByteCount) { bytes throws(ApusError) in
            let record: BlobRecord
            do throws(ApusError) {
                record = try BlobRecord(bytes, file: number, offset: offset, path: path)
                _ = try record.value(file: path, offset: offset)
            } catch {
                return try report(.damage(error))
            }
            try report(.record(record, offset: offset))
        }
        return offset + header.recordByteCount
    }

    private func header(at offset: UInt64) throws(ApusError) -> BlobRecordHeader? {
        let count = UInt64(BlobFormat.recordHeaderByteCount)
        guard end - offset >= count else { return nil }
        return try bytes(at: offset, count) { BlobRecordHeader($0, file: number, offset: offset) }
    }

    /// The next place where a record's header fits. Looks at every byte, since records are not aligned.
    private func nextHeader(after offset: UInt64) throws(ApusError) -> UInt64? {
        let headerCount = BlobFormat.recordHeaderByteCount
        var start = offset + 1
        while start < end {
            let count = min(end - start, UInt64(Self.scanByteCount))
            let found = try bytes(at: start, count) { window -> UInt64? in
                var position = 0
                while position + headerCount <= window.count {
                    let candidate = UnsafeRawBufferPointer(rebasing: window[position..<(position + headerCount)])
                    let place = start + UInt64(position)
                    if BlobRecordHeader(candidate, file: number, offset: place) != nil { return place }
                    position += 1
                }
                return nil
            }
            if let found { return found }
            guard count > UInt64(headerCount) else { return nil }
            start += count - UInt64(headerCount) + 1
        }
        return nil
    }

    private func isZero(from start: UInt64) throws(ApusError) -> Bool {
        var offset = start
        while offset < byteCount {
            let count = min(byteCount - offset, UInt64(Self.scanByteCount))
            guard try bytes(at: offset, count, { $0.allSatisfy { $0 == 0 } }) else { return false }
            offset += count
        }
        return true
    }

    private mutating func checkFooter(_ report: (BlobFinding) throws(ApusError) -> Void) throws(ApusError) {
        guard end < byteCount else { return }
        let expected = BlobFormat.footer(number, offset: end, valueCount: valueCount)
        let isRight = try bytes(at: end, UInt64(BlobFormat.footerByteCount)) { found in
            expected.withUnsafeBytes { equalBytes($0, found) }
        }
        if !isRight {
            try report(
                .damage(
                    .corruption(
                        "The footer does not stand for the \(valueCount) values before it",
                        file: path,
                        offset: end
                    )
                )
            )
        }
    }

    /// The checksum of the whole file, as the manifest records it.
    func wholeChecksum() throws(ApusError) -> UInt32 {
        var checksum: UInt32 = 0
        var offset: UInt64 = 0
        while offset < byteCount {
            let count = min(byteCount - offset, UInt64(Self.scanByteCount))
            checksum = try bytes(at: offset, count) { CRC32C.checksum($0, seed: checksum) }
            offset += count
        }
        return checksum
    }

    private func bytes<Result>(
        at offset: UInt64,
        _ count: UInt64,
        _ body: (UnsafeRawBufferPointer) throws(ApusError) -> Result
    ) throws(ApusError) -> Result {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(count), alignment: 16)
        defer { buffer.deallocate() }
        let read = try io { () throws(IOError) in try file.read(into: buffer, at: offset) }
        guard read == buffer.count else {
            throw .corruption("The file ends while it is read", file: path, offset: offset + UInt64(read))
        }
        return try body(UnsafeRawBufferPointer(buffer))
    }
}

extension BlobFileMetadata {
    /// Reads the whole file and reports everything that is not as it was written.
    func verify(
        fileSystem: any FileSystem,
        path: String,
        _ report: (ApusError) -> Void
    ) throws(ApusError) {
        let file = try io { () throws(IOError) in try fileSystem.open(path, .read) }
        defer { try? file.close() }
        let actual = try io { () throws(IOError) in try file.byteCount() }
        if actual != byteCount {
            report(.corruption("\(byteCount) bytes long when written, now \(actual)", file: path))
        }
        var walk = try BlobWalk(file: file, path: path, number: number)
        try walk.run { finding in
            switch finding {
            case .record: break
            case .reserve(_, let offset):
                report(.corruption("The file has zeros where its footer belongs", file: path, offset: offset))
            case .damage(let error): report(error)
            }
        }
        if walk.valueCount != valueCount {
            report(.corruption("\(valueCount) values when written, now \(walk.valueCount)", file: path))
        }
        if try walk.wholeChecksum() != checksum {
            report(.corruption("The file does not match the checksum in the manifest", file: path))
        }
    }
}
