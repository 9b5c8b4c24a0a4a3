// Real data for the demo: text files that every machine has, with at least half a million lines.

import Foundation

struct DemoSources {
    static let wantedLines = 500_000
    private(set) var directories: [String] = []
    private(set) var lines = 0
    private(set) var files = 0
    private(set) var bytes: UInt64 = 0

    /// Adds one directory after the other until there is enough.
    static func find() throws -> DemoSources {
        var sources = DemoSources()
        for directory in candidates() where sources.lines < wantedLines + wantedLines / 5 {
            try sources.add(directory)
        }
        guard sources.lines >= wantedLines else {
            throw Failure("this machine has only \(grouped(sources.lines)) lines of text where the demo looked")
        }
        return sources
    }

    /// The package database and what packages install: documentation, scripts, headers, tables.
    private static func candidates() -> [String] {
        let manager = FileManager.default
        let parents = ["/usr/share", "/usr/lib", "/usr/local", "/opt", "/Library", "/System/Library"]
        var candidates = ["/var/lib/dpkg", "/usr/share/doc", "/usr/include"]
        for parent in parents {
            let names = (try? manager.contentsOfDirectory(atPath: parent)) ?? []
            candidates += names.sorted().map { "\(parent)/\($0)" }.filter { !candidates.contains($0) }
        }
        return candidates.filter { path in
            let type = (try? manager.attributesOfItem(atPath: path))?[.type] as? FileAttributeType
            return type == .typeDirectory
        }
    }

    private mutating func add(_ directory: String) throws {
        guard var walk = try? TreeWalk(directory) else { return }
        let before = lines
        while let item = walk.next() {
            let path = Array(directory.utf8) + [UInt8(ascii: "/")] + item.path
            guard let input = try? ByteInput(path: path) else { continue }
            if try input.peekBytes().contains(0) { continue }
            lines += try lineCount(input)
            files += 1
            bytes += item.size
        }
        if lines > before { directories.append(directory) }
    }

    private func lineCount(_ input: ByteInput) throws -> Int {
        var count = 0
        while try input.line(limit: recordByteLimit) != nil { count += 1 }
        // A file without lines becomes one entry, too.
        return max(count, 1)
    }
}
