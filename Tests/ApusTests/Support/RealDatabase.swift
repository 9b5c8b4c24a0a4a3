// A database on the real disk, for tests with real threads.

import ApusIO

@testable import Apus

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A database in a directory of its own, removed at the end.
final class RealDatabase: Sendable {
    let path: String
    let database: Database

    init(writeBufferByteCount: Int = 16_384) throws {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        path = "\(parent)/apus-concurrency-\(getpid())-\(SystemRandom().next())"
        var options = Options(memoryBudget: 1 << 20, durability: .relaxed)
        var tuning = Tuning(memoryBudget: 1 << 20)
        tuning.writeBufferByteCount = writeBufferByteCount
        tuning.blockByteCount = 512
        tuning.levels.baseByteCount = 32_768
        tuning.levels.tableByteCount = 8_192
        tuning.logSegmentByteCount = 65_536
        options.tuning = tuning
        database = try Database.open(at: path, options: options)
    }

    deinit {
        try? database.close()
        let fileSystem = POSIXFileSystem()
        for name in (try? fileSystem.list(path)) ?? [] { try? fileSystem.remove("\(path)/\(name)") }
        try? fileSystem.remove(path)
    }
}
