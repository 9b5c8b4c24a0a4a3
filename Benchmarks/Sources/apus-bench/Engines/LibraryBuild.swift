// How the library of an engine was compiled, as far as its file tells. Debian's RocksDB and LevelDB have live
// assertions and no CRC32C instruction, which costs them much: whoever reads a figure must know that.

import FoundationEssentials
import Glibc

struct LibraryBuild {
    private let path: String?
    private let usesCRC32C: Bool

    static let unknown = "unknown build"

    /// Of a description: live assertions or checksums computed by table.
    static func isSlow(_ build: String) -> Bool {
        build.contains("assertions on") || build.contains("without the instruction")
    }

    /// Engines of which slow builds are in circulation.
    static func canBeSlow(_ engine: String) -> Bool {
        engine == Engine.rocksdb.rawValue || engine == Engine.leveldb.rawValue
    }

    /// The library that `symbol` was loaded from.
    init(symbol: String, usesCRC32C: Bool) {
        path = Self.path(of: symbol)
        self.usesCRC32C = usesCRC32C
    }

    /// For people, and for results.
    var description: String {
        guard let path, let bytes = FileManager.default.contents(atPath: path) else { return Self.unknown }
        return Self.describe(bytes, usesCRC32C: usesCRC32C)
    }

    static func describe(_ library: Data, usesCRC32C: Bool) -> String {
        // The C library's function that `assert` calls when its condition is false: without assertions nobody names it.
        var text = contains(library, Array("\0__assert_fail".utf8)) ? "assertions on" : "assertions off"
        if usesCRC32C {
            #if arch(x86_64)
            // The instruction with each prefix that a 64-bit operand can have, or a library that exists for it.
            let prefixes: [UInt8] = [0x48, 0x49, 0x4C, 0x4D]
            let hasInstruction =
                prefixes.contains { contains(library, [0xF2, $0, 0x0F, 0x38, 0xF1]) }
                || contains(library, Array("\0_ZN6crc32c6Extend".utf8))
            text += hasInstruction ? ", CRC32C by instruction" : ", CRC32C without the instruction"
            #else
            text += ", CRC32C unknown"
            #endif
        }
        return text
    }

    /// A file in the folder of the library of `symbol`; nil if it is not there.
    static func neighbour(of symbol: String, _ name: String) -> String? {
        guard let library = path(of: symbol) else { return nil }
        let neighbour = URL(filePath: library).deletingLastPathComponent().appending(path: name).path
        return FileManager.default.fileExists(atPath: neighbour) ? neighbour : nil
    }

    /// The file that is mapped where the symbol lies.
    private static func path(of symbol: String) -> String? {
        guard let address = dlsym(nil, symbol), let maps = KernelFile.text("/proc/self/maps") else { return nil }
        let wanted = UInt(bitPattern: address)
        for line in maps.split(separator: "\n") {
            let fields = line.split(separator: " ", maxSplits: 5)
            let ends = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard ends.count == 2, fields.count == 6, ends[0] <= wanted, wanted < ends[1] else { continue }
            return fields[5].trimmingPrefix { $0 == " " }.description
        }
        return nil
    }

    private static func contains(_ data: Data, _ pattern: [UInt8]) -> Bool {
        data.withUnsafeBytes { bytes in
            guard let first = pattern.first, var start = bytes.baseAddress else { return true }
            var left = bytes.count
            while left >= pattern.count, let found = memchr(start, CInt(first), left - pattern.count + 1) {
                if memcmp(found, pattern, pattern.count) == 0 { return true }
                left -= UnsafeRawPointer(found) + 1 - start
                start = UnsafeRawPointer(found) + 1
            }
            return false
        }
    }
}
