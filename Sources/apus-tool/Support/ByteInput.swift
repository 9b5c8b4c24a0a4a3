// Buffered bytes from a file or stdin, with the offset of the next byte: the place where an interrupted import goes on.

import Foundation

final class ByteInput {
    let name: String
    private let descriptor: Int32
    private var buffer: [UInt8]
    private var start = 0
    private var end = 0
    private var bufferOffset: UInt64 = 0

    /// Of the next byte that will be returned.
    var offset: UInt64 { bufferOffset + UInt64(start) }

    private static let bufferByteCount = 256 << 10

    /// - Parameter bufferByteCount: at least 3, so that a byte order mark fits.
    init(path: String, bufferByteCount: Int = bufferByteCount) throws {
        name = path
        buffer = [UInt8](repeating: 0, count: bufferByteCount)
        descriptor = path.withCString { open($0, O_RDONLY | O_CLOEXEC) }
        if descriptor < 0 { throw Failure.system("cannot read \(path)") }
    }

    /// A path that need not be Unicode.
    init(path: [UInt8]) throws {
        name = displayed(path)
        buffer = [UInt8](repeating: 0, count: Self.bufferByteCount)
        descriptor = path.withCString { open($0, O_RDONLY | O_CLOEXEC) }
        if descriptor < 0 { throw Failure.system("cannot read \(name)") }
    }

    /// Standard input.
    init() {
        name = "standard input"
        buffer = [UInt8](repeating: 0, count: Self.bufferByteCount)
        descriptor = 0
    }

    deinit {
        if descriptor > 0 { close(descriptor) }
    }

    /// Size and modification time of what is open.
    func stamp() throws -> FileStamp {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Failure.system("cannot read \(name)") }
        return FileStamp(status)
    }

    /// Goes on at `offset`, which is ahead.
    func skip(to offset: UInt64) throws {
        guard offset != self.offset else { return }
        guard lseek(descriptor, off_t(offset), SEEK_SET) >= 0 else { throw Failure.system("cannot seek in \(name)") }
        (start, end, bufferOffset) = (0, 0, offset)
    }

    func next() throws -> UInt8? {
        guard try fill() else { return nil }
        defer { start += 1 }
        return buffer[start]
    }

    func peek() throws -> UInt8? {
        try fill() ? buffer[start] : nil
    }

    /// The bytes at hand, without consuming them; empty at the end.
    func peekBytes() throws -> ArraySlice<UInt8> {
        try fill() ? buffer[start..<end] : []
    }

    /// Whether these bytes come next. A pipe may deliver them one at a time.
    func starts(with bytes: [UInt8]) throws -> Bool {
        guard try fill() else { return false }
        while end - start < bytes.count, end < buffer.count {
            let count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress! + end, $0.count - end) }
            if count < 0, errno == EINTR { continue }
            if count < 0 { throw Failure.system("cannot read \(name)") }
            if count == 0 { break }
            end += count
        }
        return buffer[start..<end].starts(with: bytes)
    }

    /// Goes past bytes that `peekBytes` has shown.
    func consume(_ count: Int) {
        precondition(count <= end - start, "only bytes that were seen can be consumed")
        start += count
    }

    /// Everything up to and with the next line feed, or up to the end; nil at the end.
    func line(limit: Int) throws -> [UInt8]? {
        var line: [UInt8] = []
        while try fill() {
            let count = buffer.withUnsafeBytes { bytes -> Int in
                let first = bytes.baseAddress! + start
                guard let found = memchr(first, 0x0A, end - start) else { return end - start }
                return UnsafeRawPointer(found) - first + 1
            }
            line.append(contentsOf: buffer[start..<start + count])
            start += count
            if line.last == 0x0A { return line }
            if line.count > limit {
                throw Failure("\(name) has a line of more than \(limit) bytes before byte \(offset)")
            }
        }
        return line.isEmpty ? nil : line
    }

    /// All that is left, or nil if that is more than `limit` bytes.
    func rest(limit: Int) throws -> [UInt8]? {
        var bytes: [UInt8] = []
        while try fill() {
            bytes.append(contentsOf: buffer[start..<end])
            start = end
            if bytes.count > limit { return nil }
        }
        return bytes
    }

    /// Makes at least one byte available; false at the end.
    private func fill() throws -> Bool {
        if start < end { return true }
        bufferOffset += UInt64(end)
        (start, end) = (0, 0)
        while true {
            let count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress!, $0.count) }
            if count >= 0 {
                end = count
                return count > 0
            }
            if errno != EINTR { throw Failure.system("cannot read \(name)") }
        }
    }
}

/// What tells that a file has changed since it was read.
struct FileStamp: Codable, Equatable {
    var size: UInt64
    /// Modification time in nanoseconds since 1970.
    var modified: Int64

    init(_ status: stat) {
        size = UInt64(status.st_size)
        #if canImport(Darwin)
        let time = status.st_mtimespec
        #else
        let time = status.st_mtim
        #endif
        modified = Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

extension [UInt8] {
    /// Calls `body` with the bytes as a C string.
    func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        (self + [0]).withUnsafeBytes { body($0.assumingMemoryBound(to: CChar.self).baseAddress!) }
    }
}
