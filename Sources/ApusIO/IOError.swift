// The error of one file-system call: which call, on which path, and the system's error number.
// Engine code never sees a bare errno; it asks `kind` what the caller can do about it.

/// A file-system call that failed.
public struct IOError: Error, Sendable, Equatable {
    /// The call that failed.
    public enum Operation: String, Sendable {
        case open, read, write, synchronize, allocate, truncate, close
        case createDirectory, list, status, rename, remove, synchronizeDirectory, lock
    }

    /// What kind of failure this is, as far as a caller can act on it.
    public enum Kind: Sendable {
        /// No such file or directory (ENOENT).
        case notFound
        /// The name exists already (EEXIST).
        case alreadyExists
        /// No room: disk full, quota or file-size limit (ENOSPC, EDQUOT, EFBIG).
        case outOfSpace
        /// Not permitted, or a read-only file system (EACCES, EPERM, EROFS).
        case notPermitted
        /// Too many open files (EMFILE, ENFILE).
        case tooManyOpenFiles
        /// Locked by another process or another handle (EWOULDBLOCK).
        case locked
        /// Everything else, EIO above all.
        case other
    }

    public var operation: Operation
    public var path: String
    /// The system's error number (`errno`).
    public var code: Int32
    /// Further detail, such as who holds a lock; empty if there is none.
    public var detail: String

    public init(_ operation: Operation, path: String, code: Int32, detail: String = "") {
        self.operation = operation
        self.path = path
        self.code = code
        self.detail = detail
    }
}
