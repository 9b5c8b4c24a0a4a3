// The repository's files as the tidy tests see them: paths relative to its root, and their lines.

import Foundation

struct SourceFile: Sendable, CustomStringConvertible {
    /// Relative to the root of the repository.
    let path: String
    let text: String
    let lines: [String]

    init(path: String, text: String) {
        self.path = path
        self.text = text
        lines = text.components(separatedBy: "\n")
    }

    var description: String { path }

    func isBelow(_ folders: [String]) -> Bool {
        folders.contains { path.hasPrefix($0 + "/") }
    }

    /// The lines that are not wholly comments, with their numbers.
    private var code: [(number: Int, text: String)] {
        lines.enumerated().map { ($0.offset + 1, $0.element) }
            .filter { !$0.1.trimmingCharacters(in: .whitespaces).hasPrefix("//") }
    }

    /// "path:12: text" for every line of code, or of anything, that matches.
    func violations(_ pattern: String, inComments: Bool = false) -> [String] {
        // Nearly all files have no match at all, and one search of a whole file is cheaper than one per line.
        guard text.range(of: pattern, options: .regularExpression) != nil else { return [] }
        let searched = inComments ? lines.enumerated().map { ($0.offset + 1, $0.element) } : code
        return searched.filter { $0.1.range(of: pattern, options: .regularExpression) != nil }
            .map { "\(path):\($0.0): \($0.1.trimmingCharacters(in: .whitespaces))" }
    }
}

enum SourceTree {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// Every Swift file of the package and of the packages beside it.
    static let swiftFiles: [SourceFile] = ["Sources", "Tests", "Benchmarks", "Fuzz", "Examples"].flatMap {
        files(below: $0) { $0.hasSuffix(".swift") }
    }

    static let sources = swiftFiles.filter { $0.isBelow(["Sources"]) }

    /// Text files that people read or run, beside the Swift files.
    static let otherFiles: [SourceFile] =
        [".ci", "Scripts", "Sources", "Tests", "Benchmarks", "Examples"].flatMap {
            files(below: $0) { !$0.hasSuffix(".swift") }
        }
        + ["Makefile", "README.md", "FORMAT.md", "Package.swift", ".gitignore", ".swift-format"].compactMap(file)

    static func file(_ path: String) -> SourceFile? {
        guard let text = try? String(contentsOf: root.appendingPathComponent(path), encoding: .utf8) else { return nil }
        return SourceFile(path: path, text: text)
    }

    private static func files(below folder: String, where isWanted: (String) -> Bool) -> [SourceFile] {
        let base = root.appendingPathComponent(folder)
        guard let walk = FileManager.default.enumerator(atPath: base.path) else { return [] }
        var found: [SourceFile] = []
        for case let path as String in walk {
            // Build output of the packages beside this one, and what peers need.
            let isForeign = path.hasPrefix(".build") || path.hasPrefix(".venv")
            if isForeign { walk.skipDescendants() }
            if !isForeign, isWanted(path), let file = file("\(folder)/\(path)") { found.append(file) }
        }
        return found.sorted { $0.path < $1.path }
    }
}
