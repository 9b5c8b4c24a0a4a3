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
