// Searches while vectors change: the same ones written again, and others that take their place. And what is there when
// the store is opened again.

import Apus
import ApusStore
import Foundation
import Synchronization

extension VectorSuite {
    /// Where a store that took long to build is kept for further runs, if anywhere.
    private var keptPath: String? { ProcessInfo.processInfo.environment["VECTOR_STORE"] }

    /// Keeps a copy of the store, if there is none yet.
    func keep() throws {
        guard let keptPath, !FileManager.default.fileExists(atPath: keptPath) else { return }
        vectors = nil
        try store.close()
        try FileManager.default.copyItem(atPath: path, toPath: keptPath)
        try open(.float32)
    }

    /// Opens a copy of the store that is kept. False if there is none.
    func openKept() throws -> Bool {
        guard let keptPath, FileManager.default.fileExists(atPath: keptPath) else { return false }
        try FileManager.default.copyItem(atPath: keptPath, toPath: copyPath())
        try open(.float32)
        return true
    }

    /// Searches while another thread replaces one vector after the other, as fast as it can.
    func duringUpdates() throws {
        try besideWriter("approximate during updates") { [vectors = vectors!, data] in
            var number = 0
            return {
                number = (number + 7919) % data.count
                try vectors.upsert("\(number)", data[number])
            }
        }
    }

    /// Vectors leave and others come, singly, until one in five has been replaced; then searches beside more of that.
    func duringTurnover() throws {
        guard bench.wants("turnover"), data.totalCount > data.count else { return }
        let narrow = try width(0.95) { try search(vectors, .approximate(width: $0)) }
        let peerWidth = try peers.map { peers in try width(0.95) { try peers.run("hnsw \($0)") } } ?? 0
        let count = data.count / 5
        var recalls: [Double] = []
        let own = Contender(
            "ApusStore",
            measure: { _ in
                let begin = processorSeconds(ofThread: false)
                for _ in 0..<count { try self.replaceOne() }
                let seconds = processorSeconds(ofThread: false) - begin
                self.truth = self.data.nearest(among: self.turnover.held, steps: self.turnover.steps)
                recalls.append(try self.search(self.vectors, .approximate(width: narrow)).figures["recall"] ?? 0)
                return [
                    Sample(
                        operations: count, seconds: seconds,
                        figures: [
                            "recall after": recalls.last!, "bytes": Double(self.vectors.statistics.memoryByteCount),
                        ])
                ]
            })
        try compare("turnover", own, peer: "hnswlib", target: 1, "replace \(count) \(peerWidth)")
        try besideWriter("approximate during turnover") { { try self.replaceOne() } }
    }

    private func replaceOne() throws {
        let (leaving, coming) = turnover.next()
        try vectors.delete("\(leaving)")
        try vectors.upsert("\(coming)", data[coming])
    }

    private func besideWriter(_ work: String, _ makeChange: @escaping () -> () throws -> Void) throws {
        for recall in [0.95, 0.99] where bench.wants("\(work), recall \(recall)") {
            let own = try width(recall) { try search(vectors, .approximate(width: $0)) }
            let peer = try peers.map { peers in try width(recall) { try peers.run("hnsw \($0)") } } ?? 0
            let contender = Contender("ApusStore", measure: { _ in [try self.searchBeside(makeChange(), own)] })
            try compare("\(work), recall \(recall)", contender, peer: "hnswlib", target: 0.5, "hnsw \(peer)")
        }
    }

    private func searchBeside(_ change: @escaping () throws -> Void, _ width: Int) throws -> Sample {
        let isDone = Atomic(false)
        let changes = Atomic(0)
        let writerSeconds = Mutex(0.0)
        nonisolated(unsafe) let change = change
        let sample = try withUpdater {
            let begin = processorSeconds(ofThread: true)
            while !isDone.load(ordering: .relaxed) {
                try change()
                changes.add(1, ordering: .relaxed)
            }
            writerSeconds.withLock { $0 = processorSeconds(ofThread: true) - begin }
        } beside: {
            defer { isDone.store(true, ordering: .relaxed) }
            return try search(vectors, .approximate(width: width))
        }
        var result = sample
        let count = changes.load(ordering: .relaxed)
        result.figures["changes"] = Double(count)
        result.figures["µs a change"] = 1e6 * writerSeconds.withLock { $0 } / Double(max(count, 1))
        return result
    }

    /// What opening the store and the collection takes, and the memory that they then have.
    func reopen() throws {
        guard bench.wants("reopen"), vectors != nil else { return }
        let own = Contender(
            "ApusStore",
            measure: { _ in
                self.vectors = nil
                try self.store.close()
                self.store = nil
                let before = residentByteCount()
                let begin = processorSeconds(ofThread: false)
                let elapsed = try secondsOf { try self.open(.float32) }
                let seconds = processorSeconds(ofThread: false) - begin
                let allocated = self.store.database.statistics.keyspaces.reduce(0) {
                    $0 + $1.tableByteCount + $1.blobByteCount
                }
                return [
                    Sample(
                        operations: self.data.count, seconds: seconds,
                        figures: [
                            "elapsed": elapsed, "bytes": Double(self.vectors.statistics.memoryByteCount),
                            "resident": Double(residentByteCount() - before), "on disk": Double(allocated),
                        ])
                ]
            })
        try bench.compare("reopen", [own])
    }
}
