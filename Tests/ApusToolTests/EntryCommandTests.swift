// put, get, delete, scan, count and the rest on small databases, and what wrong usage gets.

import Foundation
import Testing

@Suite struct EntryCommandTests {
    @Test func putThenGetGivesExactlyTheBytes() throws {
        let tool = try Tool()
        try #expect(tool.run("put", "--create", "a.apus", "key", "value").code == 0)
        let got = try tool.run("get", "a.apus", "key")
        #expect(got.text == "value")
        #expect(got.errors.isEmpty)
        try tool.write("blob", [0, 255, 10])
        try #expect(tool.run("put", "a.apus", "blob", "@blob").code == 0)
        try #expect(tool.run("get", "a.apus", "blob").bytes == [0, 255, 10])
        try #expect(tool.run("get", "a.apus", "626c6f62", "--hex").text == "00ff0a\n")
        try #expect(tool.run("put", "a.apus", "in", "-", input: "from stdin").code == 0)
        try #expect(tool.run("get", "a.apus", "in", "--json").text == "{\"key\":\"in\",\"value\":\"from stdin\"}\n")
        try #expect(tool.run("put", "a.apus", "at", "@x", "--as-is").code == 0)
        try #expect(tool.run("get", "a.apus", "at").text == "@x")
    }

    @Test func absentThingsExitWithOneAndOneSentence() throws {
        let tool = try Tool()
        let noDatabase = try tool.run("get", "none.apus", "key")
        #expect(noDatabase.code == 1)
        #expect(noDatabase.errors.hasPrefix("apus: ") && noDatabase.errors.filter { $0 == "\n" }.count == 1)
        try #expect(tool.run("put", "none.apus", "a", "b").errors.contains("--create"))
        try tool.run("put", "--create", "a.apus", "a", "b")
        let noKey = try tool.run("get", "a.apus", "b")
        #expect(noKey.code == 1 && noKey.errors.contains("\"b\"") && noKey.bytes.isEmpty)
        try #expect(tool.run("get", "a.apus", "b", "-k", "nowhere").code == 1)
        try tool.write("other/file", "x")
        try #expect(tool.run("scan", "other").code == 1)
        try #expect(tool.run("put", "other", "a", "b", "--create").code == 1)
    }

    @Test func wrongUsageExitsWith64() throws {
        let tool = try Tool()
        for arguments in [
            ["get"], ["fly"], ["get", "a", "b", "--fast"], ["delete", "a"], ["scan", "a", "--limit", "x"],
        ] {
            let result = try tool.run(arguments)
            #expect(result.code == 64, "\(arguments)")
            #expect(result.errors.hasPrefix("apus: "), "\(result.errors)")
        }
        try #expect(tool.run("get", "a", "xyz", "--hex").code == 64)
        try #expect(tool.run("scan", "a", "--prefix", "x", "--to", "y").code == 64)
    }

    @Test func closedAndFullStreamsHarmNothing() throws {
        let tool = try Tool()
        try tool.run("put", "--create", "s.apus", "k", "v")
        try tool.write("s.csv", "key,value\n1,2\n")
        try #expect(tool.shell("apus get s.apus absent 2>&-").code == 1)
        try #expect(tool.shell("apus import s.apus s.csv --progress-lines <&- >&- 2>&-").code == 0)
        try #expect(tool.run("get", "s.apus", "1").text == "2")
        try #expect(tool.run("verify", "s.apus").code == 0)
        #if os(Linux)
        try #expect(tool.shell("apus get s.apus absent 2>/dev/full").code == 1)
        try #expect(tool.shell("apus scan s.apus >/dev/full").code == 1)
        #endif
    }

    @Test func argumentsThatAreNoTextAreRefused() throws {
        let tool = try Tool()
        let result = try tool.shell("apus put --create n.apus \"$(printf '\\377\\376')\" v")
        #expect(result.code == 64 && result.errors.contains("\\xff\\xfe") && result.errors.contains("--hex"))
        try #expect(tool.run("put", "--create", "n.apus", "--hex", "fffe", "00").code == 0)
        let long = try tool.run("get", "n.apus", String(repeating: "k", count: 60_000))
        #expect(long.code == 1 && long.errors.utf8.count < 1_000)
        try #expect(tool.run("put", "n.apus", "k", "v", "-k", "apus.import").code == 1)
        try #expect(!tool.run("compact", "absent.apus").errors.contains("--create"))
    }

    @Test func everyCommandExplainsItself() throws {
        let tool = try Tool()
        let commands = [
            "put", "get", "delete", "scan", "count", "import", "export", "keyspaces", "stats", "verify", "compact",
            "salvage", "dump", "demo", "collections", "doc", "doc query", "vector", "vector recall", "session",
            "session cache", "blob", "blob put",
        ]
        for command in commands {
            let help = try tool.run(command.split(separator: " ").map { String($0) } + ["--help"])
            #expect(help.code == 0 && help.text.contains("OVERVIEW") && help.text.contains("USAGE: apus \(command)"))
        }
    }

    @Test func scanSelectsAndOrders() throws {
        let tool = try Tool()
        let lines = ["a1", "a2", "b1", "b2", "c"].map { "{\"key\":\"\($0)\",\"value\":\"v \($0)\"}\n" }.joined()
        try #expect(tool.run("import", "--create", "s.apus", "-", "--format", "jsonl", input: lines).code == 0)
        try #expect(tool.run("scan", "s.apus", "--prefix", "b").lines == ["b1\tv b1", "b2\tv b2"])
        try #expect(tool.run("scan", "s.apus", "--from", "a2", "--to", "b2", "--keys-only").lines == ["a2", "b1"])
        try #expect(tool.run("scan", "s.apus", "--reverse", "--limit", "2", "--keys-only").lines == ["c", "b2"])
        try #expect(
            tool.run("scan", "s.apus", "--json", "--limit", "1").text == "{\"key\":\"a1\",\"value\":\"v a1\"}\n"
        )
        try #expect(tool.run("count", "s.apus", "--from", "b").lines == ["3"])
        try #expect(tool.run("count", "s.apus", "--json").lines == ["{\"count\":5}"])
        try #expect(tool.run("scan", "s.apus", "--limit", "0").bytes.isEmpty)
        try #expect(tool.run("scan", "s.apus", "--from", "z", "--to", "a").code == 1)

        try #expect(tool.run("delete", "s.apus", "a1", "nothing").code == 0)
        try #expect(tool.run("delete", "s.apus", "--prefix", "b").code == 0)
        try #expect(tool.run("scan", "s.apus", "--keys-only").lines == ["a2", "c"])
        try #expect(tool.run("delete", "s.apus", "--from", "b").code == 0)
        try #expect(tool.run("scan", "s.apus", "--keys-only").lines == ["a2"])
    }

    @Test func bytesThatAreNoTextAreVisible() throws {
        let tool = try Tool()
        try tool.run("put", "--create", "--hex", "h.apus", "00ff41", "0a5cc3a9")
        try #expect(tool.run("scan", "h.apus").text == "\\x00\\xffA\t\\n\\\\é\n")
        try #expect(tool.run("scan", "h.apus", "--hex").text == "00ff41\t0a5cc3a9\n")
        try #expect(tool.run("scan", "h.apus", "--json").text == "{\"keyBase64\":\"AP9B\",\"value\":\"\\n\\\\é\"}\n")
    }

    @Test func maintenanceCommandsReport() throws {
        let tool = try Tool()
        try tool.run("put", "--create", "m.apus", "a", "b", "-k", "one")
        try tool.run("put", "m.apus", "a", "c", "-k", "two")
        struct Keyspace: Decodable { var name: String }
        try #expect(tool.run("keyspaces", "m.apus", "--json").json([Keyspace].self).map(\.name) == ["one", "two"])
        struct Compacted: Decodable { var bytesAfter: Int }
        try #expect(tool.run("compact", "m.apus", "--json").json(Compacted.self).bytesAfter > 0)
        struct Stats: Decodable { var keyspaces: [Keyspace], lastSequence: Int }
        try #expect(tool.run("stats", "m.apus", "--json").json(Stats.self).lastSequence == 2)
        try #expect(tool.run("stats", "m.apus").text.contains("keyspace"))
        struct Verified: Decodable { var sound: Bool, tables: Int }
        let verified = try tool.run("verify", "m.apus", "--json")
        #expect(verified.code == 0)
        try #expect(verified.json(Verified.self).sound)

        let table = try #require(
            FileManager.default.contentsOfDirectory(atPath: tool.directory.path + "/m.apus").first {
                $0.hasSuffix(".table")
            }
        )
        var bytes = try tool.read("m.apus/\(table)")
        bytes[5] ^= 1
        try tool.write("m.apus/\(table)", bytes)
        let damaged = try tool.run("verify", "m.apus")
        #expect(damaged.code == 2)
        #expect(damaged.text.contains(table) && damaged.errors.hasPrefix("apus: "))

        struct Salvaged: Decodable { var complete: Bool }
        let salvaged = try tool.run("salvage", "m.apus", "new.apus", "--json")
        #expect(salvaged.code == 2)
        try #expect(!salvaged.json(Salvaged.self).complete)
        try #expect(tool.run("verify", "new.apus").code == 0)
        try #expect(tool.run("salvage", "new.apus", "m.apus").code == 1)
        let whole = try tool.run("salvage", "new.apus", "newer.apus")
        #expect(whole.code == 0 && whole.text.contains("nothing was lost"))
    }

    @Test func collectionsAreNotWrittenBehindTheirBack() throws {
        let tool = try Tool()
        try tool.run("put", "--create", "own.apus", "a", "b", "-k", "store")
        try #expect(tool.run("put", "own.apus", "c", "d", "-k", "store").code == 0)
        try #expect(tool.run("put", "own.apus", "c", "d", "-k", "doc:notes").code == 0)
        try tool.run("doc", "put", "--create", "c.apus", "notes", "{\"id\":1}")
        try tool.run("blob", "put", "c.apus", "-", input: "x")
        try tool.write("a.csv", "k,v\n1,2\n")
        for (keyspace, part) in [
            ("doc:notes", "apus doc"), ("blob:blobs:index", "apus blob"), ("store", "lists the collections"),
        ] {
            for arguments in [
                ["put", "c.apus", "k", "v", "-k", keyspace], ["delete", "c.apus", "--all", "-k", keyspace],
                ["import", "c.apus", "a.csv", "-k", keyspace],
            ] {
                let result = try tool.run(arguments)
                #expect(result.code == 1 && result.errors.contains(part), "\(arguments): \(result.errors)")
            }
        }
        try #expect(tool.run("put", "c.apus", "k", "v", "-k", "doc:note").code == 0)
        try #expect(tool.run("verify", "c.apus").lines.last == "sound")
        try #expect(tool.run("doc", "get", "c.apus", "notes", "1").code == 0)
    }

    @Test func problemsThatAreNotListedCount() throws {
        let tool = try Tool()
        try tool.write("a.csv", "k,v\n" + (0..<1500).map { "\($0),x\n" }.joined())
        // A keyspace of the application's own, until a collection of its name begins.
        try #expect(tool.run("import", "--create", "m.apus", "a.csv", "-k", "doc:notes").code == 0)
        try tool.run("doc", "put", "m.apus", "notes", "{\"id\":1}")
        try tool.run("vector", "put", "m.apus", "pages", "sea", "[1,2]")
        let whole = try tool.run("verify", "m.apus")
        #expect(whole.code == 2 && whole.lines.last == "not sound: 1,500 problems", "\(whole.lines.last ?? "")")
        let vectors = try tool.run("vector", "verify", "m.apus", "pages")
        #expect(vectors.code == 2 && vectors.text.contains("500 problems more"), "\(vectors.text)")
    }

    @Test func dumpExplainsEveryFile() throws {
        let tool = try Tool()
        try tool.run("put", "--create", "d.apus", "a key", "v")
        for name in try FileManager.default.contentsOfDirectory(atPath: tool.directory.path + "/d.apus") {
            let dumped = try tool.run("dump", "d.apus/\(name)")
            #expect(dumped.code == (name == "LOCK" ? 1 : 0), "\(name): \(dumped.errors)")
            #expect(!name.hasSuffix(".table") || dumped.text.contains("a key"), "\(name): \(dumped.text)")
        }
        try #expect(tool.run("dump", "nothing").code == 1)
    }
}
