// Every suite there is. One more is one more line here, and a file that has its function.

let suites = [
    Suite("documents", "messages of conversations, beside SQLite and GRDB", runDocuments),
    Suite("blobs", "contents beside SHA-256, and versions of a source tree beside restic and borg", runBlobs),
    Suite("sessions", "loading and touching", runSessions),
    Suite("vectors", "text in 384 dimensions, beside hnswlib and faiss", runVectors),
]
