// What the tests of the simulation share.

import ApusIO

extension File {
    func write(_ bytes: [UInt8], at offset: UInt64) throws {
        try bytes.withUnsafeBytes { try write($0, at: offset) }
    }

    func read(_ byteCount: Int, at offset: UInt64) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
            count = try read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
        }
    }
}

extension FileSystem {
    /// A new file with its bytes synced, but not its name.
    @discardableResult
    func makeFile(_ path: String, _ bytes: [UInt8] = []) throws -> any File {
        let file = try open(path, .create)
        try file.write(bytes, at: 0)
        try file.synchronize()
        return file
    }

    func contents(_ path: String) throws -> [UInt8] {
        let file = try open(path, .read)
        return try file.read(Int(try file.byteCount()), at: 0)
    }
}

func repeated(_ byte: UInt8, _ count: Int) -> [UInt8] {
    [UInt8](repeating: byte, count: count)
}

/// What kind of failure `body` ends with; nil if it succeeds.
func kind(_ body: () throws -> Void) -> IOError.Kind? {
    do {
        try body()
        return nil
    } catch {
        return (error as? IOError)?.kind
    }
}
