// The folders that the databases of a run are in.

import FoundationEssentials
import Glibc

struct BenchFolder {
    let path: String

    /// A folder of this process' own in `directory`.
    init(below directory: String) throws {
        try self.init(path: "\(directory)/apus-store-bench-\(getpid())")
    }

    private init(path: String) throws {
        self.path = path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    /// A folder in it, empty.
    func subfolder(_ name: String) throws -> BenchFolder {
        let path = "\(path)/\(name)"
        try? FileManager.default.removeItem(atPath: path)
        return try BenchFolder(path: path)
    }

    func remove() {
        try? FileManager.default.removeItem(atPath: path)
    }

    /// Disk space of all files in it: blocks, not lengths, so that holes are free and reserved space is not.
    var allocatedByteCount: Int {
        let names = (try? FileManager.default.subpathsOfDirectory(atPath: path)) ?? []
        return names.reduce(0) { total, name in
            var status = stat()
            guard lstat("\(path)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return total }
            return total + Int(status.st_blocks) * 512
        }
    }

    /// Writes all dirty pages of the machine to disk, so that no run pays for the one before it.
    static func synchronize() {
        sync()
    }
}
