// Which imports are the same one: a source is done only if its entries would have the same keys and values again.

import Foundation
import Testing

@Suite struct ImportIdentityTests {
    struct Summary: Decodable {
        var entries: Int
        var entriesDoneBefore: Int
        var filesDoneBefore: Int
    }

    private func tryImport(_ tool: Tool, _ arguments: String...) throws -> Summary {
        let result = try tool.run(["import", "--create", "i.apus", "--json"] + arguments)
        #expect(result.code == 0, "\(arguments): \(result.errors)")
        return try result.json(Summary.self)
    }

    private func keys(_ tool: Tool) throws -> [String] { try tool.run("scan", "i.apus", "--keys-only").lines }

    @Test func aFileUnderAnotherNameIsAnotherImport() throws {
        let tool = try Tool()
        try tool.write("src/sub/f", "x")
        for (arguments, expected) in [
            (["src"], "sub/f"), (["src/sub"], "f"), (["src", "--full-path"], "src/sub/f"),
            ([tool.directory.path + "/src", "--full-path"], String(tool.directory.path.dropFirst()) + "/src/sub/f"),
            (["src/sub/f", "--full-path", "--format", "tree", "--lines"], "src/sub/f:00000001"),
        ] {
            let summary = try tool.run(["import", "--create", "i.apus", "--json"] + arguments).json(Summary.self)
            #expect(summary.entries == 1 && summary.filesDoneBefore == 0, "\(arguments)")
            try #expect(keys(tool).contains(expected), "\(arguments)")
        }
        // The same keys again, by other words.
        for arguments in [["./src/"], ["src/sub/f", "--format", "tree"], ["./src", "--full-path"]] {
            let summary = try tool.run(["import", "i.apus", "--json"] + arguments).json(Summary.self)
            #expect(summary.entries == 0 && summary.filesDoneBefore == 1, "\(arguments)")
        }
        try #expect(keys(tool).count == 5)
    }

    @Test func aFileInAnotherFormatIsAnotherImport() throws {
        let tool = try Tool()
        try tool.write("src/people.csv", "id,name b,c\n1,2,3\n")
        try #expect(tryImport(tool, "src").entries == 1)
        try #expect(tryImport(tool, "src/people.csv").entries == 1)
        try #expect(keys(tool) == ["1", "people.csv"])
        try #expect(tryImport(tool, "src/people.csv", "--key-column", "name b").entries == 1)
        try #expect(tryImport(tool, "src/people.csv", "--value-column", "name b").entries == 1)
        try #expect(tryImport(tool, "src/people.csv", "--key-column", "id", "--value-column", "c").entries == 1)
        try #expect(tryImport(tool, "src/people.csv", "--no-header").entries == 2)
        try #expect(tryImport(tool, "src/people.csv", "--lines").entries == 2)
        // What does not matter to rows makes no difference.
        try #expect(tryImport(tool, "src/people.csv", "--format", "csv", "--full-path").filesDoneBefore == 1)
        try tool.write("o.jsonl", #"{"a":"k","key":"l","value":"v"}"#)
        try #expect(tryImport(tool, "o.jsonl", "--key-field", "a").entries == 1)
        try #expect(tryImport(tool, "o.jsonl", "--key-field", "key").entries == 1)
        try #expect(tryImport(tool, "o.jsonl", "--key-field", "a").filesDoneBefore == 1)
    }

    @Test func aKilledImportIsNotContinuedUnderAnotherName() throws {
        let tool = try Tool()
        let text = (0..<60_000).map { "line \($0)\n" }.joined()
        try tool.write("big/sub/f", text)
        try tool.runAndKill("import", "--create", "i.apus", "big", "--lines", "--progress-lines")
        let summary = try tryImport(tool, "big/sub", "--lines")
        #expect(summary.entries == 60_000 && summary.entriesDoneBefore == 0 && summary.filesDoneBefore == 0)
        try #expect(tool.run("count", "i.apus", "--prefix", "f:").lines == ["60000"])
        _ = try tryImport(tool, "big", "--lines")
        try #expect(tool.run("count", "i.apus", "--prefix", "sub/f:").lines == ["60000"])
    }

    @Test func standardInputBeginsAnew() throws {
        let tool = try Tool()
        for _ in 0..<2 {
            let result = try tool.run(
                ["import", "--create", "i.apus", "-", "--format", "csv", "--json"], input: "k,v\n1,2\n")
            try #expect(result.json(Summary.self).entries == 1)
        }
        try #expect(tool.run("import", "--help").text.contains("begins anew"))
    }

    @Test func aDirectoryIsNoTable() throws {
        let tool = try Tool()
        try tool.write("src/a.csv", "k,v\n1,2\n")
        for format in ["csv", "tsv", "jsonl"] {
            let result = try tool.run("import", "--create", "i.apus", "src", "--format", format)
            #expect(result.code == 64 && result.errors.contains("src is a directory"), "\(result.errors)")
        }
        #expect(!FileManager.default.fileExists(atPath: tool.directory.path + "/i.apus"))
        try #expect(tryImport(tool, "src", "--format", "tree").entries == 1)
    }

    @Test func theCurrentDirectoryAddsNothingToKeys() throws {
        let tool = try Tool()
        try tool.write("src/a", "1")
        for root in [".", "./", "././"] {
            let line = "cd src && apus import --create ../i.apus \(root) --full-path --again"
            try #expect(tool.shell(line).code == 0)
            try #expect(keys(tool) == ["a"], "\(root)")
        }
    }
}
