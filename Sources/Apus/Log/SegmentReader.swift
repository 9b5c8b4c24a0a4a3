// Reading a log segment or a manifest through a window: memory is bounded by the largest frame, and never exceeds
// what the file really holds, whatever its lengths claim.

import ApusIO

/// A file of frames, open for reading. One thread at a time; not `Sendable`.
///
/// Invariant of the unsafe part: `window` is owned by the reader and freed with it; its first `windowByteCount` bytes
/// are those of the file from `windowOffset`.
final class SegmentReader {
    let number: FileNumber
    let path: String
    let byteCount: UInt64

    private let file: any File
    private var window: UnsafeMutableRawBufferPointer
    private var windowOffset: UInt64 = 0
    private var windowByteCount = 0

    private static let preferredWindowByteCount = 1 << 20

    init(_ name: FileName, in directory: String, on fileSystem: any FileSystem) throws(ApusError) {
        let path = name.path(in: directory)
        let file: any File
        do {
            file = try fileSystem.open(path, .read)
        } catch {
            guard error.kind == .notFound else { throw ApusError(error) }
            throw .corruption("\(name.string) is missing", file: path)
        }
        do {
            byteCount = try file.byteCount()
        } catch {
            try? file.close()
            throw ApusError(error)
        }
        self.file = file
        self.path = path
        number = name.number ?? 0
        window = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }

    deinit {
        window.deallocate()
        // Opened for reading only: closing cannot lose anything.
        try? file.close()
    }

    /// The bytes at `offset`, valid until the next call.
    ///
    /// - Precondition: they lie within `byteCount`.
    func bytes(at offset: UInt64, count: Int) throws(ApusError) -> UnsafeRawBufferPointer {
        precondition(count >= 0 && offset <= byteCount && UInt64(count) <= byteCount - offset)
        let end = offset + UInt64(count)
        if offset < windowOffset || end > windowOffset + UInt64(windowByteCount) {
            try fill(from: offset, atLeast: count)
        }
        let start = Int(offset - windowOffset)
        return UnsafeRawBufferPointer(rebasing: window[start..<(start + count)])
    }

    /// As many bytes from `offset` as one window has, at least `minimum` of them: for scanning.
    ///
    /// - Precondition: `minimum` bytes lie within `byteCount`.
    func stretch(at offset: UInt64, atLeast minimum: Int) throws(ApusError) -> UnsafeRawBufferPointer {
        _ = try bytes(at: offset, count: minimum)
        let start = Int(offset - windowOffset)
        return UnsafeRawBufferPointer(rebasing: window[start..<windowByteCount])
    }

    private func fill(from offset: UInt64, atLeast count: Int) throws(ApusError) {
        let wanted = Int(min(UInt64(max(count, Self.preferredWindowByteCount)), byteCount - offset))
        if window.count < wanted || window.count > 4 * max(wanted, Self.preferredWindowByteCount) {
            window.deallocate()
            windowByteCount = 0
            window = .allocate(byteCount: wanted, alignment: 16)
        }
        windowByteCount = 0
        windowOffset = offset
        let target = UnsafeMutableRawBufferPointer(rebasing: window[..<wanted])
        let read = try io { () throws(IOError) in try file.read(into: target, at: offset) }
        guard read == wanted else {
            throw .corruption("the file became shorter while it was read", file: path, offset: offset + UInt64(read))
        }
        windowByteCount = wanted
    }
}

extension SegmentReader {
    /// What stands in the first 64 bytes.
    enum Start {
        case header(SegmentHeader)
        /// No header: the file was never used, or is damaged. `isZero` if there is nothing at all in its place.
        case none(reason: String, isZero: Bool)
    }

    /// Reads the segment header and checks everything about it that this file alone can tell.
    func start(_ purpose: SegmentHeader.Purpose) throws(ApusError) -> Start {
        guard byteCount >= UInt64(SegmentHeader.byteCount) else {
            return .none(reason: "the file is too short for a segment header", isZero: byteCount == 0)
        }
        let bytes = try bytes(at: 0, count: SegmentHeader.byteCount)
        switch SegmentHeader.decode(bytes) {
        case .invalid(let reason):
            return .none(reason: reason, isZero: bytes.allSatisfy { $0 == 0 })
        case .unsupported(let version):
            throw ApusError(
                .unsupportedFormat,
                "format version \(version) is not supported, only \(SegmentHeader.formatVersion)",
                file: path,
                offset: 4
            )
        case .header(let header):
            guard header.purpose == purpose else {
                throw .corruption("a \(header.purpose) stands where a \(purpose) belongs", file: path, offset: 0)
            }
            guard header.number == number else {
                throw .corruption("the header says that this is file \(header.number)", file: path, offset: 8)
            }
            return .header(header)
        }
    }

    /// The number in a sound header, if it is not the file's own: a retired segment was renamed for reuse, and a crash
    /// came before its header was zeroed. Nobody can have used it under its new name.
    func formerNumber() throws(ApusError) -> FileNumber? {
        guard byteCount >= UInt64(SegmentHeader.byteCount),
            case .header(let header) = SegmentHeader.decode(try bytes(at: 0, count: SegmentHeader.byteCount)),
            header.number != number
        else { return nil }
        return header.number
    }

    /// Checks that the file has the length that its header says was reserved.
    func checkCapacity(_ capacity: UInt64) throws(ApusError) {
        guard byteCount >= capacity else {
            throw .corruption(
                "the file was cut off: \(byteCount) bytes are left of \(capacity)",
                file: path,
                offset: byteCount
            )
        }
    }
}
