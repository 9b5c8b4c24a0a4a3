// apus vector: vectors in and out, searches with filters, recall, and what bad input gets.

import Foundation
import Testing

@Suite struct VectorCommandTests {
    private func pages() throws -> Tool {
        let tool = try Tool()
        let first = try tool.run(
            "vector", "put", "--create", "v.apus", "pages", "sea", "[0.9, 0.1, 0.2]", "--metadata", "{\"year\": 2021}")
        #expect(first.code == 0, "\(first.errors)")
        let lines = """
            {"key": "lake", "vector": [0.8, 0.3, 0.1], "metadata": {"year": 2024, "labels": ["water"]}}
            {"key": "dune", "vector": [0.1, 0.9, 0.3], "metadata": {"year": 2024}}

            """
        try #expect(tool.run("vector", "put", "v.apus", "pages", "-", input: lines).text == "2 vectors\n")
        return tool
    }

    @Test func nearestComeFirstAndFiltersHold() throws {
        let tool = try pages()
        let found = try tool.run("vector", "search", "v.apus", "pages", "1, 0.2, 0.2", "-n", "2")
        #expect(found.lines.count == 2 && found.lines[0].contains("\tsea\t{\"year\":2021}"), "\(found.text)")
        struct Match: Decodable { var key: String, distance: Double }
        let filtered = try tool.run(
            "vector", "search", "v.apus", "pages", "-", "--filter", "year > 2022 and labels contains 'water'", "--json",
            input: "[0, 1, 0]")
        try #expect(filtered.json(Match.self).key == "lake")
        let like = try tool.run("vector", "search", "v.apus", "pages", "--like", "sea", "--exact", "-n", "5", "--json")
        #expect(
            try like.lines.map { try JSONDecoder().decode(Match.self, from: Data($0.utf8)).key } == ["lake", "dune"])
        // As many as there are, however many were asked for.
        let most = try tool.run("vector", "search", "v.apus", "pages", "--like", "sea", "-n", "\(Int.max)")
        #expect(most.code == 0 && most.lines.count == 2, "\(most.errors)")
        let prefix = try tool.run(
            "vector", "search", "v.apus", "pages", "1 0 0", "--filter", "labels is null or not (year >= 2022)")
        #expect(prefix.lines.count == 2, "\(prefix.text)")

        try #expect(tool.run("vector", "get", "v.apus", "pages", "sea").text == "[0.9,0.1,0.2]\n")
        try #expect(
            tool.run("vector", "get", "v.apus", "pages", "lake", "--json").text
                == "{\"key\":\"lake\",\"metadata\":{\"labels\":[\"water\"],\"year\":2024},\"vector\":[0.8,0.3,0.1]}\n")
        try #expect(tool.run("vector", "list", "v.apus", "pages").lines == ["dune", "lake", "sea"])
        try #expect(
            tool.run("vector", "list", "v.apus", "pages", "--json", "--limit", "1").text == "{\"key\":\"dune\"}\n")
        struct Stats: Decodable { var vectors: Int, dimension: Int, metric: String, element: String }
        let stats = try tool.run("vector", "stats", "v.apus", "pages", "--json").json(Stats.self)
        #expect(stats.vectors == 3 && stats.dimension == 3 && stats.metric == "cosine" && stats.element == "float32")
        try #expect(tool.run("vector", "delete", "v.apus", "pages", "sea", "nothing").text == "1 vector\n")
        try #expect(tool.run("vector", "list", "v.apus", "pages").lines == ["dune", "lake"])
        try #expect(tool.run("vector", "verify", "v.apus", "pages").lines.last == "sound")
    }

    @Test func recallComparesApproximateSearchesWithExactOnes() throws {
        let tool = try Tool()
        try #expect(
            tool.run(
                "vector", "create", "--create", "r.apus", "r", "--dimension", "8", "--metric", "l2", "--element", "int8"
            ).code == 0)
        var state: UInt64 = 7
        let lines = (0..<1500).map { index in
            let vector = (0..<8).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return Double(state >> 40) / Double(1 << 24)
            }
            return "{\"key\":\"\(index)\",\"vector\":\(vector)}\n"
        }
        try #expect(tool.run("vector", "put", "r.apus", "r", "-", input: lines.joined()).text == "1,500 vectors\n")
        struct Recall: Decodable { var width: Int, recall: Double, queries: Int }
        let result = try tool.run(
            "vector", "recall", "r.apus", "r", "--width", "10", "--width", "200", "--samples", "20", "--json")
        let measured = try result.lines.map { try JSONDecoder().decode(Recall.self, from: Data($0.utf8)) }
        #expect(measured.map(\.width) == [10, 200] && measured.allSatisfy { $0.queries == 20 })
        #expect(measured.allSatisfy { $0.recall > 0.5 && $0.recall <= 1 } && (measured.last?.recall ?? 0) > 0.95)
        let query = "[0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8]\n"
        let given = try tool.run("vector", "recall", "r.apus", "r", "--queries", "-", input: query + query)
        #expect(given.lines.first?.hasPrefix("width") == true && given.lines.count == 2, "\(given.text)")
    }

    @Test func helpNamesMetricsAndElements() throws {
        let help = try Tool().run("vector", "create", "--help").lines.joined(separator: " ")
        let words = help.split(separator: " ").joined(separator: " ")
        #expect(words.contains("cosine in a new collection. (values: cosine, dot, l2)"), "\(words)")
        #expect(words.contains("(values: float32, float16, int8, compact)"), "\(words)")
    }

    @Test func badInputGetsOneSentence() throws {
        let tool = try pages()
        let cases: [([String], Int32, String)] = [
            (["vector", "put", "v.apus", "pages", "x", "[1, 2]"], 1, "3 elements, not 2"),
            (["vector", "put", "v.apus", "pages", "x", "[1, \"a\", 2]"], 64, "no vector"),
            (["vector", "put", "v.apus", "pages", "x", "[1, 2"], 64, "no JSON"),
            (["vector", "put", "v.apus", "pages", "x", "one,two"], 64, "no vector"),
            (["vector", "put", "v.apus", "pages", "x", "1,,2,3"], 64, "no vector"),
            (["vector", "put", "v.apus", "pages", "x", "1,2,3,"], 64, "no vector"),
            (["vector", "put", "v.apus", "pages", "x", "1,2,3", "--metric", "l2"], 1, "exists with metric cosine"),
            (["vector", "put", "v.apus", "pages", "x", "1,2,3", "--element", "int8"], 1, "and element float32"),
            (["vector", "put", "v.apus", "pages", "x", "[1,2,3]", "--metadata", "[1]"], 64, "no JSON object"),
            (["vector", "put", "v.apus", "pages", "x", "[1,2,3]", "--metadata", "{\"a\":{}}"], 64, "\"a\""),
            (["vector", "put", "v.apus", "pages", "x"], 64, "Give a vector"),
            (["vector", "put", "v.apus", "pages", "@absent"], 1, "absent"),
            (["vector", "put", "none.apus", "pages", "x", "[1]"], 1, "--create"),
            (["vector", "search", "v.apus", "pages", "[1, 2]"], 1, "3 elements, not 2"),
            (["vector", "search", "v.apus", "pages", "1,2,3", "--filter", "year >"], 64, "of the query"),
            (["vector", "search", "v.apus", "pages", "1,2,3", "--filter", "year == [1]"], 64, "apus: "),
            (["vector", "search", "v.apus", "pages"], 64, "--like"),
            (["vector", "search", "v.apus", "pages", "--like", "nobody"], 1, "nobody"),
            (["vector", "search", "v.apus", "images", "1"], 1, "there are: pages"),
            (["vector", "create", "v.apus", "pages", "--dimension", "4"], 1, "another dimension"),
            (["vector", "create", "v.apus", "pages", "--dimension", "3", "--metric", "dot"], 1, "metric cosine"),
            (["vector", "create", "v.apus", "huge", "--dimension", "1000000"], 1, "elements"),
            (["vector", "create", "v.apus", "m", "--dimension", "4", "--metric", "taxi"], 64, "taxi"),
            (["vector", "recall", "v.apus", "pages", "--width", "0"], 64, "--width"),
        ]
        for (arguments, code, part) in cases {
            let result = try tool.run(arguments)
            #expect(result.code == code && result.errors.contains(part), "\(arguments): \(result.errors)")
            #expect(result.errors.hasPrefix("apus: "), "\(arguments): \(result.errors)")
        }
        let line = try tool.run(
            "vector", "put", "v.apus", "pages", "-", input: "{\"key\":\"a\",\"vector\":[1,2,3]}\n{}\n")
        #expect(line.code == 64 && line.errors.contains("line 2"), "\(line.errors)")
        try #expect(tool.run("vector", "get", "v.apus", "pages", "a").code == 1)
        try #expect(tool.run("verify", "v.apus").code == 0)
    }
}
