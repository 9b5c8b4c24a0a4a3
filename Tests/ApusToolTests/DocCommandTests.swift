// apus doc and apus collections: documents in and out, queries, rules, and what bad input gets.

import Foundation
import Testing

@Suite struct DocCommandTests {
    /// Messages of two conversations, under rules.
    private func messages() throws -> Tool {
        let tool = try Tool()
        try #expect(tool.run("doc", "create", "--create", "d.apus", "talks").code == 0)
        let made = try tool.run(
            "doc", "create", "d.apus", "messages", "--index", "talk, time desc", "--unique", "slug", "--index",
            "each tags", "--check", "role in [\"user\", \"assistant\"]", "--reference", "talk=talks:cascade")
        #expect(made.code == 0, "\(made.errors)")
        try tool.run("doc", "put", "d.apus", "talks", "-", input: "{\"id\":1}\n\n{\"id\":2}\n")
        let lines = (0..<6).map { index in
            "{\"id\":\(index),\"talk\":\(index % 2 + 1),\"time\":\(index * 10),\"slug\":\"s\(index)\",\"tags\":[\"t\(index % 3)\"]"
                + ",\"role\":\"\(index % 2 == 0 ? "user" : "assistant")\"}\n"
        }
        let put = try tool.run("doc", "put", "d.apus", "messages", "-", input: lines.joined())
        #expect(put.text == "6 documents\n", "\(put.errors)")
        return tool
    }

    @Test func documentsComeBackByKeyAndQuery() throws {
        let tool = try messages()
        try #expect(
            tool.run("doc", "get", "d.apus", "messages", "3").text
                == "{\"id\":3,\"role\":\"assistant\",\"slug\":\"s3\",\"tags\":[\"t0\"],\"talk\":2,\"time\":30}\n")
        struct Versioned: Decodable {
            struct Document: Decodable { var slug: String }
            var document: Document
            var version: Int
        }
        let versioned = try tool.run("doc", "get", "d.apus", "messages", "3", "--json").json(Versioned.self)
        #expect(versioned.version == 1 && versioned.document.slug == "s3")
        try #expect(tool.run("doc", "list", "d.apus", "messages", "--limit", "2").lines == ["0", "1"])
        let query = "talk == 1 order by time desc limit 2"
        let found = try tool.run("doc", "query", "d.apus", "messages", query)
        #expect(found.lines.count == 2 && found.lines.first?.hasPrefix("{\"id\":4,") == true, "\(found.text)")
        try #expect(tool.run("doc", "query", "d.apus", "messages", "-", input: query).text == found.text)
        try #expect(tool.run("doc", "query", "d.apus", "messages").lines.count == 6)
        try #expect(tool.run("doc", "query", "d.apus", "messages", "count where talk == 2").text == "3\n")
        try #expect(tool.run("doc", "query", "d.apus", "messages", "count", "--json").text == "{\"count\":6}\n")
        try #expect(tool.run("doc", "query", "d.apus", "messages", "distinct role").lines == ["assistant", "user"])
        let groups = try tool.run("doc", "query", "d.apus", "messages", "group by role: count, max(time)")
        #expect(groups.lines == ["assistant\t3\t50", "user\t3\t40"])
        let json = try tool.run("doc", "query", "d.apus", "messages", "group by role: count limit 1", "--json")
        #expect(json.lines == ["{\"keys\":[\"assistant\"],\"values\":[3]}"])
    }

    @Test func explainSaysWhichIndex() throws {
        let tool = try messages()
        let text = try tool.run("doc", "explain", "d.apus", "messages", "talk == 1 order by time desc limit 2")
        #expect(text.lines.first == "index talk, time desc", "\(text.text)")
        #expect(text.text.contains("scanned 2"), "\(text.text)")
        struct Explanation: Decodable {
            var index: String?
            var sorts: Bool
            var scanned: Int?
        }
        let whole = try tool.run("doc", "explain", "d.apus", "messages", "time > 20 order by role", "--json")
            .json(Explanation.self)
        #expect(whole.index == nil && whole.sorts && whole.scanned == 6)
        let plan = try tool.run("doc", "explain", "d.apus", "messages", "tags contains 't1'", "--plan-only", "--json")
            .json(Explanation.self)
        #expect(plan.index == "each tags" && plan.scanned == nil)
    }

    @Test func rulesHoldAndDeletionsCascade() throws {
        let tool = try messages()
        let role = try tool.run("doc", "put", "d.apus", "messages", "{\"id\":9,\"talk\":1,\"role\":\"cat\"}")
        #expect(role.code == 1 && role.errors.contains("the check"), "\(role.errors)")
        let twice = try tool.run(
            "doc", "put", "d.apus", "messages", "{\"id\":9,\"talk\":1,\"role\":\"user\",\"slug\":\"s1\"}")
        #expect(twice.code == 1 && twice.errors.contains("unique slug"), "\(twice.errors)")
        let stray = try tool.run("doc", "put", "d.apus", "messages", "{\"id\":9,\"talk\":7,\"role\":\"user\"}")
        #expect(stray.code == 1 && stray.errors.contains("does not exist"), "\(stray.errors)")
        let again = try tool.run("doc", "put", "d.apus", "messages", "{\"id\":1,\"role\":\"user\"}", "--insert")
        #expect(again.code == 1 && again.errors.contains("already"), "\(again.errors)")
        try #expect(tool.run("doc", "query", "d.apus", "messages", "count").text == "6\n")

        try #expect(tool.run("doc", "delete", "d.apus", "talks", "1", "77").text == "1 document\n")
        try #expect(tool.run("doc", "list", "d.apus", "messages").lines == ["1", "3", "5"])
        try #expect(
            tool.run("doc", "delete", "d.apus", "messages", "--where", "time < 35", "--json").text
                == "{\"deleted\":2}\n")
        try #expect(tool.run("doc", "delete", "d.apus", "messages", "--all").text == "1 document\n")
        try #expect(tool.run("doc", "verify", "d.apus", "messages").lines.last == "sound")
        try #expect(tool.run("verify", "d.apus").code == 0)
    }

    @Test func keysAreMadeAndSchemasCanBeRead() throws {
        let tool = try Tool()
        let key = try tool.run("doc", "put", "--create", "k.apus", "notes", "{\"text\":\"a\"}")
        #expect(key.code == 0 && key.lines.first?.count == 36, "\(key.text) \(key.errors)")
        try #expect(tool.run("doc", "get", "k.apus", "notes", key.lines.first ?? "").text.contains("\"text\":\"a\""))
        try #expect(tool.run("doc", "put", "k.apus", "notes", "{\"id\":\"7\",\"n\":1}").text == "7\n")
        try #expect(tool.run("doc", "put", "k.apus", "notes", "{\"id\":7,\"n\":2}").text == "7\n")
        // 7 is the number where there is one, else the text.
        try #expect(tool.run("doc", "get", "k.apus", "notes", "7").text == "{\"id\":7,\"n\":2}\n")
        try tool.run("doc", "delete", "k.apus", "notes", "7")
        try #expect(tool.run("doc", "get", "k.apus", "notes", "7").text == "{\"id\":\"7\",\"n\":1}\n")

        try #expect(tool.run("doc", "create", "k.apus", "notes", "--index", "n").code == 0)
        let schema = try tool.run("doc", "schema", "k.apus", "notes").text
        try tool.write("schema.json", schema)
        try #expect(tool.run("doc", "create", "k.apus", "copy", "--schema", "@schema.json").code == 0)
        try #expect(tool.run("doc", "schema", "k.apus", "copy").text == schema)
        struct Stats: Decodable {
            struct Index: Decodable { var name: String, status: String }
            var documents: Int
            var indexes: [Index]
        }
        let stats = try tool.run("doc", "stats", "k.apus", "notes", "--json").json(Stats.self)
        #expect(stats.documents == 2 && stats.indexes.first?.name == "n" && stats.indexes.first?.status == "ready")
        struct Collection: Decodable { var kind: String, name: String }
        let collections = try tool.run("collections", "k.apus", "--json").json([Collection].self)
        #expect(collections.map(\.name) == ["copy", "notes"] && collections.allSatisfy { $0.kind == "doc" })
    }

    @Test func badInputGetsOneSentence() throws {
        let tool = try messages()
        try tool.run("put", "--create", "plain.apus", "a", "b")
        let cases: [([String], Int32, String)] = [
            (["doc", "get", "none.apus", "messages", "1"], 1, "none.apus"),
            (["doc", "get", "plain.apus", "messages", "1"], 1, "holds no collections"),
            (["doc", "get", "d.apus", "massages", "1"], 1, "there are: messages, talks"),
            (["doc", "get", "d.apus", "messages", "99"], 1, "\"99\""),
            (["doc", "put", "d.apus", "messages", "{\"id\":"], 64, "no JSON"),
            (["doc", "put", "d.apus", "messages", "[1]"], 64, "no JSON object"),
            (["doc", "put", "d.apus", "messages", "{\"id\":[1],\"role\":\"user\"}"], 1, "array or an object"),
            (["doc", "put", "d.apus", "messages", "@absent.json"], 1, "absent.json"),
            (["doc", "put", "none.apus", "messages", "{}"], 1, "--create"),
            (["doc", "query", "d.apus", "messages", "role =="], 64, "of the query"),
            (["doc", "query", "d.apus", "messages", "role == \"user"], 64, "of the query"),
            (["doc", "explain", "d.apus", "messages", "order by"], 64, "of the query"),
            (["doc", "delete", "d.apus", "messages"], 64, "--where"),
            (["doc", "delete", "d.apus", "messages", "--where", "time <"], 64, "of the query"),
            (["doc", "create", "d.apus", "x", "--schema", "{\"indices\":[]}"], 64, "indices"),
            (["doc", "create", "d.apus", "x", "--check", "a =="], 64, "of the query"),
            (["doc", "create", "d.apus", "x", "--index", "a b c"], 64, "each maybe with desc\n"),
            (["doc", "create", "d.apus", "x", "--reference", "a=b:explode"], 64, "is no reference"),
            (["doc", "create", "d.apus", "x", "--reference", "a=nowhere"], 1, "nowhere"),
            (["doc", "create", "d.apus", "a:b"], 1, "no colon"),
            (["doc", "list", "d.apus", "messages", "--limit", "-1"], 64, "--limit"),
            (["doc"], 0, ""),
        ]
        for (arguments, code, part) in cases {
            let result = try tool.run(arguments)
            #expect(result.code == code, "\(arguments): \(result.errors)")
            #expect(part.isEmpty || result.errors.contains(part), "\(arguments): \(result.errors)")
            #expect(code == 0 || result.errors.hasPrefix("apus: "), "\(arguments): \(result.errors)")
        }
        try tool.run("doc", "put", "--create", "e.apus", "a\u{1B}b", "{}")
        let escaped = try tool.run("doc", "get", "e.apus", "b", "1")
        #expect(escaped.errors.contains("there are: a\\x1bb"), "\(escaped.errors)")
        let lines = "{\"id\":20,\"talk\":1,\"role\":\"user\"}\n{\"id\":21,\"talk\":1,\"role\":\"cat\"}\n"
        let refused = try tool.run("doc", "put", "d.apus", "messages", "-", input: lines)
        #expect(refused.code == 1 && refused.errors.contains("line 2"), "\(refused.errors)")
        try #expect(tool.run("doc", "get", "d.apus", "messages", "20").code == 1)
        try #expect(tool.run("verify", "d.apus").code == 0)
    }
}
