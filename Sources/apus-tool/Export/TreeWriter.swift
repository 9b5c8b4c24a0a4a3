// Entries back into a directory tree, whole files or line by line. Keys are paths that anyone may have written, so a
// key that would leave the directory is refused.

import Foundation

final class TreeWriter {
    private(set) var fileCount = 0
    private let root: [UInt8]
    private let byLine: Bool
    private var lastDirectory: [UInt8] = []
    private var output: ByteOutput?
    private var openName: [UInt8] = []
    /// Written last to the open file.
    private var line = 0
    /// Files that others interrupt: "a:00000001" may be a line of one file and part of another file's name. Each name
    /// here begins the next one, and the last one begins that of the open file.
    private var interrupted: [(name: [UInt8], line: Int)] = []

    /// - Parameter root: absent or empty.
    init(_ root: String, byLine: Bool) throws {
        self.root = Array(root.utf8)
        self.byLine = byLine
        if let names = try? FileManager.default.contentsOfDirectory(atPath: root) {
            guard names.isEmpty else { throw Failure("\(root) is not empty; a tree is exported into a new directory") }
        } else {
            guard mkdir(root, 0o777) == 0 else { throw Failure.system("cannot create \(root)") }
        }
    }

    func write(_ key: [UInt8], _ value: [UInt8]) throws {
        guard byLine else {
            try open(key, append: false)
            try output?.write(value)
            return try close()
        }
        guard let (name, line) = LineReader.parse(key) else {
            throw Failure(
                "key \"\(displayed(key))\" is no path with a line number; --lines exports what import --lines made"
            )
        }
        if name != openName || output == nil {
            try close()
            interrupted.append((openName, self.line))
            interrupted.removeAll { $0.name != name && !name.starts(with: $0.name + [UInt8(ascii: ":")]) }
            self.line = interrupted.last?.name == name ? interrupted.removeLast().line : 0
            try check(line, of: name)
            try open(name, append: line > 1)
        } else {
            try check(line, of: name)
        }
        self.line = line
        try output?.write(value)
    }

    /// A file with a gap would look like a whole one.
    private func check(_ line: Int, of name: [UInt8]) throws {
        guard line != self.line + 1 else { return }
        throw Failure("line \(self.line + 1) of \(displayed(name)) is missing, so the file cannot be written")
    }

    func close() throws {
        try output?.flush()
        output = nil
    }

    private func open(_ name: [UInt8], append: Bool) throws {
        let parts = name.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        let dots = [Array(".".utf8), Array("..".utf8)]
        guard !name.isEmpty, !name.contains(0), parts.allSatisfy({ !$0.isEmpty && !dots.contains(Array($0)) }) else {
            throw Failure("key \"\(displayed(name))\" is not a relative path, so it cannot become a file")
        }
        try makeDirectories(parts.dropLast().map { Array($0) })
        let path = root + [UInt8(ascii: "/")] + name
        output = try ByteOutput(path: path, append: append)
        openName = name
        if !append { fileCount += 1 }
    }

    private func makeDirectories(_ names: [[UInt8]]) throws {
        let directory = Array(names.joined(separator: [UInt8(ascii: "/")]))
        if directory == lastDirectory { return }
        var path = root
        for name in names {
            path += [UInt8(ascii: "/")] + name
            guard path.withCString({ mkdir($0, 0o777) }) == 0 || errno == EEXIST else {
                throw Failure.system("cannot create \(displayed(path))")
            }
        }
        lastDirectory = directory
    }
}
