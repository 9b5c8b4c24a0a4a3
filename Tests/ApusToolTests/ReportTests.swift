// What stats, salvage and verify say about databases that are damaged, or that have names made to confuse.

import Foundation
import Testing

@Suite struct ReportTests {
    struct Verified: Decodable {
        struct Problem: Decodable {
            var kind: String
            var message: String
            var file: String?
            var offset: UInt64?
        }
        var sound: Bool
        var problems: [Problem]
    }

    @Test func namesOfKeyspacesStayOnTheirLine() throws {
        let tool = try Tool()
        try tool.run("put", "--create", "n.apus", "a", "b", "-k", "one\ntwo\u{1B}[2K")
        let escaped = #"one\ntwo\x1b[2K"#
        for command in [["stats", "n.apus"], ["keyspaces", "n.apus"], ["salvage", "n.apus", "m.apus"]] {
            let result = try tool.run(command)
            #expect(result.code == 0 && result.text.contains(escaped), "\(command): \(result.text)")
            #expect(!result.text.contains("\u{1B}") && !result.lines.contains { $0.hasPrefix("two") }, "\(command)")
        }
    }

    private func files(_ tool: Tool, _ suffix: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: tool.directory.path + "/v.apus")
            .filter { $0.hasSuffix(suffix) }.sorted()
    }

    @Test(arguments: ["CURRENT", ".table", ".manifest"], [false, true])
    func verifyReportsWhatCannotBeOpened(suffix: String, isMissing: Bool) throws {
        let tool = try Tool()
        try tool.run("put", "--create", "v.apus", "a", "b")
        try tool.run("put", "v.apus", "c", "d")
        let name = try #require(files(tool, suffix).first)
        if isMissing {
            try FileManager.default.removeItem(atPath: "\(tool.directory.path)/v.apus/\(name)")
        } else {
            try tool.write("v.apus/\(name)", tool.read("v.apus/\(name)").prefix(3))
        }
        let result = try tool.run("verify", "v.apus", "--json")
        #expect(result.code == 2, "\(name): \(result.errors)")
        let report = try result.json(Verified.self)
        #expect(!report.sound)
        let problem = try #require(report.problems.first)
        #expect(problem.kind == "corruption" && !problem.message.isEmpty)
        #expect(problem.file?.hasSuffix("/\(name)") == true, "\(problem)")
        let spoken = try tool.run("verify", "v.apus")
        #expect(spoken.code == 2 && spoken.errors.hasPrefix("apus: ") && spoken.errors.contains(name))
    }

    @Test func verifyReportsThatThereIsNothing() throws {
        let tool = try Tool()
        try tool.write("other/file", "x")
        for (path, kind) in [("none", "notFound"), ("other", "notADatabase")] {
            let result = try tool.run("verify", path, "--json")
            #expect(result.code == 1)
            let report = try result.json(Verified.self)
            #expect(!report.sound && report.problems.map(\.kind) == [kind])
        }
    }

    struct Part: Decodable {
        var offset: UInt64?
        var text: String
        var details: [String]
        var damaged: Bool
    }

    private func dump(_ tool: Tool, _ path: String) throws -> [Part] {
        let result = try tool.run("dump", path, "--json")
        #expect(result.code == 0, "\(path): \(result.errors)")
        return try result.lines.map { try JSONDecoder().decode(Part.self, from: Data($0.utf8)) }
    }

    @Test func dumpsAreObjectsWithAllThatTheTextSays() throws {
        let tool = try Tool()
        try tool.run("put", "--create", "v.apus", "a \"key\"", "b")
        try tool.run("put", "v.apus", "c", "d")
        for name in try files(tool, "") where name != "LOCK" {
            let parts = try dump(tool, "v.apus/\(name)")
            let text = parts.flatMap { part in
                [part.offset.map { "@\($0) \(part.text)" } ?? part.text] + part.details.map { "   \($0)" }
            }
            try #expect(text == tool.run("dump", "v.apus/\(name)").lines, "\(name)")
            #expect(parts.allSatisfy { !$0.damaged }, "\(name)")
            #expect(name == "CURRENT" || parts.contains { $0.offset != nil && !$0.details.isEmpty }, "\(name)")
        }
        let name = try #require(files(tool, ".table").first)
        let table = "v.apus/\(name)"
        var bytes = try tool.read(table)
        bytes[5] ^= 1
        try tool.write(table, bytes)
        try #expect(dump(tool, table).contains { $0.damaged && $0.offset != nil })
    }
}
