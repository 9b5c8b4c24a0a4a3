// The machine and the compiler, without which a figure says nothing.

import Glibc

struct Machine: Codable, Hashable, Sendable {
    var cpu: String
    var cores: Int
    var memoryBytes: Int
    var kernel: String
    var fileSystem: String
    var swiftVersion: String
    var buildConfiguration: String

    enum CodingKeys: String, CodingKey {
        case cpu
        case cores
        case memoryBytes = "memory_bytes"
        case kernel
        case fileSystem = "file_system"
        case swiftVersion = "swift_version"
        case buildConfiguration = "build"
    }

    /// This machine, with the file system of `directory`.
    init(directory: String) {
        cpu = Self.field("model name", in: "/proc/cpuinfo") ?? "unknown CPU"
        cores = sysconf(CInt(_SC_NPROCESSORS_ONLN))
        memoryBytes = sysconf(CInt(_SC_PHYS_PAGES)) * sysconf(CInt(_SC_PAGESIZE))
        kernel = Self.kernelName()
        fileSystem = Self.fileSystem(of: directory)
        swiftVersion = Self.compiler
        #if DEBUG
        buildConfiguration = "debug"
        #else
        buildConfiguration = "release"
        #endif
    }

    /// The compiler that built this tool and Apus, as far as the language tells.
    private static var compiler: String {
        #if compiler(>=6.5)
        "6.5 or newer"
        #elseif compiler(>=6.4)
        "6.4"
        #elseif compiler(>=6.3.1)
        "6.3.1 or newer"
        #elseif compiler(>=6.3)
        "6.3"
        #else
        "6.2"
        #endif
    }

    private static func kernelName() -> String {
        var name = utsname()
        guard uname(&name) == 0 else { return "unknown kernel" }
        return text(&name.sysname) + " " + text(&name.release) + " " + text(&name.machine)
    }

    /// A C string in a field of fixed size.
    private static func text<Field>(_ field: inout Field) -> String {
        withUnsafeBytes(of: &field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    private static func field(_ name: String, in path: String) -> String? {
        guard let contents = KernelFile.text(path) else { return nil }
        for line in contents.split(separator: "\n") where line.hasPrefix(name) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            return line[line.index(after: colon)...].trimmingPrefix { $0.isWhitespace }.description
        }
        return nil
    }

    /// The type of the mount that holds `directory`: the longest mount point that is a prefix of its path.
    private static func fileSystem(of directory: String) -> String {
        guard let resolved = realpath(directory, nil) else { return "unknown" }
        defer { free(resolved) }
        return fileSystem(of: String(cString: resolved), mounts: KernelFile.text("/proc/self/mounts") ?? "")
    }

    static func fileSystem(of path: String, mounts: String) -> String {
        var best: (point: String, type: String)?
        for line in mounts.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count >= 3 else { continue }
            let point = String(fields[1])
            let isPrefix = point == "/" || path == point || path.hasPrefix(point + "/")
            // Of two mounts on one point, the later one hides the other.
            if isPrefix, point.count >= best?.point.count ?? 0 { best = (point, String(fields[2])) }
        }
        return best?.type ?? "unknown"
    }
}
