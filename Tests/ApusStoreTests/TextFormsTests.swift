// What is opened by name and written as text: collections that exist, schemas, filters of vectors, the blobs there are.

import Apus
import ApusSimulation
import ApusStore
import Testing

@Suite struct TextFormsTests {
    private func open() throws -> Store {
        try Store.open(at: "/s", options: Options(memoryBudget: 1 << 20), environment: Simulation(seed: 1).environment)
    }

    @Test func collectionsAreListedByKindAndName() throws {
        let store = try open()
        #expect(try store.listCollections().isEmpty)
        let empty = try store.snapshot()
        _ = try (store.vectors("v", dimension: 2, metric: .l2), store.sessions("s"), store.blobs("b"), store.blobs("a"))
        _ = try store.documents(named: "d", schema: Schema())
        #expect(
            try store.listCollections().map(\.description) == ["blob:a", "blob:b", "doc:d", "session:s", "vector:v"])
        #expect(try store.listCollections(in: empty).isEmpty)
        let vectors = try store.vectors(named: "v")
        #expect(vectors.dimension == 2 && vectors.metric == .l2)
        let error = #expect(throws: StoreError.self) { try store.vectors(named: "w") }
        #expect(error?.kind == .notFound)
    }

    @Test func blobsAreScannedInOrder() throws {
        let blobs = try open().blobs()
        let ids = try ["a", "b", "c"].map { try blobs.put($0) }.sorted()
        try blobs.retain(ids[1])
        var found: [BlobID] = []
        try blobs.scan { id, status in
            #expect(status.byteCount == 1 && status.references == (id == ids[1] ? 1 : 0))
            found.append(id)
            return found.count < 2 ? .next : .stop
        }
        #expect(found == Array(ids.prefix(2)))
    }

    @Test func schemasComeFromTextAndGoBack() throws {
        let store = try open()
        _ = try store.documents(named: "people", schema: Schema())
        let text = """
            {"indexes": [{"fields": ["owner", {"path": "time", "descending": true}]},
                         {"fields": [{"path": "slug", "kind": "string"}], "unique": true, "where": "draft == false"}],
             "references": [{"field": "owner", "collection": "people", "onDelete": "setNull"}],
             "checks": [{"condition": "size > 0"}]}
            """
        let notes = try store.documents(named: "notes", schema: Schema(parsing: text))
        let again = try store.documents(named: "copy", schema: Schema(parsing: notes.schemaText))
        #expect(again.schemaText == notes.schemaText)
        #expect(notes.indexes.map(\.name).prefix(2) == ["owner, time desc", "unique slug where draft == false"])
        let error = #expect(throws: StoreError.self) { try notes.insert(["size": 0]) }
        #expect(error?.constraint == .check)
    }

    @Test(arguments: [
        ("[]", "not an object"), ("{", "no JSON"), ("{\"index\":[]}", "\"index\""),
        ("{\"indexes\":{}}", "not an array"),
        ("{\"indexes\":[{}]}", "fields"), ("{\"checks\":[{\"name\":\"x\"}]}", "without a condition"),
        ("{\"keyKind\":\"colour\"}", "kinds are"), ("{\"references\":[{\"field\":\"a\"}]}", "cannot be understood"),
        ("{\"references\":[{\"field\":\"a\",\"collection\":\"b\",\"onDelete\":\"explode\"}]}", "onDelete"),
        ("{\"version\":0}", "\"version\" that is not a whole number"), ("{\"timeToLive\":-5}", "\"timeToLive\""),
        ("{\"timeToLive\":\"1 day\"}", "\"timeToLive\""), ("{\"expiresAt\":7}", "that is not text"),
        ("{\"indexes\":[{\"fields\":[\"a\"],\"uniqe\":true}]}", "\"uniqe\""),
        ("{\"indexes\":[{\"fields\":[\"a\"],\"unique\":1}]}", "not true or false"),
        ("{\"indexes\":[{\"fields\":[\"a\"],\"where\":\"b ==\"}]}", "of the query"),
        ("{\"indexes\":[{\"fields\":[{\"path\":\"a\",\"desc\":true}]}]}", "\"desc\""),
        ("{\"references\":[{\"field\":\"a\",\"collection\":\"b\",\"delete\":\"cascade\"}]}", "\"delete\""),
        ("{\"checks\":[{\"condition\":\"a ==\"}]}", "of the query"),
    ])
    func schemasThatMakeNoSenseAreRefused(text: String, part: String) {
        let error = #expect(throws: StoreError.self) { try Schema<JSONValue>(parsing: text) }
        #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
    }

    @Test(
        arguments: [
            ("year == 2021", ["sea"]), ("year > 2021", ["dune", "lake"]), ("year != 2021", ["dune", "lake", "void"]),
            ("year between 2021 and 2022 or labels contains 'salt'", ["sea"]),
            ("labels contains \"water\"", ["lake", "sea"]),
            ("year in [2021, 2024] and not (place == \"north\")", ["dune", "lake", "sea"]),
            ("place is null", ["lake", "sea", "void"]), ("place is not null", ["dune"]),
            ("place starts with \"sou\"", ["dune"]),
            ("place ends with 'uth' and place contains text \"out\"", ["dune"]), ("place contains text 'x'", []),
            ("deep == true", ["sea"]), ("size.of.it >= 1.5", ["sea"]), ("year < null", []),
            ("true", ["dune", "lake", "sea", "void"]),
        ] as [(String, [String])])
    func filtersMeanWhatConditionsMean(text: String, names: [String]) throws {
        let vectors: [(String, VectorMetadata)] = [
            ("dune", ["year": 2024, "place": "south"]), ("lake", ["year": 2024, "labels": ["water"], "place": nil]),
            ("sea", ["year": 2021, "labels": ["water", "salt"], "deep": true, "size.of.it": 1.5]), ("void", [:]),
        ]
        let filter = try VectorFilter(text)
        #expect(vectors.filter { filter.matches($0.1) }.map(\.0) == names)
    }

    @Test(arguments: ["year >", "year == [1]", "labels contains 3", "year == date(\"2024-01-01\")", ""])
    func filtersThatMakeNoSenseAreRefused(text: String) {
        let error = #expect(throws: StoreError.self) { try VectorFilter(text) }
        #expect(error?.kind == .invalidQuery)
    }
}
