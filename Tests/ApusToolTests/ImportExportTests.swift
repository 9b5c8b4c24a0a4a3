// Import and export: what goes in comes out, in every format, also when an import is killed or repeated.

import Foundation
import Testing

@Suite struct ImportExportTests {
    struct Summary: Decodable {
        var entries: Int
        var entriesDoneBefore: Int
        var files: Int
        var filesDoneBefore: Int
        var binaryFilesSkipped: Int
    }

    /// Values that every format has to quote, escape or encode.
    static let awkward = ["plain", "", "a,b\t\"c\"\n\r\nd", "é😀\\\u{7F}", "\u{FEFF}x", " padded "]

    @Test(arguments: ["jsonl", "csv", "tsv"])
    func streamsSurviveARoundTrip(format: String) throws {
        let tool = try Tool()
        for (index, value) in Self.awkward.enumerated() {
            try tool.run("put", "--create", "a.apus", "k\(index),\"x\"\t", "-", input: value)
        }
        try tool.run("put", "a.apus", "--hex", "fffe00", "80ff00")
        try #expect(tool.run("export", "a.apus", "out", "--format", format).code == 0)
        try #expect(tool.run("import", "--create", "b.apus", "out", "--format", format).code == 0)
        let wanted = try tool.run("scan", "a.apus", "--hex").text
        try #expect(tool.run("scan", "b.apus", "--hex").text == wanted)
        // A second export is the first one, byte for byte, and never overwrites unasked.
        try #expect(tool.run("export", "b.apus", "out", "--format", format).code == 1)
        try #expect(tool.run("export", "b.apus", "--format", format).bytes == tool.read("out"))
    }

    @Test func objectsOfAnyShapeKeepTheirText() throws {
        let tool = try Tool()
        let lines = #"{"id": 7, "n": 1.50e+3, "x": [1, {"a": null}]}"# + "\n" + #"{"id":"\u00e9\ud83d\ude00"}"# + "\n"
        try tool.write("o.jsonl", lines)
        try #expect(tool.run("import", "--create", "o.apus", "o.jsonl", "--key-field", "id").code == 0)
        try #expect(tool.run("scan", "o.apus", "--keys-only").lines == ["7", "é😀"])
        try #expect(tool.run("export", "o.apus", "--format", "values").text == lines)
        for twice in [#"{"key":"a","key":"b","value":""}"#, #"{"value":"a","key":"b","valueHex":"00"}"#] {
            try tool.write("twice.jsonl", twice)
            let result = try tool.run("import", "o.apus", "twice.jsonl")
            #expect(result.code == 1 && result.errors.contains("two"), "\(result.errors)")
        }
        let missing = try tool.run("import", "o.apus", "o.jsonl", "--key-field", "name")
        #expect(missing.code == 1 && missing.errors.contains("record 1") && missing.errors.contains("\"name\""))
    }

    @Test func columnsMakeKeyAndValue() throws {
        let tool = try Tool()
        try tool.write("c.csv", "id,name,city\r\n1,\"Ada, L.\",London\r\n2,Grace,\"New\nYork\"\r\n")
        try tool.run("import", "--create", "c.apus", "c.csv", "-k", "rest")
        try #expect(tool.run("get", "c.apus", "2", "-k", "rest").text == #"{"name":"Grace","city":"New\nYork"}"#)
        try tool.run("import", "c.apus", "c.csv", "-k", "name", "--key-column", "name", "--value-column", "3")
        try #expect(tool.run("get", "c.apus", "Ada, L.", "-k", "name").text == "London")
        try tool.run("import", "c.apus", "c.csv", "-k", "all", "--no-header", "--value-column", "2")
        try #expect(tool.run("get", "c.apus", "id", "-k", "all").text == "name")
        for (text, complaint) in [
            ("a,b\n1\n", "1 fields where 2"), ("a,b\n1,\"x\n", "never closed"), ("a,b\n1,\"x\"y\n", "closing quote"),
        ] {
            try tool.write("bad.csv", text)
            let result = try tool.run("import", "c.apus", "bad.csv")
            #expect(result.code == 1 && result.errors.contains(complaint), "\(result.errors)")
        }
        try #expect(tool.run("import", "c.apus", "c.csv", "--key-column", "nope").errors.contains("id, name, city"))
        try tool.write("unknown.txt", "x")
        try #expect(tool.run("import", "c.apus", "unknown.txt").errors.contains("--format"))
        try #expect(tool.run("import", "c.apus", "absent.csv").code == 1)
    }

    @Test func tablesComeBackWithTheirColumns() throws {
        let tool = try Tool()
        let table = "name,id,city\n\"Ada, L.\",1,London\nGrace,2,\"New\nYork\"\n"
        try tool.write("t.csv", table)
        try tool.write("pairs.tsv", "left\tright\na\tb\n")
        try tool.write("bare.csv", "1,x,y\n2,z,\n")
        try tool.run("import", "--create", "t.apus", "t.csv", "--key-column", "id")
        try tool.run("import", "t.apus", "pairs.tsv", "-k", "pairs", "--key-column", "right")
        try tool.run("import", "t.apus", "bare.csv", "-k", "bare", "--no-header")
        try #expect(tool.run("export", "t.apus", "--format", "csv").text == table)
        try #expect(tool.run("export", "t.apus", "--format", "tsv", "-k", "pairs").text == "left\tright\na\tb\n")
        try #expect(tool.run("export", "t.apus", "--format", "csv", "-k", "bare").text == "1,x,y\n2,z,\n")
        try #expect(
            tool.run("export", "t.apus", "--format", "csv", "-k", "pairs", "--plain").text == "key,value\nb,a\n")
        try tool.run("put", "t.apus", "3", "no row")
        let mixed = try tool.run("export", "t.apus", "--format", "csv")
        #expect(mixed.code == 1 && mixed.errors.contains("key \"3\"") && mixed.errors.contains("--plain"))
        try tool.write("twice.csv", "a,b,a\n1,2,3\n")
        try #expect(tool.run("import", "t.apus", "twice.csv").errors.contains("two columns of one name"))
        try #expect(tool.run("import", "t.apus", "t.csv", "--key-field", "id").code == 1)
    }

    @Test func aByteOrderMarkMayComeByteByByte() throws {
        let tool = try Tool()
        let pieces = ["\\357", "\\273", "\\277key,value\\nk,v\\n"].map {
            "printf '\($0)'; apus --version >/dev/null 2>&1"
        }
        let line = "{ \(pieces.joined(separator: "; ")); } | apus import --create b.apus - --format csv"
        try #expect(tool.shell(line).code == 0)
        try #expect(tool.run("get", "b.apus", "k").text == "v")
        let bare = "printf '1,x\\n2,y\\n' | apus import b.apus - --format csv --no-header -k bare"
        try #expect(tool.shell(bare).code == 0)
        try #expect(tool.run("scan", "b.apus", "-k", "bare").lines.count == 2)
    }

    @Test(arguments: ["csv", "tsv"])
    func aKeyThatLooksLikeAByteOrderMarkKeepsIt(format: String) throws {
        let tool = try Tool()
        let (mark, input) = ("efbbbf", "{\"keyHex\":\"efbbbf61\",\"value\":\"v\"}\n")
        try tool.run("import", "--create", "b.apus", "-", "--format", "jsonl", input: input)
        // Without a header the key is the first thing in the file.
        try tool.write("bare.csv", "\"\u{FEFF}a\",v\n")
        try #expect(tool.run("import", "b.apus", "bare.csv", "--no-header", "-k", "bare").code == 0)
        for keyspace in ["default", "bare"] {
            try #expect(tool.run("export", "b.apus", "\(keyspace).out", "-k", keyspace, "--format", format).code == 0)
            let header = keyspace == "bare" ? ["--no-header"] : []
            let back = ["import", "b.apus", "\(keyspace).out", "-k", "\(keyspace) back", "--format", format]
            try #expect(tool.run(back + header).code == 0)
            let keys = try tool.run("scan", "b.apus", "-k", "\(keyspace) back", "--hex", "--keys-only").lines
            #expect(keys == ["\(mark)61"], "\(keyspace)")
        }
    }

    /// Once the error was lost when the refused record began a batch, and thousands of records with it.
    @Test(arguments: [0, 1, 2_500])
    func aRecordThatCannotBeStoredEndsTheImport(before: Int) throws {
        let tool = try Tool()
        var rows = "key,value\n"
        for number in 0..<before { rows += "k\(number),v\n" }
        rows += String(repeating: "k", count: 70_000) + ",v\n"
        for number in 0..<3_000 { rows += "z\(number),v\n" }
        try tool.write("big.csv", rows)
        for _ in 0..<2 {
            let result = try tool.run("import", "--create", "big.apus", "big.csv")
            #expect(result.code == 1)
            #expect(result.errors.contains("big.csv, record \(before + 1): a key of 70000 bytes"), "\(result.errors)")
        }
    }

    @Test func filesWithMissingLinesAreNotExported() throws {
        let tool = try Tool()
        for (name, line) in [("a", 1), ("a:00000001", 1), ("a", 2), ("b", 1), ("b", 3)] {
            try tool.run("put", "--create", "l.apus", "\(name):0000000\(line)", "\(name) \(line)\n")
        }
        let result = try tool.run("export", "l.apus", "out", "--format", "tree", "--lines")
        #expect(result.code == 1 && result.errors.contains("line 2 of b is missing"), "\(result.errors)")
        try #expect(tool.run("export", "l.apus", "out2", "--format", "tree", "--lines", "--to", "b").code == 0)
        try #expect(tool.read("out2/a") == Array("a 1\na 2\n".utf8))
        try #expect(tool.read("out2/a:00000001") == Array("a:00000001 1\n".utf8))
        try #expect(
            tool.run("export", "l.apus", "out3", "--format", "tree", "--lines", "--from", "b:00000003").code == 1)
    }

    private func makeTree(_ tool: Tool) throws {
        try tool.write("tree/empty", "")
        try tool.write("tree/a", "one\ntwo\r\nno end")
        try tool.write("tree/a:00000001", "a name like a key\n\n\n")
        try tool.write("tree/deep/er/b.bin", [0, 1, 2, 10, 255])
        try tool.write("tree/deep/c", "x\n")
    }

    @Test func treesComeBackByteForByte() throws {
        let tool = try Tool()
        try makeTree(tool)
        let wanted = try tool.tree("tree")
        try #expect(tool.run("import", "--create", "t.apus", "tree").code == 0)
        try #expect(tool.run("export", "t.apus", "whole", "--format", "tree").code == 0)
        try #expect(tool.tree("whole") == wanted)
        try #expect(tool.run("import", "t.apus", "tree", "--lines", "-k", "lines").code == 0)
        try #expect(tool.run("get", "t.apus", "a:00000002", "-k", "lines").text == "two\r\n")
        try #expect(tool.run("export", "t.apus", "lines", "-k", "lines", "--format", "tree", "--lines").code == 0)
        try #expect(tool.tree("lines") == wanted)
        try #expect(tool.run("export", "t.apus", "lines", "--format", "tree").code == 1)
        let text = try tool.run("import", "t.apus", "tree", "--lines", "--text-only", "-k", "text", "--json")
        try #expect(text.json(Summary.self).binaryFilesSkipped == 1)
    }

    @Test func keysThatLeaveTheDirectoryAreRefused() throws {
        let tool = try Tool()
        for (index, key) in ["../x", "/x", "a/./b", "a//b"].enumerated() {
            try tool.run("put", "--create", "k\(index).apus", key, "v")
            let result = try tool.run("export", "k\(index).apus", "out\(index)", "--format", "tree")
            #expect(result.code == 1 && result.errors.contains("not a relative path"), "\(key)")
        }
        #expect(!FileManager.default.fileExists(atPath: tool.directory.path + "/x"))
    }

    @Test func repeatedImportsSkipWhatIsDoneAndFollowChanges() throws {
        let tool = try Tool()
        try makeTree(tool)
        func importTree() throws -> Summary {
            try tool.run("import", "--create", "r.apus", "tree", "--lines", "--json").json(Summary.self)
        }
        try #expect(importTree().files == 5)
        let again = try importTree()
        #expect(again.files == 0 && again.filesDoneBefore == 5 && again.entries == 0)
        try tool.write("tree/a", "short\n")
        try #expect(importTree().files == 1)
        try #expect(
            tool.run("scan", "r.apus", "--from", "a:", "--to", "a:00000001:", "--keys-only").lines == ["a:00000001"]
        )
        try tool.run("delete", "r.apus", "--from", "a")
        try #expect(tool.run("import", "r.apus", "tree", "--lines", "--again", "--json").json(Summary.self).files == 5)
        try #expect(tool.run("count", "r.apus").lines == ["8"])
    }

    @Test func aKilledImportGoesOnWhereItWas() throws {
        let tool = try Tool()
        let lines = (0..<60_000).map { "{\"key\":\"\($0)\",\"value\":\"value \($0)\"}\n" }
        try tool.write("big.jsonl", lines.joined())
        try tool.runAndKill("import", "--create", "k.apus", "big.jsonl", "--progress-lines")
        try tool.runAndKill("import", "--create", "k.apus", "big.jsonl", "--progress-lines")
        let last = try tool.run("import", "--create", "k.apus", "big.jsonl", "--json").json(Summary.self)
        #expect(last.entries + last.entriesDoneBefore == 60_000 || last.filesDoneBefore == 1)
        try #expect(tool.run("count", "k.apus").lines == ["60000"])
        try #expect(tool.run("verify", "k.apus").code == 0)
        let exported = try tool.run("export", "k.apus").text
        #expect(exported == lines.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.joined())
    }
}
