// Reads files that the kernel makes up on the fly, such as those in /proc. They have no length, and a read may end
// before they do, which general functions for reading files take for the end.

import Glibc

enum KernelFile {
    /// Nil when the file is not there.
    static func text(_ path: String) -> String? {
        let file = open(path, O_RDONLY)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(file, &chunk, chunk.count)
            if count < 0 { return nil }
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += chunk[..<count]
        }
    }
}
