// Bringing the store up to date with a source tree: files that have not changed cost a look at their size and time.
//
// A file, its content, its snippets, their vectors and the records of all this change in one commit each, so that a
// search never finds half a file, and an indexing that is cut short goes on where it was.

import Apus
import ApusStore

struct IndexReport: Equatable {
    var added = 0
    var changed = 0
    var unchanged = 0
    var removed = 0
    var snippets = 0
}

struct Indexer<Model: Embedder> {
    let storage: AgentStorage
    let embedder: Model
    let vectors: VectorCollection
    let project: String
    var chunker = Chunker()

    init(_ storage: AgentStorage, project: String, embedder: Model) throws {
        self.storage = storage
        self.embedder = embedder
        self.project = project
        vectors = try storage.vectors(for: embedder)
    }

    /// - Parameter progress: told of each file that was read.
    func index(_ tree: SourceTree, progress: (String) -> Void = { _ in }) throws -> IndexReport {
        var report = IndexReport()
        var known: [String: SourceFile] = [:]
        for file in try storage.files.query().filter(\.project == project).all() { known[file.path] = file }
        try tree.forEachFile { found in
            let old = known.removeValue(forKey: found.path)
            if let old, old.byteCount == found.byteCount, old.modified == found.modified {
                report.unchanged += 1
                return
            }
            guard let text = try SourceTree.text(found) else { return }
            try index(found, text, replacing: old, &report)
            progress(found.path)
        }
        for file in known.values {
            try storage.store.transaction(durability: .relaxed) { try remove(file, in: $0) }
            report.removed += 1
        }
        try storage.searchIndexes.update(vectors.name) { $0.updated = storage.now }
        return report
    }

    private func index(
        _ found: FoundFile, _ text: String, replacing old: SourceFile?, _ report: inout IndexReport
    ) throws {
        // Before the transaction, which may run more than once.
        let chunks = chunker.chunks(of: text, language: found.language)
        let embedded = try embedder.embed(chunks.map(\.text))
        let bytes = Array(text.utf8)
        let lineCount = bytes.count { $0 == UInt8(ascii: "\n") }
        // Each file by itself may be lost with the power; the next run finds it missing.
        let isNew = try storage.store.transaction(durability: .relaxed) { transaction in
            let content = try storage.blobs.put(bytes, in: transaction)
            var file = SourceFile(
                path: found.path, project: project, language: found.language, content: content,
                byteCount: found.byteCount, lineCount: lineCount, modified: found.modified, indexed: storage.now)
            if let old, old.content == content {
                // Touched, but the same.
                file.id = old.id
                try storage.files.update(file, in: transaction)
                return false
            }
            try storage.blobs.retain(content, in: transaction)
            if let old {
                file.id = old.id
                try storage.blobs.release(old.content, in: transaction)
                try removeSnippets(of: old.id, in: transaction)
                try storage.files.update(file, in: transaction)
            } else {
                file.id = try storage.files.insert(file, in: transaction)
            }
            try storage.changes.insert(
                FileChange(
                    file: file.id, kind: old == nil ? .created : .modified, time: storage.now,
                    linesAdded: max(0, lineCount - (old?.lineCount ?? 0)),
                    linesRemoved: max(0, (old?.lineCount ?? 0) - lineCount)), in: transaction)
            for (chunk, vector) in zip(chunks, embedded) {
                try insert(chunk, vector, of: file, in: transaction)
            }
            return true
        }
        guard isNew else {
            report.unchanged += 1
            return
        }
        if old == nil { report.added += 1 } else { report.changed += 1 }
        report.snippets += chunks.count
    }

    private func insert(
        _ chunk: Chunk, _ vector: [Float], of file: SourceFile, in transaction: StoreTransaction
    ) throws {
        let snippet = Snippet(
            file: file.id, firstLine: chunk.firstLine, lastLine: chunk.lastLine, kind: chunk.kind, text: chunk.text)
        let id = try storage.snippets.insert(snippet, in: transaction)
        try storage.embeddings.insert(
            EmbeddingRecord(snippet: id, index: vectors.name, made: storage.now), in: transaction)
        // What searches may ask for stands beside the vector.
        let metadata: VectorMetadata = [
            "project": .string(project), "language": .string(file.language), "kind": .string(chunk.kind.rawValue),
            "path": .string(file.path),
        ]
        try vectors.upsert("\(id)", vector, metadata: metadata, in: transaction)
    }

    /// Removes a file and all that is known of it.
    func remove(_ file: SourceFile, in transaction: StoreTransaction) throws {
        try removeVectors(of: file.id, in: transaction)
        try storage.blobs.release(file.content, in: transaction)
        // Takes snippets, changes, relationships and scores along.
        try storage.files.delete(file.id, in: transaction)
    }

    private func removeSnippets(of file: DocumentID, in transaction: StoreTransaction) throws {
        try removeVectors(of: file, in: transaction)
        try storage.snippets.query(in: transaction).filter(\.file == file).delete()
    }

    /// References do not reach vectors.
    private func removeVectors(of file: DocumentID, in transaction: StoreTransaction) throws {
        for snippet in try storage.snippets.query(in: transaction).filter(\.file == file).all() {
            try vectors.delete("\(snippet.id)", in: transaction)
        }
    }
}
