// The real disk: the file-system seam over POSIX calls. Stateless; all state is in the kernel.

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Files, directories and locks of the operating system.
public struct POSIXFileSystem: FileSystem {
    public init() {}

    public func open(_ path: String, _ mode: FileMode) throws(IOError) -> any File {
        let flags =
            switch mode {
            case .read: O_RDONLY
            case .update: O_RDWR
            case .create: O_RDWR | O_CREAT | O_EXCL
            }
        return POSIXFile(adopting: try Syscalls.open(path, flags), path: path)
    }

    public func createDirectory(_ path: String) throws(IOError) {
        try Syscalls.makeDirectory(path)
    }

    public func list(_ directory: String) throws(IOError) -> [String] {
        try Syscalls.list(directory)
    }

    public func status(of path: String) throws(IOError) -> FileStatus? {
        guard let status = try Syscalls.status(ofPath: path) else { return nil }
        return FileStatus(isDirectory: status.isDirectory, byteCount: status.byteCount)
    }

    public func rename(_ path: String, to target: String) throws(IOError) {
        try Syscalls.rename(path, to: target)
    }

    public func remove(_ path: String) throws(IOError) {
        try Syscalls.remove(path)
    }

    public func synchronizeDirectory(_ path: String) throws(IOError) {
        let descriptor = try Syscalls.open(path, O_RDONLY | O_DIRECTORY, for: .synchronizeDirectory)
        // Closing a descriptor that was only synchronised cannot lose anything.
        defer { try? Syscalls.close(descriptor, path: path) }
        try Syscalls.synchronizeNames(descriptor, path: path)
    }

    public func lock(_ path: String, exclusive: Bool, holder: String) throws(IOError) -> any FileLock {
        try POSIXFileLock.take(path, exclusive: exclusive, holder: holder)
    }
}

/// Who this process is, for the text in a lock file: its number and the host's name.
public var currentProcessDescription: String {
    var name = [CChar](repeating: 0, count: 256)
    // The last byte stays zero, so a name cut short still ends.
    let isKnown = gethostname(&name, name.count - 1) == 0
    let host = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return "process \(getpid()) on \(isKnown ? String(decoding: host, as: UTF8.self) : "an unknown host")"
}
