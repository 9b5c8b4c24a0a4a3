// README shows code and commands that exist.

import Foundation
import Testing

@Suite struct ReadmeTests {
    /// The examples of the README are bodies of tests that run.
    @Test(arguments: [
        "Tests/ApusTests/ReadmeExampleTests.swift", "Tests/ApusStoreTests/Examples/ReadmeStoreExampleTests.swift",
    ])
    func exampleIsTheTestedSnippet(path: String) throws {
        let test = try #require(SourceTree.file(path))
        let start = try #require(test.lines.firstIndex { $0.contains("// README begins") })
        let end = try #require(test.lines.firstIndex { $0.contains("// README ends") })
        let indentation = test.lines[start].prefix { $0 == " " }
        let snippet = test.lines[(start + 1)..<end].map { line in
            line.hasPrefix(indentation) ? String(line.dropFirst(indentation.count)) : line
        }
        #expect(snippet.count <= 40, "the example has \(snippet.count) lines")
        let readme = try #require(SourceTree.file("README.md"))
        #expect(codeBlocks(of: readme, language: "swift").contains(snippet), "\(snippet.joined(separator: "\n"))")
    }

    @Test func everyFileItLinksToExists() throws {
        let readme = try #require(SourceTree.file("README.md"))
        let link = try Regex(#"\]\(([^)#:]+)\)"#, as: (Substring, Substring).self)
        for match in readme.text.matches(of: link) {
            let path = SourceTree.root.appendingPathComponent(String(match.1)).path
            #expect(FileManager.default.fileExists(atPath: path), "README links to \(match.1)")
        }
    }

    @Test func everyMakeTargetItNamesExists() throws {
        let readme = try #require(SourceTree.file("README.md"))
        let makefile = try #require(SourceTree.file("Makefile"))
        let command = try Regex(#"make ([a-z]+)`"#, as: (Substring, Substring).self)
        for match in readme.text.matches(of: command) {
            #expect(makefile.lines.contains { $0.hasPrefix("\(match.1):") }, "README names make \(match.1)")
        }
    }

    private func codeBlocks(of file: SourceFile, language: String) -> [[String]] {
        var blocks: [[String]] = []
        var block: [String]?
        for line in file.lines {
            if let open = block {
                if line == "```" {
                    blocks.append(open)
                    block = nil
                } else {
                    block = open + [line]
                }
            } else if line == "```\(language)" {
                block = []
            }
        }
        return blocks
    }
}
