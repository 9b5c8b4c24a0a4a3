// A directory on the real disk for one test, removed with everything in it when the test ends.

import ApusIO

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

final class TemporaryDirectory {
    let path: String
    private let fileSystem = POSIXFileSystem()

    init() throws {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        path = "\(parent)/apus-io-\(getpid())-\(SystemRandom().next())"
        try fileSystem.createDirectory(path)
    }

    deinit {
        chmod(path, 0o755)
        for name in (try? fileSystem.list(path)) ?? [] { try? fileSystem.remove(self / name) }
        try? fileSystem.remove(path)
    }

    static func / (directory: TemporaryDirectory, name: String) -> String {
        "\(directory.path)/\(name)"
    }
}

extension File {
    func write(_ bytes: [UInt8], at offset: UInt64) throws(IOError) {
        do {
            try bytes.withUnsafeBytes { try write($0, at: offset) }
        } catch let error as IOError {
            throw error
        } catch {
            preconditionFailure("\(error)")
        }
    }

    func read(_ byteCount: Int, at offset: UInt64) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
            count = try read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
        }
    }
}
