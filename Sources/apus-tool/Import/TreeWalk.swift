// Walks a directory tree, file by file in the order of names, with one directory's names in memory per level. Paths
// are bytes, as the system has them: a name need not be Unicode.

import Foundation

struct TreeWalk: Sequence, IteratorProtocol {
    struct Item {
        /// Relative to the root of the walk.
        var path: [UInt8]
        var size: UInt64
    }

    private let root: [UInt8]
    /// Names still to visit, last first, for each directory on the way down.
    private var stack: [(directory: [UInt8], names: [[UInt8]])] = []
    private let excluded: FileIdentity?
    /// Symbolic links, sockets, devices: what has no content of its own.
    private(set) var skippedCount = 0
    /// Directories that could not be read, with the reason.
    private(set) var failures: [String] = []

    /// - Parameter excluded: a directory to leave out, such as the database that is being filled.
    init(_ root: String, excluding excluded: FileIdentity? = nil) throws {
        self.root = Array(root.utf8)
        self.excluded = excluded
        guard let names = Self.names(in: self.root) else { throw Failure.system("cannot read \(root)") }
        stack = [([], names)]
    }

    mutating func next() -> Item? {
        while let top = stack.indices.last {
            guard let name = stack[top].names.popLast() else {
                stack.removeLast()
                continue
            }
            let path = stack[top].directory.isEmpty ? name : stack[top].directory + [UInt8(ascii: "/")] + name
            var status = stat()
            let full = root + [UInt8(ascii: "/")] + path
            guard full.withCString({ lstat($0, &status) }) == 0 else { continue }
            switch status.st_mode & S_IFMT {
            case S_IFREG: return Item(path: path, size: UInt64(status.st_size))
            case S_IFDIR:
                if let excluded, FileIdentity(status) == excluded { continue }
                guard let names = Self.names(in: full) else {
                    failures.append("cannot read \(displayed(full)): \(String(cString: strerror(errno)))")
                    continue
                }
                stack.append((path, names))
            default: skippedCount += 1
            }
        }
        return nil
    }

    /// The names in a directory, last first; nil if it cannot be read.
    private static func names(in directory: [UInt8]) -> [[UInt8]]? {
        guard let stream = directory.withCString({ opendir($0) }) else { return nil }
        defer { closedir(stream) }
        var names: [[UInt8]] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { field in
                field.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: field.pointee)) {
                    UnsafeRawBufferPointer(start: $0, count: strlen($0)).map { $0 }
                }
            }
            if name != Array(".".utf8), name != Array("..".utf8) { names.append(name) }
        }
        return names.sorted { $1.lexicographicallyPrecedes($0) }
    }
}

/// What a file or directory is, whatever its name.
struct FileIdentity: Equatable {
    private let device: UInt64
    private let number: UInt64

    init(_ status: stat) {
        device = UInt64(truncatingIfNeeded: status.st_dev)
        number = UInt64(status.st_ino)
    }

    /// nil if there is nothing of that name.
    init?(path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        self.init(status)
    }
}
