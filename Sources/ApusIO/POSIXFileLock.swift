// The lock of a database directory: `flock` on its lock file. `flock` belongs to the open file, not to the process, so
// two handles of one process exclude each other, and closing some other descriptor of the file does not drop it (as it
// would with POSIX record locks). The kernel releases it when the process dies. The file itself is never removed: a
// process that had opened it just before would then lock a file that nobody else can find.

import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A held lock; the kernel's lock goes with the descriptor.
final class POSIXFileLock: FileLock {
    /// -1 if nothing is held (any more).
    private let descriptor: Atomic<Descriptor>
    private let path: String

    private init(adopting descriptor: Descriptor, path: String) {
        self.descriptor = Atomic(descriptor)
        self.path = path
    }

    deinit { release() }

    func release() {
        let owned = descriptor.exchange(-1, ordering: .relaxed)
        if owned >= 0 { try? Syscalls.close(owned, path: path) }
    }

    static func take(_ path: String, exclusive: Bool, holder: String) throws(IOError) -> POSIXFileLock {
        while true {
            let descriptor: Descriptor
            do {
                descriptor = try Syscalls.open(path, exclusive ? O_RDWR | O_CREAT : O_RDONLY, for: .lock)
            } catch {
                // Whoever writes creates the file first. Without one nobody writes, and a reader, which may not be
                // allowed to create anything here, has nobody to exclude.
                guard !exclusive, error.code == ENOENT else { throw error }
                return POSIXFileLock(adopting: -1, path: path)
            }
            let lock = POSIXFileLock(adopting: descriptor, path: path)
            guard try Syscalls.tryLock(descriptor, exclusive: exclusive, path: path) else {
                // Where even a reader is kept out, the holder is the writer that described itself. Otherwise the text
                // is that of some writer of the past.
                let isWritten = try !Syscalls.tryLock(descriptor, exclusive: false, path: path)
                let holder = isWritten ? text(of: descriptor, path: path) : "another process, for reading"
                throw IOError(.lock, path: path, code: EWOULDBLOCK, detail: holder)
            }
            // Someone may have removed or replaced the file between opening and locking it.
            let held = try Syscalls.status(of: descriptor, path: path)
            guard let named = try Syscalls.status(ofPath: path, for: .lock),
                named.st_ino == held.st_ino, named.st_dev == held.st_dev
            else { continue }
            if exclusive { describe(holder, in: descriptor, path: path) }
            return lock
        }
    }

    /// Writes who holds the lock. The text only informs people, so a full disk must not keep a database from opening.
    private static func describe(_ holder: String, in descriptor: Descriptor, path: String) {
        try? Syscalls.truncate(descriptor, to: 0, path: path, for: .lock)
        var text = holder
        text.withUTF8 { bytes in
            try? Syscalls.write(descriptor, UnsafeRawBufferPointer(bytes), at: 0, path: path, for: .lock)
        }
    }

    /// What the holder wrote, as far as it can be read.
    private static func text(of descriptor: Descriptor, path: String) -> String {
        withUnsafeTemporaryAllocation(byteCount: 512, alignment: 1) { buffer in
            let count = try? Syscalls.read(descriptor, buffer, at: 0, path: path, for: .lock)
            return String(decoding: buffer[..<(count ?? 0)], as: UTF8.self)
        }
    }
}
