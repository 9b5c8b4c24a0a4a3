// The record splitters on bytes that are hard to split, without a database.

import Foundation
import Testing

@testable import apus_tool

@Suite struct SplitterTests {
    private func withFile<Result>(_ text: String, _ body: (String) throws -> Result) throws -> Result {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("split-\(UUID())").path
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try body(path)
    }

    private func rows(_ path: String, _ position: ReaderPosition = ReaderPosition()) throws -> [String] {
        let reader = try DelimitedReader(
            ByteInput(path: path),
            delimiter: UInt8(ascii: ","),
            ColumnChoice(),
            from: position
        )
        var rows: [String] = []
        while let record = try reader.next() {
            rows.append(String(decoding: record.key + Array("=".utf8) + record.value, as: UTF8.self))
        }
        return rows
    }

    @Test func csvFollowsRFC4180() throws {
        try withFile("\u{FEFF}k,v\r\na,\"1,\"\"x\"\"\r\n2\"\n\nb,\r\nc,3 \"q\" ") { path in
            try #expect(rows(path) == ["a=1,\"x\"\r\n2", "b=", "c=3 \"q\" "])
        }
        try withFile("") { try #expect(rows($0) == []) }
        try withFile("k,v\n") { try #expect(rows($0) == []) }
    }

    @Test func linesMayEndWithCarriageReturns() throws {
        try withFile("k,v\na,b\r") { try #expect(rows($0) == ["a=b"]) }
        try withFile("k,v\r\na,\"b\"\r") { try #expect(rows($0) == ["a=b"]) }
        try withFile("k,v\ra,\"1\r2\"\r\rb,2\rc,3") { try #expect(rows($0) == ["a=1\r2", "b=2", "c=3"]) }
        try withFile("k,v\r\ra,1\r\n\r\nb,\r") { try #expect(rows($0) == ["a=1", "b="]) }
    }

    @Test(arguments: ["\n", "\r\n", "\r"])
    func everyPositionIsAPlaceToGoOnFrom(lineEnd: String) throws {
        try withFile("k,v\na,1\n\nb,\"2\n2\"\nc,3".replacing("\n", with: lineEnd)) { path in
            let reader = try DelimitedReader(
                ByteInput(path: path),
                delimiter: UInt8(ascii: ","),
                ColumnChoice(),
                from: ReaderPosition()
            )
            let all = try rows(path)
            for index in 0... {
                try #expect(rows(path, reader.position) == Array(all.dropFirst(index)))
                if try reader.next() == nil { break }
            }
        }
    }

    @Test func linesJoinedAreTheFile() throws {
        for text in ["", "\n", "a", "a\n", "a\r\n\n\nb", "x\0y\n"] {
            try withFile(text) { path in
                let reader = try LineReader(ByteInput(path: path), name: Array("f".utf8), from: ReaderPosition())
                var joined: [UInt8] = []
                var keys: [[UInt8]] = []
                while let record = try reader.next() {
                    joined += record.value
                    keys.append(record.key)
                }
                #expect(joined == Array(text.utf8))
                #expect(
                    keys.count
                        == max(
                            1,
                            text.split(separator: "\n", omittingEmptySubsequences: false).count
                                - (text.hasSuffix("\n") || text.isEmpty ? 1 : 0)
                        ) || text.contains("\r")
                )
                for (index, key) in keys.enumerated() {
                    let parsed = try #require(LineReader.parse(key))
                    #expect(parsed.name == Array("f".utf8) && parsed.line == index + 1)
                }
            }
        }
        #expect(LineReader.key(of: [1], line: 100_000_000) == nil)
        #expect(LineReader.parse(Array("f:0000000x".utf8)) == nil)
    }

    @Test func jsonKeepsTextAndRefusesNonsense() throws {
        func fields(_ text: String) throws -> [JSONScanner.Field] {
            var scanner = JSONScanner(Array(text.utf8))
            return try scanner.object()
        }
        try #expect(fields("{}").isEmpty)
        let parsed = try fields(#" { "a\t\u00e9\ud83d\ude00" : [1, "}", {"b": -1.5e3, "d": 1E+2}] , "c":true } "#)
        #expect(parsed.map { String(decoding: $0.name, as: UTF8.self) } == ["a\té😀", "c"])
        #expect(parsed[0].value == .other(Array(#"[1, "}", {"b": -1.5e3, "d": 1E+2}]"#.utf8)[...]))
        let nonsense = [
            "", "[]", "{", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":nul}", "{\"a\":+1}", "{\"a\":0x10}",
            "{\"a\":inf}", "{\"a\":01}", "{\"a\":.5}", "{\"a\":1.}", "{\"a\":-}", "{\"a\":1e}",
            "{\"a\":\"\\x\"}", "{\"a\":\"\\ud800\"}", "{\"a\":\"\\u12\"}", "{\"a\":\"\n\"}", "{\"a\":1} x",
            "{\"a\":[1}",
            "{\"a\":\"x", "{\"a\":\"\\", "{\"a\":" + String(repeating: "[", count: 100_000),
        ]
        for text in nonsense {
            #expect(throws: JSONScanner.Malformed.self, "\(text.prefix(20))") { try fields(text) }
        }
    }

    @Test func displayedTextIsPrintable() {
        #expect(displayed(Array("aé😀".utf8)) == "aé😀")
        #expect(displayed([0x61, 0xFF, 0x0A, 0xC3]) == "a\\xff\\n\\xc3")
        #expect(displayed(Array("\u{1B}[2K\\".utf8)) == "\\x1b[2K\\\\")
        #expect(bytes(hexadecimal: "00fF") == [0, 255])
        #expect(bytes(hexadecimal: "0") == nil && bytes(hexadecimal: "0g") == nil)
        #expect(grouped(1_234_567) == "1,234,567" && grouped(-1_234) == "-1,234" && grouped(12) == "12")
        #expect(byteSize(1023) == "1023 B" && byteSize(1536) == "1.5 KiB")
    }
}
