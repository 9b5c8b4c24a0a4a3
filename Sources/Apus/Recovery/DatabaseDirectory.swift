// Making the database directory itself durable: its own name lives in its parent, which has to be synced as well.

import ApusIO

enum DatabaseDirectory {
    /// Creates `path` if nothing has that name, and syncs its parent either way: a directory that an interrupted
    /// creation left behind may not be durable yet. The parent must exist.
    static func create(_ path: String, on fileSystem: any FileSystem) throws(ApusError) {
        let status = try io { () throws(IOError) in try fileSystem.status(of: path) }
        if let status {
            guard status.isDirectory else {
                throw ApusError(.notADatabase, "\(path) is not a directory", file: path)
            }
        } else {
            try io { () throws(IOError) in try fileSystem.createDirectory(path) }
        }
        try io { () throws(IOError) in try fileSystem.synchronizeDirectory(parent(of: path)) }
    }

    /// The directory that holds the last component of `path`.
    static func parent(of path: String) -> String {
        var text = path[...]
        while text.utf8.count > 1, text.hasSuffix("/") { text.removeLast() }
        guard let slash = text.lastIndex(of: "/") else { return "." }
        var parent = text[..<slash]
        while parent.utf8.count > 1, parent.hasSuffix("/") { parent.removeLast() }
        return parent.isEmpty ? "/" : String(parent)
    }
}
