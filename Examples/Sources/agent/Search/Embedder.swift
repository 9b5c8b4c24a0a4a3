// What makes vectors of texts. Anything does that puts similar texts near each other: a model in this process, a server,
// or the words themselves (HashingEmbedder.swift).

protocol Embedder: Sendable {
    /// Of the model: vectors of different models are kept apart.
    var name: String { get }
    /// The number of elements of every vector.
    var dimension: Int { get }
    /// One vector for each text.
    func embed(_ texts: [String]) throws -> [[Float]]
}
