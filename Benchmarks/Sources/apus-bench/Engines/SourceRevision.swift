// Which commit of Apus was measured: what a version number is for the other engines.

import Glibc

enum SourceRevision {
    /// The abbreviated commit of the repository that this program was built in, marked when files differ from it.
    static func current() -> String {
        guard let program = try? ChildProcess.executablePath(), let slash = program.lastIndex(of: "/") else {
            return "unknown revision"
        }
        let command = "git -C '\(program[..<slash])' describe --always --dirty --exclude '*' 2>/dev/null"
        guard let pipe = popen(command, "r") else { return "unknown revision" }
        defer { pclose(pipe) }
        var line = [CChar](repeating: 0, count: 256)
        guard fgets(&line, CInt(line.count), pipe) != nil else { return "unknown revision" }
        return String(decoding: line.prefix { $0 > 32 }.map { UInt8($0) }, as: UTF8.self)
    }
}
