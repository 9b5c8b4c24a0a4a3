// The pages of the store's documentation show code that runs: what a test marks as an example of a page stands there.

import Foundation
import Testing

@Suite struct StorePageTests {
    @Test func examplesOfPagesAreTestedSnippets() throws {
        let mark = try Regex(#"^ *// ([A-Za-z]+\.md) begins$"#, as: (Substring, Substring).self)
        var count = 0
        for test in SourceTree.swiftFiles where test.isBelow(["Tests/ApusStoreTests"]) {
            for (start, line) in test.lines.enumerated() {
                guard let page = line.wholeMatch(of: mark).map({ String($0.1) }) else { continue }
                let end = try #require(test.lines[start...].firstIndex { $0.hasSuffix("// \(page) ends") })
                let indentation = line.prefix { $0 == " " }
                let snippet = test.lines[(start + 1)..<end].map { line in
                    line.hasPrefix(indentation) ? String(line.dropFirst(indentation.count)) : line
                }.joined(separator: "\n")
                let text = try #require(SourceTree.file("Sources/ApusStore/ApusStore.docc/\(page)")).text
                #expect(text.contains("```swift\n\(snippet)\n```"), "\(page) does not show the example of \(test.path)")
                count += 1
            }
        }
        #expect(count > 0)
    }
}
