// Every suite there is. One more is one more line here, and a file that has its function.

let suites = [
    Suite("documents", "messages of conversations, beside SQLite and GRDB", runDocuments),
    Suite("vectors", "text in 384 dimensions, beside hnswlib and faiss", runVectors),
]
