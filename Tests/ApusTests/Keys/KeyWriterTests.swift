// KeyWriter against KeyCoder: the same bytes for every element, ascending and descending.

import Testing

@testable import Apus

@Suite struct KeyWriterTests {
    static let elements: [KeyElement] = [
        nil, true, false, 0, 1, -1, 255, 256, -256, .integer(.min), .integer(.max), .unsigned(.max), 0.5, -0.5,
        .double(-.infinity), .double(.nan), .date(milliseconds: -1), .date(milliseconds: .max), .uuid(0), .uuid(.max),
        .uuid(1 << 100), .bytes([]), .bytes([0, 0, 1, 0xFF, 0]), "", "plain", "ze\u{0}ro", "\u{0}", "größer",
    ]

    private func append(_ element: KeyElement, to writer: inout KeyWriter, descending: Bool) {
        switch element {
        case .null: writer.appendNull(descending: descending)
        case .bool(let value): writer.append(value, descending: descending)
        case .integer(let value): writer.append(value, descending: descending)
        case .unsigned(let value): writer.append(value, descending: descending)
        case .double(let value): writer.append(value, descending: descending)
        case .date(let milliseconds): writer.append(date: milliseconds, descending: descending)
        case .uuid(let value): writer.append(uuid: value, descending: descending)
        case .bytes(let content): content.withUnsafeBytes { writer.append(bytes: $0, descending: descending) }
        case .string(let text): writer.append(text, descending: descending)
        case .tuple, .descending: Issue.record("the writer has no such element")
        }
    }

    @Test(arguments: [false, true])
    func elementsAreThoseOfTheCoder(descending: Bool) {
        var all = KeyWriter()
        var tuple: [KeyElement] = []
        for element in Self.elements {
            let expected = descending ? KeyElement.descending(element) : element
            var one = KeyWriter()
            append(element, to: &one, descending: descending)
            #expect(one.bytes == KeyCoder.encode(expected), "\(element)")
            append(element, to: &all, descending: descending)
            tuple.append(expected)
        }
        #expect(all.bytes == KeyCoder.encode(tuple))
    }

    @Test(arguments: [false, true])
    func prefixOfAStringBeginsWhatItBegins(descending: Bool) {
        var prefix = KeyWriter()
        prefix.append(prefixOfString: "a\u{0}b", descending: descending)
        var longer = KeyWriter()
        longer.append("a\u{0}bc", descending: descending)
        var other = KeyWriter()
        other.append("a\u{0}", descending: descending)
        #expect(longer.bytes.starts(with: prefix.bytes))
        #expect(!other.bytes.starts(with: prefix.bytes))
    }

    @Test func aWriterGoesOnBehindWhatItWasGivenAndIsCutBack() {
        var writer = KeyWriter(KeyCoder.encode("a", 1))
        let count = writer.byteCount
        writer.append("b")
        #expect(writer.bytes == KeyCoder.encode("a", 1, "b"))
        writer.truncate(to: count)
        writer.append(encoded: KeyCoder.encode(2))
        #expect(writer.bytes == KeyCoder.encode("a", 1, 2))
    }
}
