// An open file of the operating system: positioned reads and writes on one descriptor, which is closed exactly once.

import Synchronization

/// A file descriptor and its owner.
///
/// Reads and writes carry their own offset, so any number of threads may use the file at once.
final class POSIXFile: File {
    /// -1 once closed: a late call then fails with EBADF instead of reaching whatever file got the number next.
    private let descriptor: Atomic<Descriptor>
    private let path: String

    init(adopting descriptor: Descriptor, path: String) {
        self.descriptor = Atomic(descriptor)
        self.path = path
    }

    deinit {
        // A file that was written is closed explicitly and its error seen; this is for the rest.
        try? closeOnce()
    }

    private var current: Descriptor { descriptor.load(ordering: .relaxed) }

    private func closeOnce() throws(IOError) {
        let owned = descriptor.exchange(-1, ordering: .relaxed)
        if owned >= 0 { try Syscalls.close(owned, path: path) }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(IOError) -> Int {
        try Syscalls.read(current, buffer, at: offset, path: path)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(IOError) {
        try Syscalls.write(current, bytes, at: offset, path: path)
    }

    func synchronize() throws(IOError) {
        try Syscalls.synchronizeData(current, path: path)
    }

    func allocate(_ byteCount: UInt64) throws(IOError) {
        let length = try self.byteCount()
        guard byteCount > length else { return }
        try Syscalls.allocate(current, from: length, to: byteCount, path: path)
    }

    func truncate(to byteCount: UInt64) throws(IOError) {
        try Syscalls.truncate(current, to: byteCount, path: path)
    }

    func byteCount() throws(IOError) -> UInt64 {
        try Syscalls.status(of: current, path: path).byteCount
    }

    func close() throws(IOError) {
        try closeOnce()
    }
}
