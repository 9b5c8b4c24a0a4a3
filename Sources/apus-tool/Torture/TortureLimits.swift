// Taking things away from a writer: memory, the size of files, room in the file system.

import ArgumentParser
import Foundation

/// What a writer does without.
struct TortureLimits: Sendable {
    /// Bytes of memory, from the start to the end.
    var memory: Int?
    /// Bytes that a file may have, now and then.
    var fileSize: Int?
    /// There may be no room in the file system.
    var isFileSystemFull = false

    var toleratesErrors: Bool { memory != nil || fileSize != nil || isFileSystemFull }

    /// Sets the limit that holds for the process's whole life, and prepares for the one that comes and goes.
    func applyForever() throws {
        if let memory {
            // Private writable memory, where the system can tell it from address space that is only reserved.
            #if os(Linux)
            let resource = __rlimit_resource_t(RLIMIT_DATA.rawValue)
            #else
            let resource = RLIMIT_AS
            #endif
            var limit = rlimit(rlim_cur: rlim_t(memory), rlim_max: rlim_t(memory))
            guard setrlimit(resource, &limit) == 0 else { throw Failure.system("cannot limit memory") }
        }
        // Without its signal the limit is an error of the call: EFBIG.
        if fileSize != nil { signal(SIGXFSZ, SIG_IGN) }
    }

    func setFileSize(isLimited: Bool) {
        guard let fileSize else { return }
        #if os(Linux)
        let resource = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
        #else
        let resource = RLIMIT_FSIZE
        #endif
        var limit = rlimit()
        getrlimit(resource, &limit)
        limit.rlim_cur = isLimited ? rlim_t(fileSize) : limit.rlim_max
        setrlimit(resource, &limit)
    }
}

/// "65536", "64K", "64M", "2G": bytes in an argument.
struct ByteCount: ExpressibleByArgument {
    var value: Int

    init?(argument: String) {
        let units: [Character: Int] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30]
        let factor = argument.last.flatMap { units[$0] }
        guard let number = Int(factor == nil ? argument : String(argument.dropLast())), number > 0 else { return nil }
        let (value, overflow) = number.multipliedReportingOverflow(by: factor ?? 1)
        guard !overflow else { return nil }
        self.value = value
    }

    var defaultValueDescription: String { byteSize(value) }
}

/// A file that takes all the room there is in a small file system, and gives it back.
struct Ballast {
    let path: String

    /// Beyond this it might be somebody's real disk.
    private static let largest = 4 << 30

    /// Throws if the file system is too large to be filled.
    func check() throws {
        let room = try room()
        guard room <= Self.largest else {
            throw Failure(
                "the file system of \(path) has \(byteSize(room)) of room: filling it is refused above "
                    + byteSize(Self.largest),
                code: 2
            )
        }
    }

    /// Leaves less than a page.
    func fill() throws {
        let descriptor = Foundation.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else {
            // Not even room for a name.
            if errno == ENOSPC { return }
            throw Failure.system("cannot write \(path)")
        }
        defer { close(descriptor) }
        let chunk = [UInt8](repeating: 0xBA, count: 1 << 20)
        var count = chunk.count
        // Others write meanwhile, so what is left is found by trying: ever smaller pieces.
        while count >= 512 {
            let written = chunk.withUnsafeBytes { write(descriptor, $0.baseAddress!, count) }
            if written < count { count /= 2 }
            if written < 0, errno != ENOSPC, errno != EDQUOT, errno != EINTR {
                throw Failure.system("cannot write \(path)")
            }
        }
    }

    func remove() {
        unlink(path)
    }

    private func room() throws -> Int {
        var status = statvfs()
        guard statvfs(URL(fileURLWithPath: path).deletingLastPathComponent().path, &status) == 0 else {
            throw Failure.system("cannot look at the file system of \(path)")
        }
        return Int(status.f_bavail) * Int(status.f_frsize)
    }
}

/// A file system in memory, mounted at a directory. Linux only, and for root only.
struct SmallFileSystem {
    let directory: String
    let byteCount: Int

    func mount() throws {
        try run(["mount", "-t", "tmpfs", "-o", "size=\(byteCount)", "apus-torture", directory])
    }

    func unmount() throws {
        try run(["umount", directory])
    }

    private func run(_ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(
                "\(arguments[0]) failed: a small file system needs Linux and root; without them give a directory on "
                    + "one, and --fill",
                code: 2
            )
        }
    }
}
