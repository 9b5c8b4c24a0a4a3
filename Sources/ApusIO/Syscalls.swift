// Every system call on files and directories that the engine makes, wrapped once: interrupted calls are repeated,
// short transfers are continued, and an error number becomes a typed `IOError`. Nothing else calls the kernel for
// files, so what a call promises on each system is decided here.

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
#error("ApusIO needs a C library: Darwin, Glibc or Musl")
#endif
#if os(Linux)
import CLinuxVFS
#endif

/// An open file descriptor as the system numbers it.
typealias Descriptor = Int32

enum Syscalls {
    /// Larger transfers are cut: Darwin refuses more than `Int32.max` bytes at once.
    static let maximumTransferByteCount = 1 << 30

    // MARK: - Repeating and continuing

    /// Repeats `call` while signals interrupt it; any other failure is thrown.
    @discardableResult
    static func repeating<Number: SignedInteger>(
        _ operation: IOError.Operation,
        _ path: String,
        _ call: () -> Number
    ) throws(IOError) -> Number {
        while true {
            let result = call()
            if result >= 0 { return result }
            let code = errno
            if code != EINTR { throw IOError(operation, path: path, code: code) }
        }
    }

    /// Calls `step(done, rest)` until `byteCount` bytes are transferred or a step transfers none; returns how many
    /// were. A step may transfer fewer bytes than asked for, and returns -1 (with `errno`) when it fails.
    static func transferring(
        _ operation: IOError.Operation,
        _ path: String,
        byteCount: Int,
        _ step: (Int, Int) -> Int
    ) throws(IOError) -> Int {
        var done = 0
        while done < byteCount {
            let rest = min(byteCount - done, maximumTransferByteCount)
            let count = try repeating(operation, path) { step(done, rest) }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// A C string ends at its first zero byte, so a path with one inside would name another file.
    private static func check(_ path: String, _ operation: IOError.Operation) throws(IOError) {
        if path.utf8.contains(0) { throw IOError(operation, path: path, code: EINVAL) }
    }

    // MARK: - Files

    static func open(
        _ path: String,
        _ flags: Int32,
        for operation: IOError.Operation = .open
    ) throws(IOError) -> Descriptor {
        try check(path, operation)
        #if canImport(Darwin)
        let descriptor = try repeating(operation, path) { Darwin.open(path, flags | O_CLOEXEC, 0o644) }
        #elseif canImport(Glibc)
        let descriptor = try repeating(operation, path) { Glibc.open(path, flags | O_CLOEXEC, 0o644) }
        #else
        let descriptor = try repeating(operation, path) { Musl.open(path, flags | O_CLOEXEC, 0o644) }
        #endif
        return try awayFromStandardStreams(descriptor, path, operation)
    }

    /// In a process that was started with a closed standard stream, a file would take its number, and the next message
    /// printed would go into the file. (SQLite learned this from databases that began with error messages.)
    private static func awayFromStandardStreams(
        _ descriptor: Descriptor, _ path: String, _ operation: IOError.Operation
    ) throws(IOError) -> Descriptor {
        if descriptor > 2 { return descriptor }
        defer { try? close(descriptor, path: path) }
        return try repeating(operation, path) { fcntl(descriptor, F_DUPFD_CLOEXEC, 3) }
    }

    /// Never repeated: the descriptor is gone whatever the call returns, and its number may be in use again.
    static func close(_ descriptor: Descriptor, path: String) throws(IOError) {
        #if canImport(Darwin)
        let result = Darwin.close(descriptor)
        #elseif canImport(Glibc)
        let result = Glibc.close(descriptor)
        #else
        let result = Musl.close(descriptor)
        #endif
        let code = errno
        if result != 0, code != EINTR { throw IOError(.close, path: path, code: code) }
    }

    static func read(
        _ descriptor: Descriptor,
        _ buffer: UnsafeMutableRawBufferPointer,
        at offset: UInt64,
        path: String,
        for operation: IOError.Operation = .read
    ) throws(IOError) -> Int {
        guard let base = buffer.baseAddress, !buffer.isEmpty else { return 0 }
        // No file reaches this far, and an offset taken from damaged bytes must not become a negative one.
        guard let start = off_t(exactly: offset), start <= off_t.max - off_t(buffer.count) else { return 0 }
        return try transferring(operation, path, byteCount: buffer.count) { done, rest in
            pread(descriptor, base + done, rest, start + off_t(done))
        }
    }

    static func write(
        _ descriptor: Descriptor,
        _ bytes: UnsafeRawBufferPointer,
        at offset: UInt64,
        path: String,
        for operation: IOError.Operation = .write
    ) throws(IOError) {
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return }
        guard let start = off_t(exactly: offset), start <= off_t.max - off_t(bytes.count) else {
            throw IOError(operation, path: path, code: EFBIG)
        }
        let written = try transferring(operation, path, byteCount: bytes.count) { done, rest in
            pwrite(descriptor, base + done, rest, start + off_t(done))
        }
        // A device that takes nothing and reports nothing: repeating could go on for ever.
        if written < bytes.count { throw IOError(operation, path: path, code: EIO, detail: "wrote no bytes") }
    }

    static func truncate(
        _ descriptor: Descriptor,
        to byteCount: UInt64,
        path: String,
        for operation: IOError.Operation = .truncate
    ) throws(IOError) {
        guard let length = off_t(exactly: byteCount) else { throw IOError(operation, path: path, code: EFBIG) }
        try repeating(operation, path) { ftruncate(descriptor, length) }
    }

    static func status(of descriptor: Descriptor, path: String) throws(IOError) -> stat {
        var information = stat()
        try repeating(.status, path) { fstat(descriptor, &information) }
        return information
    }

    /// nil if nothing has that name.
    static func status(ofPath path: String, for operation: IOError.Operation = .status) throws(IOError) -> stat? {
        try check(path, operation)
        var information = stat()
        do {
            try repeating(operation, path) { stat(path, &information) }
        } catch {
            if error.code == ENOENT || error.code == ENOTDIR { return nil }
            throw error
        }
        return information
    }

    // MARK: - Durability

    /// Waits until the bytes of a file are on stable storage, and of its metadata what reading them needs.
    static func synchronizeData(_ descriptor: Descriptor, path: String) throws(IOError) {
        #if canImport(Darwin)
        try synchronizeFully(descriptor, path: path, for: .synchronize)
        #else
        try repeating(.synchronize, path) { fdatasync(descriptor) }
        #endif
    }

    /// Has the system start writing dirty pages of a range to the disk, without waiting: the sync that has to come has less
    /// left to wait for. A file that knows no such call is left as it is.
    static func beginWriteback(_ descriptor: Descriptor, _ range: Range<UInt64>, path: String) throws(IOError) {
        #if os(Linux)
        guard let offset = off_t(exactly: range.lowerBound), let end = off_t(exactly: range.upperBound) else { return }
        let write: UInt32 = 2  // SYNC_FILE_RANGE_WRITE, the only flag that leaves errors to the next sync.
        do throws(IOError) {
            try repeating(.write, path) { sync_file_range(descriptor, offset, end - offset, write) }
        } catch {
            if ![EINVAL, ESPIPE, ENOSYS, EOPNOTSUPP].contains(error.code) { throw error }
        }
        #endif
    }

    static func synchronizeNames(_ descriptor: Descriptor, path: String) throws(IOError) {
        #if canImport(Darwin)
        try synchronizeFully(descriptor, path: path, for: .synchronizeDirectory)
        #else
        try repeating(.synchronizeDirectory, path) { fsync(descriptor) }
        #endif
    }

    #if canImport(Darwin)
    /// `fsync` on Darwin leaves the bytes in the drive's cache; only `F_FULLFSYNC` empties it. File systems that do
    /// not know it (network ones) say so, and then `fsync` is the most there is. Real failures are never covered up
    /// by a second attempt.
    private static func synchronizeFully(
        _ descriptor: Descriptor,
        path: String,
        for operation: IOError.Operation
    ) throws(IOError) {
        do {
            try repeating(operation, path) { fcntl(descriptor, F_FULLFSYNC) }
        } catch {
            guard [ENOTSUP, EOPNOTSUPP, ENOTTY, EINVAL, ENODEV].contains(error.code) else { throw error }
            try repeating(operation, path) { fsync(descriptor) }
        }
    }
    #endif

    // MARK: - Reserving space

    /// Makes a file `byteCount` bytes long with its space reserved. The file must be shorter now.
    static func allocate(
        _ descriptor: Descriptor,
        from current: UInt64,
        to byteCount: UInt64,
        path: String
    ) throws(IOError) {
        guard let length = off_t(exactly: byteCount) else { throw IOError(.allocate, path: path, code: EFBIG) }
        do throws(IOError) {
            #if canImport(Darwin)
            var request = fstore_t(
                fst_flags: UInt32(F_ALLOCATEALL),
                fst_posmode: F_PEOFPOSMODE,
                fst_offset: 0,
                fst_length: length - off_t(current),
                fst_bytesalloc: 0
            )
            try repeating(.allocate, path) { fcntl(descriptor, F_PREALLOCATE, &request) }
            try truncate(descriptor, to: byteCount, path: path, for: .allocate)
            #else
            // Returns the error number instead of setting `errno`.
            var code: Int32
            repeat { code = posix_fallocate(descriptor, 0, length) } while code == EINTR
            if code != 0 { throw IOError(.allocate, path: path, code: code) }
            #endif
        } catch {
            guard [EOPNOTSUPP, ENOTSUP, EINVAL, ENOSYS].contains(error.code) else {
                // What a failed attempt took is given back; it would only keep a full disk full.
                try? truncate(descriptor, to: current, path: path)
                throw error
            }
            try fillWithZeros(descriptor, from: current, to: byteCount, path: path)
        }
    }

    /// Reserves space where the file system has no call for it.
    static func fillWithZeros(
        _ descriptor: Descriptor,
        from current: UInt64,
        to byteCount: UInt64,
        path: String
    ) throws(IOError) {
        let zeros = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 4096)
        defer { zeros.deallocate() }
        memset(zeros.baseAddress!, 0, zeros.count)
        var offset = current
        while offset < byteCount {
            let count = Int(min(UInt64(zeros.count), byteCount - offset))
            do {
                try write(
                    descriptor,
                    UnsafeRawBufferPointer(rebasing: zeros[..<count]),
                    at: offset,
                    path: path,
                    for: .allocate
                )
            } catch {
                try? truncate(descriptor, to: current, path: path)
                throw error
            }
            offset += UInt64(count)
        }
    }

    // MARK: - Names

    static func makeDirectory(_ path: String) throws(IOError) {
        try check(path, .createDirectory)
        try repeating(.createDirectory, path) { mkdir(path, 0o755) }
    }

    static func rename(_ path: String, to target: String) throws(IOError) {
        try check(path, .rename)
        try check(target, .rename)
        #if canImport(Darwin)
        try repeating(.rename, path) { Darwin.rename(path, target) }
        #elseif canImport(Glibc)
        try repeating(.rename, path) { Glibc.rename(path, target) }
        #else
        try repeating(.rename, path) { Musl.rename(path, target) }
        #endif
    }

    static func remove(_ path: String) throws(IOError) {
        try check(path, .remove)
        do {
            try repeating(.remove, path) { unlink(path) }
        } catch {
            // Linux and Darwin answer differently when asked to unlink a directory.
            guard error.code == EISDIR || error.code == EPERM else { throw error }
            guard let status = try status(ofPath: path, for: .remove), status.isDirectory else { throw error }
            try repeating(.remove, path) { rmdir(path) }
        }
    }

    static func list(_ path: String) throws(IOError) -> [String] {
        try check(path, .list)
        var opened = opendir(path)
        while opened == nil, errno == EINTR { opened = opendir(path) }
        guard let stream = opened else { throw IOError(.list, path: path, code: errno) }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                // The end of the directory and an error look the same but for `errno`.
                if errno == EINTR { continue }
                if errno != 0 { throw IOError(.list, path: path, code: errno) }
                return names
            }
            // The record ends with its name, so `d_name` is read in place: copying it out as the 256-byte tuple it is
            // declared as could run past the record.
            let start = UnsafeRawPointer(entry) + MemoryLayout<dirent>.offset(of: \.d_name)!
            let name = String(cString: start.assumingMemoryBound(to: CChar.self))
            if name != ".", name != ".." { names.append(name) }
        }
    }

    // MARK: - Locks

    /// False if another open file holds a lock that excludes this one.
    static func tryLock(_ descriptor: Descriptor, exclusive: Bool, path: String) throws(IOError) -> Bool {
        do {
            try repeating(.lock, path) { flock(descriptor, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) }
            return true
        } catch {
            if error.code == EWOULDBLOCK { return false }
            throw error
        }
    }
}

extension stat {
    var isDirectory: Bool { st_mode & S_IFMT == S_IFDIR }
    var byteCount: UInt64 { UInt64(max(st_size, 0)) }
}
