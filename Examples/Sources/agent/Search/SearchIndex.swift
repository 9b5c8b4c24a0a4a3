// The collections of vectors there are, and by which model they were made: vectors of two models cannot be compared.

import ApusStore

struct SearchIndex: Document {
    enum Metric: String, Codable, CaseIterable { case cosine, dot, l2 }

    /// The name of the collection of vectors.
    var id: String
    var model: String
    var dimension: Int
    var metric: Metric
    var updated: Timestamp

    static let schema = Schema<SearchIndex>()
        .unique(\.model, \.metric)
        .check("the dimension is one", .isBetween(\.dimension, 1, 8192))
        .check("the metric is known", .isOne(\.metric, of: Metric.allCases))
}

/// That a snippet has a vector in an index. The vector's key is the snippet's.
struct EmbeddingRecord: Document {
    var id = DocumentID.automatic
    var snippet: DocumentID
    /// An index stays as long as there is anything in it.
    var index: String
    var made: Timestamp

    static let schema = Schema<EmbeddingRecord>()
        .references(Snippet.self, by: \.snippet, onDelete: .cascade)
        .references(SearchIndex.self, by: \.index, onDelete: .restrict)
        .unique(\.snippet, \.index)
        .index(\.index, \.made)
}

extension AgentStorage {
    /// The vectors of an embedder: its collection, and the record about it.
    func vectors(for embedder: some Embedder) throws -> VectorCollection {
        let name = "snippets-\(embedder.name)"
        let vectors = try store.vectors(name, dimension: embedder.dimension, metric: .cosine)
        if try !searchIndexes.contains(name) {
            try searchIndexes.put(
                SearchIndex(
                    id: name, model: embedder.name, dimension: embedder.dimension, metric: .cosine, updated: now))
        }
        return vectors
    }
}
