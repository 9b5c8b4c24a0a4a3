// apus blob and apus session: contents and sessions in and out, what they report, and what bad input gets.

import Foundation
import Testing

@Suite struct BlobCommandTests {
    @Test func contentsComeBackByTheirHash() throws {
        let tool = try Tool()
        let content = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 7) }
        try tool.write("big", content)
        try tool.write("small", "hello")
        let put = try tool.run("blob", "put", "--create", "b.apus", "small")
        let hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
        #expect(put.text == hello + "\n", "\(put.errors)")
        try #expect(tool.run("blob", "put", "b.apus", "-", input: "hello").text == hello + "\n")
        try #expect(tool.run("blob", "get", "b.apus", hello).text == "hello")
        let both = try tool.run("blob", "put", "b.apus", "big", "small", "--unreferenced")
        let big = try #require(both.lines.first?.split(separator: " ").first.map { String($0) })
        #expect(both.lines.last == "\(hello)  small")
        try #expect(tool.run("blob", "get", "b.apus", big).bytes == content)
        try #expect(
            tool.run("blob", "get", "b.apus", big, "--offset", "100000", "--length", "7").bytes
                == Array(content[100_000..<100_007]))
        try #expect(tool.run("blob", "get", "b.apus", big, "-o", "copy").code == 0)
        try #expect(tool.read("copy") == content)
        try #expect(tool.run("blob", "get", "b.apus", big, "-o", "copy").code == 1)

        struct Status: Decodable { var bytes: Int, references: Int, chunked: Bool }
        let status = try tool.run("blob", "stat", "b.apus", big, "--json").json(Status.self)
        #expect(status.bytes == 300_000 && status.references == 0 && status.chunked)
        try #expect(tool.run("blob", "stat", "b.apus", hello).text.contains("references  2"))
        #expect(Set(try tool.run("blob", "list", "b.apus").lines) == ["\(hello)\t5\t2", "\(big)\t300000\t0"])
        try #expect(tool.run("blob", "list", "b.apus", "--limit", "1", "--json").lines.count == 1)
        struct Stats: Decodable { var blobs: Int, contentBytes: Int, referencedBytes: Int }
        let stats = try tool.run("blob", "stats", "b.apus", "--json").json(Stats.self)
        #expect(stats.blobs == 2 && stats.contentBytes == 300_005 && stats.referencedBytes == 10)
        try #expect(tool.run("blob", "stats", "b.apus").text.contains("deduplication"))

        try #expect(tool.run("blob", "collect", "b.apus").text.hasPrefix("reclaimed 0 blobs"))
        struct Garbage: Decodable { var blobs: Int, pieces: Int }
        // Nothing refers to it, and no time is left to.
        let garbage = try tool.run("blob", "collect", "b.apus", "--grace", "0", "--json").json(Garbage.self)
        #expect(garbage.blobs == 1 && garbage.pieces > 1)
        try #expect(tool.run("blob", "get", "b.apus", big).code == 1)
        try #expect(tool.run("blob", "verify", "b.apus", hello).lines.last == "sound")
        try #expect(tool.run("blob", "verify", "b.apus").lines.last == "sound")
        try #expect(tool.run("blob", "delete", "b.apus", hello).code == 0)
        try #expect(tool.run("blob", "release", "b.apus", hello).code == 0)
        let over = try tool.run("blob", "delete", "b.apus", hello)
        #expect(over.code == 1 && over.errors.contains("released more often"), "\(over.errors)")
    }

    @Test func badInputGetsOneSentence() throws {
        let tool = try Tool()
        try tool.run("blob", "put", "--create", "b.apus", "-", input: "x")
        let absent = String(repeating: "0", count: 64)
        let cases: [([String], Int32, String)] = [
            (["blob", "put", "b.apus", "nowhere"], 1, "nowhere"),
            (["blob", "put", "b.apus"], 64, "files"),
            (["blob", "put", "none.apus", "-"], 1, "--create"),
            (["blob", "get", "b.apus", "xyz"], 64, "64 hexadecimal digits\n"),
            (["blob", "get", "b.apus", absent], 1, "there is no blob"),
            (["blob", "get", "b.apus", absent, "-c", "other"], 1, "there are: blobs"),
            (["blob", "stat", "b.apus", absent], 1, "there is no blob"),
            (["blob", "verify", "b.apus", absent], 1, "no such blob"),
            (["blob", "delete", "b.apus", absent], 1, "no such blob"),
            (["blob", "collect", "b.apus", "--grace", "-5"], 64, "--grace"),
        ]
        for (arguments, code, part) in cases {
            let result = try tool.run(arguments)
            #expect(result.code == code && result.errors.contains(part), "\(arguments): \(result.errors)")
            #expect(result.errors.hasPrefix("apus: "), "\(arguments): \(result.errors)")
        }
        try #expect(tool.run("verify", "b.apus").code == 0)
    }

    @Test func verifyFindsDamage() throws {
        let tool = try Tool()
        let bytes = (0..<200_000).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761) >> 13) }
        try tool.write("noise", bytes)
        let id = try tool.run("blob", "put", "--create", "b.apus", "noise").lines.first ?? ""
        try tool.run("compact", "b.apus")
        for name in try FileManager.default.contentsOfDirectory(atPath: tool.directory.path + "/b.apus")
        where name.hasSuffix(".blob") {
            var content = try tool.read("b.apus/\(name)")
            content[content.count / 2] ^= 1
            try tool.write("b.apus/\(name)", content)
        }
        let result = try tool.run("blob", "verify", "b.apus", id)
        #expect(result.code == 2, "\(result.text) \(result.errors)")
        // What is damaged is not taken for the content, and leaves no half of it behind.
        let taken = try tool.run("blob", "get", "b.apus", id, "-o", "copy")
        #expect(taken.code == 2 && taken.errors.contains(".blob, offset "), "\(taken.errors)")
        #expect(throws: (any Error).self) { try tool.read("copy") }
        struct Report: Decodable { var sound: Bool, problems: [String] }
        let whole = try tool.run("blob", "verify", "b.apus", "--json")
        #expect(whole.code == 2)
        let report = try whole.json(Report.self)
        #expect(!report.sound && !report.problems.isEmpty)
    }
}

@Suite struct SessionCommandTests {
    @Test func sessionsLiveAsLongAsTheyMay() throws {
        let tool = try Tool()
        let created = try tool.run("session", "create", "--create", "s.apus", "--user", "ada", "--data", "cart: empty")
        let id = try #require(created.lines.first, "\(created.errors)")
        #expect(id.count == 32)
        try #expect(tool.run("session", "get", "s.apus", id).text == "cart: empty")
        try #expect(tool.run("session", "put", "s.apus", id, "-", input: "cart: 1 book").code == 0)
        struct Session: Decodable { var session: String, user: String, data: String, expires: String? }
        let session = try tool.run("session", "get", "s.apus", id, "--touch", "--json").json(Session.self)
        #expect(session.user == "ada" && session.data == "cart: 1 book" && session.expires?.hasSuffix("Z") == true)
        try #expect(tool.run("session", "touch", "s.apus", id).code == 0)

        try #expect(tool.run("session", "cache", "s.apus", id, "menu", "<ul>").code == 0)
        try #expect(tool.run("session", "cache", "s.apus", id, "menu").text == "<ul>")
        try #expect(tool.run("session", "cache", "s.apus", id, "menu", "--remove").code == 0)
        try #expect(tool.run("session", "cache", "s.apus", id, "menu").code == 1)
        try #expect(tool.run("session", "preference", "s.apus", "ada", "theme", "dark").code == 0)
        try #expect(tool.run("session", "preference", "s.apus", "ada", "theme").text == "dark")
        try #expect(tool.run("session", "preference", "s.apus", "ada").text == "theme\tdark\n")
        try #expect(
            tool.run("session", "preference", "s.apus", "ada", "theme", "--json").text
                == "{\"key\":\"theme\",\"value\":\"dark\"}\n")
        try #expect(
            tool.run("session", "preference", "s.apus", "ada", "--json").text
                == "{\"key\":\"theme\",\"value\":\"dark\"}\n")
        try #expect(tool.run("session", "preference", "s.apus", "ada", "theme", "--remove").code == 0)
        try #expect(tool.run("session", "preference", "s.apus", "ada", "theme").code == 1)

        let other = try tool.run("session", "create", "s.apus", "--user", "bob", "--idle", "0").lines.first ?? ""
        try #expect(
            tool.run("session", "list", "s.apus", "--user", "bob", "--json").json(Session.self).session == other)
        try #expect(tool.run("session", "list", "s.apus").lines.count == 3)
        struct Stats: Decodable { var sessions: Int, users: Int }
        let stats = try tool.run("session", "stats", "s.apus", "--json").json(Stats.self)
        #expect(stats.sessions == 2 && stats.users == 2)
        try #expect(tool.run("session", "delete", "s.apus", "--user", "ada").text == "1 session\n")
        try #expect(tool.run("session", "get", "s.apus", id).code == 1)
        try #expect(tool.run("session", "end", "s.apus", other, id, "--json").text == "{\"ended\":1}\n")
        try #expect(tool.run("session", "verify", "s.apus").lines.last == "sound")
    }

    @Test func badInputGetsOneSentence() throws {
        let tool = try Tool()
        try tool.run("session", "create", "--create", "s.apus")
        let absent = String(repeating: "0", count: 32)
        let cases: [([String], Int32, String)] = [
            (["session", "get", "s.apus", "xyz"], 64, "32 hexadecimal digits\n"),
            (["session", "get", "s.apus", absent], 1, "there is no session"),
            (["session", "put", "s.apus", absent, "x"], 1, "there is no session"),
            (["session", "touch", "s.apus", absent], 1, "there is no session"),
            (["session", "cache", "s.apus", absent, "k", "v"], 1, "there is no session"),
            (["session", "get", "s.apus", absent, "-c", "web"], 1, "there are: sessions"),
            (["session", "create", "s.apus", "--absolute", "0"], 64, "longer than no time"),
            (["session", "delete", "s.apus"], 64, "--user"),
            (["session", "cache", "s.apus", absent, "k", "--lifetime", "0"], 64, "--lifetime"),
            (["session", "create", "none.apus"], 1, "--create"),
            (["session", "preference", "s.apus", "ada", "--remove"], 64, "--remove"),
            (["session", "preference", "s.apus", "a\u{1B}b", "k"], 1, "\\x1b"),
        ]
        for (arguments, code, part) in cases {
            let result = try tool.run(arguments)
            #expect(result.code == code && result.errors.contains(part), "\(arguments): \(result.errors)")
            #expect(result.errors.hasPrefix("apus: "), "\(arguments): \(result.errors)")
        }
    }
}
