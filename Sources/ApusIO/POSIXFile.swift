// An open file of the operating system: positioned reads and writes on one descriptor, which is closed exactly once.

import Synchronization

/// A file descriptor and its owner.
///
/// Reads and writes carry their own offset, so any number of threads may use the file at once. `@unchecked Sendable`:
/// the window belongs to the one thread that stores, and to `close`, which comes after it; all else is immutable or
/// atomic.
final class POSIXFile: File, @unchecked Sendable {
    /// -1 once closed: a late call then fails with EBADF instead of reaching whatever file got the number next.
    private let descriptor: Atomic<Descriptor>
    private let path: String

    /// What `store` goes through.
    @exclusivity(unchecked) private var window: MappedWindow?
    /// Whether the file can be stored into; nil before the first time.
    @exclusivity(unchecked) private var isStorable: Bool?
    /// The file was synced since the window was made ready.
    private let isWindowStale = Atomic(false)

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

    @inline(__always)
    func store(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(IOError) {
        if let window, window.contains(offset, bytes.count), !isWindowStale.load(ordering: .relaxed) {
            return window.store(bytes, at: offset)
        }
        try storeElsewhere(bytes, at: offset)
    }

    /// Moves the window, or writes if there can be none.
    @inline(never)
    private func storeElsewhere(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(IOError) {
        let fits = bytes.count <= MappedWindow.byteCount / 2
        guard fits, moveWindow(to: offset), let window, window.contains(offset, bytes.count) else {
            return try write(bytes, at: offset)
        }
        window.store(bytes, at: offset)
    }

    /// False if nothing can be stored at `offset`.
    private func moveWindow(to offset: UInt64) -> Bool {
        let wasStale = isWindowStale.exchange(false, ordering: .relaxed)
        if let window, window.contains(offset, 1) {
            // What straddles the end is written; what follows needs the next window.
            if !wasStale || window.prepare(from: offset) { return true }
            self.window = nil
            isStorable = false
            return false
        }
        window = nil
        if isStorable == nil { isStorable = MappedWindow.isReliable(current) }
        guard isStorable == true, let length = try? byteCount(), offset < length else { return false }
        window = MappedWindow(current, at: offset, fileByteCount: length)
        isStorable = window != nil
        return window != nil
    }

    func synchronize() throws(IOError) {
        isWindowStale.store(true, ordering: .relaxed)
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
        window = nil
        isStorable = false
        try closeOnce()
    }
}
