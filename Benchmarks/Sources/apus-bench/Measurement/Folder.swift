// The folders the tool makes, measures and removes.

import FoundationEssentials
import Glibc

enum Folder {
    static func create(_ path: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw BenchmarkError("cannot create the folder \(path)")
        }
    }

    static func remove(_ path: String) {
        try? FileManager.default.removeItem(atPath: path)
    }

    static func copy(_ source: String, to target: String) throws {
        do {
            try FileManager.default.copyItem(atPath: source, toPath: target)
        } catch {
            throw BenchmarkError("cannot copy \(source) to \(target): is the disk full?")
        }
    }

    /// Writes all dirty pages to disk, so that no run pays for the one before it.
    static func synchronize() {
        sync()
    }

    /// Disk space of all files below `path`: blocks, not lengths, so that holes are free and reserved space is not.
    static func allocatedByteCount(_ path: String) -> Int {
        let names = (try? FileManager.default.subpathsOfDirectory(atPath: path)) ?? []
        return names.reduce(0) { total, name in
            var status = stat()
            guard lstat("\(path)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return total }
            return total + Int(status.st_blocks) * 512
        }
    }
}
