// Buffered bytes to a descriptor: stdout or a file. Foundation's handles write through on every call, which would make
// a scan of a million entries a million system calls.

import Foundation

final class ByteOutput {
    private let descriptor: Int32
    private let name: String
    private let isOwned: Bool
    private var buffer: [UInt8] = []
    private static let capacity = 256 << 10

    /// Standard output.
    init() {
        descriptor = 1
        name = "standard output"
        isOwned = false
    }

    /// A file that must not exist yet, unless it may be overwritten or continued.
    init(path: [UInt8], overwrite: Bool = false, append: Bool = false) throws {
        let mode = append ? O_APPEND : overwrite ? O_TRUNC : O_EXCL
        descriptor = path.withCString { open($0, O_WRONLY | O_CREAT | O_CLOEXEC | mode, 0o666) }
        name = displayed(path)
        isOwned = true
        if descriptor < 0 { throw Failure.system("cannot write \(name)") }
    }

    convenience init(path: String, overwrite: Bool = false) throws {
        try self.init(path: Array(path.utf8), overwrite: overwrite)
    }

    deinit {
        if isOwned, descriptor >= 0 { close(descriptor) }
    }

    func write(_ bytes: some Collection<UInt8>) throws {
        buffer.append(contentsOf: bytes)
        if buffer.count >= Self.capacity { try flush() }
    }

    func write(_ span: RawSpan) throws {
        span.withUnsafeBytes { buffer.append(contentsOf: $0) }
        if buffer.count >= Self.capacity { try flush() }
    }

    func write(_ text: String) throws {
        try write(text.utf8)
    }

    func writeLine(_ text: String = "") throws {
        try write(text)
        buffer.append(0x0A)
    }

    /// Hands everything to the system. Must be called at the end: only then errors are known.
    func flush() throws {
        var start = 0
        while start < buffer.count {
            let written = buffer.withUnsafeBytes {
                Foundation.write(descriptor, $0.baseAddress! + start, $0.count - start)
            }
            if written < 0 {
                if errno == EINTR { continue }
                throw Failure.system("cannot write \(name)")
            }
            start += written
        }
        buffer.removeAll(keepingCapacity: true)
    }
}
