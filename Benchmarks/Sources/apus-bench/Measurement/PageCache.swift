// Empties the kernel's page cache of one database, so that the next reads come from the device. The files are given up
// one by one: that needs no privilege, and does nothing to whatever else runs on the machine.

import FoundationEssentials
import Glibc

enum PageCache {
    /// Drops what is in memory of all files below `path`, and returns the share of their pages that is still there: the
    /// kernel takes the call as advice, and some file systems live in memory.
    static func drop(_ path: String) -> Double {
        var (resident, total) = (0, 0)
        for name in (try? FileManager.default.subpathsOfDirectory(atPath: path)) ?? [] {
            let file = open("\(path)/\(name)", O_RDONLY)
            guard file >= 0 else { continue }
            defer { close(file) }
            var status = stat()
            guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size > 0 else { continue }
            // Dirty pages cannot be dropped.
            fdatasync(file)
            posix_fadvise(file, 0, 0, CInt(POSIX_FADV_DONTNEED))
            let pages = residentPages(file, byteCount: Int(status.st_size))
            resident += pages.resident
            total += pages.total
        }
        return total == 0 ? 0 : Double(resident) / Double(total)
    }

    private static func residentPages(_ file: CInt, byteCount: Int) -> (resident: Int, total: Int) {
        let pageByteCount = sysconf(CInt(_SC_PAGESIZE))
        let total = (byteCount + pageByteCount - 1) / pageByteCount
        guard let map = mmap(nil, byteCount, PROT_READ, MAP_SHARED, file, 0), map != MAP_FAILED else { return (0, 0) }
        defer { munmap(map, byteCount) }
        var states = [UInt8](repeating: 0, count: total)
        guard mincore(map, byteCount, &states) == 0 else { return (0, 0) }
        return (states.count { $0 & 1 != 0 }, total)
    }
}
