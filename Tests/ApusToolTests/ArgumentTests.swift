// What the parser or a shell could make of arguments that nobody meant: dashes, empty bounds, and what is left behind
// by deleting without an end.

import Foundation
import Testing

@Suite struct ArgumentTests {
    @Test(arguments: ["-dash", "-h1", "-abc", "-xh"])
    func aKeyThatBeginsWithADashNeedsATerminator(key: String) throws {
        let tool = try Tool()
        let refused = try tool.run("put", "--create", "d.apus", key, "v")
        #expect(refused.code == 64 && refused.bytes.isEmpty, "\(refused.text)")
        #expect(refused.errors.contains("write --"), "\(refused.errors)")
        try #expect(tool.run("put", "--create", "d.apus", "--", key, "-hv").code == 0)
        try #expect(tool.run("get", "d.apus", "--", key).text == "-hv")
        try #expect(tool.run("scan", "d.apus", "--prefix=\(key)").lines.count == 1)
        try #expect(tool.run("put", "d.apus", "x", "-", "-k=named", input: "y").code == 0)
        try #expect(tool.run("get", "d.apus", "x", "-k", "named").text == "y")
    }

    @Test func helpAndVersionAreThereForTheAsking() throws {
        let tool = try Tool()
        try #expect(tool.run("put", "-h").text.contains("USAGE: apus put"))
        let version = try tool.run("--version")
        #expect(version.code == 0 && version.lines.count == 1)
        #expect(version.text.wholeMatch(of: #/ApusDB \d+\.\d+\.\d+, database format \d+\n/#) != nil, "\(version.text)")
    }

    @Test func onlyAllDeletesAll() throws {
        let tool = try Tool()
        for key in ["a", "b", "c"] { try tool.run("put", "--create", "d.apus", key, "v") }
        for arguments in [["--prefix", ""], ["--from", ""], ["--to", ""], ["--prefix=", "--hex"], ["--all", "a"]] {
            let result = try tool.run(["delete", "d.apus"] + arguments)
            #expect(result.code == 64 && result.errors.contains("--all"), "\(arguments): \(result.errors)")
        }
        try #expect(tool.run("count", "d.apus").lines == ["3"])
        try #expect(tool.run("delete", "d.apus", "--all").code == 0)
        try #expect(tool.run("count", "d.apus").lines == ["0"])
        try #expect(tool.run("delete", "d.apus", "--all").code == 0)
    }

    /// A bound above every key that there can be is as long as a key can be.
    @Test func aRangeWithoutAnEndLeavesLittleBehind() throws {
        let tool = try Tool()
        let keys = ["00", "61", "6162", "fe", "ff", "ffff", String(repeating: "ff", count: 300)]
        let entries = keys.map { "{\"keyHex\":\"\($0)\",\"value\":\"v\"}\n" }.joined()
        for (arguments, left) in [
            (["--from", "6162"], 2), (["--prefix", "ff"], 4), (["--all"], 0), (["--from", "ffff"], 5),
            (["--from", keys[6]], 6), (["--from", keys[6] + "00"], 7),
        ] {
            try #expect(
                tool.run("import", "--create", "d.apus", "-", "--format", "jsonl", input: entries).code == 0)
            try #expect(tool.run(["delete", "d.apus", "--hex"] + arguments).code == 0)
            let found = try tool.run("scan", "d.apus", "--hex", "--keys-only").lines
            #expect(found == Array(keys.prefix(left)), "\(arguments)")
        }
        for name in try FileManager.default.contentsOfDirectory(atPath: tool.directory.path + "/d.apus") {
            let dumped = try tool.run("dump", "d.apus/\(name)").text
            #expect(!dumped.contains("(65536 bytes)"), "\(name)")
        }
    }

    /// As long as the longest key, so that nothing can follow it but by another byte.
    @Test func theLongestKeyIsDeletedWithTheRest() throws {
        let tool = try Tool()
        let longest = String(repeating: "\u{7F}", count: 65_536)
        let entry = "{\"key\":\"\(longest)\",\"value\":\"v\"}\n{\"key\":\"a\",\"value\":\"v\"}\n"
        try #expect(tool.run("import", "--create", "d.apus", "-", "--format", "jsonl", input: entry).code == 0)
        try #expect(tool.run("count", "d.apus").lines == ["2"])
        try #expect(tool.run("delete", "d.apus", "--from", "b").code == 0)
        try #expect(tool.run("scan", "d.apus", "--keys-only").lines == ["a"])
    }
}
