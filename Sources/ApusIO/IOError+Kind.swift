// What the system's error numbers mean for a caller, and how they read.

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

extension IOError {
    public var kind: Kind {
        switch code {
        case ENOENT: .notFound
        case EEXIST, ENOTEMPTY: .alreadyExists
        case ENOSPC, EDQUOT, EFBIG: .outOfSpace
        case EACCES, EPERM, EROFS: .notPermitted
        case EMFILE, ENFILE: .tooManyOpenFiles
        case EWOULDBLOCK: .locked
        default: .other
        }
    }
}

extension IOError: CustomStringConvertible {
    public var description: String {
        let reason = String(cString: strerror(code))
        return "\(operation.rawValue) of \(path) failed: \(reason)" + (detail.isEmpty ? "" : " (\(detail))")
    }
}

/// The system's error numbers by name, for code that makes or checks an `IOError` without importing a C library.
public enum ErrorCode {
    public static let notFound = ENOENT
    public static let alreadyExists = EEXIST
    public static let notEmpty = ENOTEMPTY
    public static let notADirectory = ENOTDIR
    public static let isADirectory = EISDIR
    public static let badDescriptor = EBADF
    public static let invalidArgument = EINVAL
    public static let inputOutput = EIO
    public static let noSpace = ENOSPC
    public static let overQuota = EDQUOT
    public static let fileTooLarge = EFBIG
    public static let tooManyOpenFiles = EMFILE
    public static let tooManyOpenFilesInSystem = ENFILE
    public static let notPermitted = EACCES
    public static let readOnlyFileSystem = EROFS
    public static let locked = EWOULDBLOCK
}
