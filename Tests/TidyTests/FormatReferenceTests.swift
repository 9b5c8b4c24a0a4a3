// FORMAT.md and the code that implements it point at each other correctly.

import Foundation
import Testing

@Suite struct FormatReferenceTests {
    /// "3", "3.1", … as the headings of FORMAT.md number them.
    static var sections: [String] {
        (SourceTree.file("FORMAT.md")?.lines ?? []).filter { $0.hasPrefix("## ") || $0.hasPrefix("### ") }
            .compactMap { $0.split(separator: " ").dropFirst().first }
            .map { $0.hasSuffix(".") ? String($0.dropLast()) : String($0) }
    }

    @Test func everyCitedSectionExists() throws {
        let sections = Set(Self.sections)
        let citation = try Regex(#"FORMAT\.md,? §([0-9]+(?:\.[0-9]+)*)"#, as: (Substring, Substring).self)
        for file in SourceTree.swiftFiles where !file.isBelow(["Tests/TidyTests"]) {
            for match in file.text.matches(of: citation) {
                #expect(
                    sections.contains(String(match.1)),
                    "\(file.path) cites FORMAT.md §\(match.1), which does not exist"
                )
            }
        }
    }

    @Test func everyFileThatDrawsABinaryLayoutCitesItsSection() {
        // What the cache and the memtable draw lies in memory only.
        let inMemory = ["Sources/Apus/Cache", "Sources/Apus/Memtable"]
        for file in SourceTree.sources where file.isBelow(["Sources/Apus"]) && !file.isBelow(inMemory) {
            // A layout is drawn as fields separated by a vertical bar, in the comment that opens the file.
            let opening = file.lines.prefix { $0.hasPrefix("//") }
            let draws = opening.contains { line in
                line.contains("│")
                    && line.range(of: #"\b(u8|u16|u32|u64|varint)\b"#, options: .regularExpression) != nil
            }
            #expect(!draws || opening.contains { $0.contains("FORMAT.md") }, "\(file.path) draws bytes, cites nothing")
        }
    }

    @Test func sectionsAreNumberedInOrder() {
        var previous = [0]
        for section in Self.sections {
            let number = section.split(separator: ".").compactMap { Int($0) }
            let isNextSibling =
                number.dropLast().elementsEqual(previous.prefix(number.count - 1))
                && number.count <= previous.count && number.last == previous[number.count - 1] + 1
            let isFirstChild = number == previous + [1]
            #expect(isNextSibling || isFirstChild, "section \(section) follows \(previous)")
            previous = number
        }
    }
}
