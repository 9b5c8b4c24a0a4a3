// The pages of the store's documentation show code that is compiled and run.

import Foundation
import Testing

@Suite struct StoreDocumentationTests {
    static let folder = "Sources/ApusStore/ApusStore.docc"
    /// Every page about one kind of collection; the first page is an overview without an example.
    static let pages: [SourceFile] = SourceTree.otherFiles.filter {
        $0.isBelow([folder]) && $0.path.hasSuffix(".md") && !$0.path.hasSuffix("/ApusStore.md")
    }

    @Test func thereArePages() {
        #expect(Self.pages.count >= 2)
    }

    @Test(arguments: pages)
    func exampleIsTheTestedSnippet(page: SourceFile) throws {
        let name = page.path.dropFirst(Self.folder.count + 1).dropLast(".md".count)
        let test = try #require(SourceTree.file("Tests/ApusStoreTests/Examples/\(name)ExampleTests.swift"))
        let start = try #require(test.lines.firstIndex { $0.contains("// Example begins") })
        let end = try #require(test.lines.firstIndex { $0.contains("// Example ends") })
        let indentation = test.lines[start].prefix { $0 == " " }
        let snippet = test.lines[(start + 1)..<end].map { line in
            line.hasPrefix(indentation) ? String(line.dropFirst(indentation.count)) : line
        }
        let block = try #require(page.lines.firstIndex(of: "```swift"))
        #expect(page.lines[(block + 1)...].prefix { $0 != "```" } == snippet[...], "\(page.path)")
    }
}
