// Collects the figures of `Statistics`.

import ApusIO

extension Engine {
    func statistics() -> Statistics {
        var statistics = Statistics()
        let (states, snapshots) = structure.withLock {
            ($0.trees.values.sorted { $0.tree.name < $1.tree.name }, $0.snapshots.count)
        }
        statistics.keyspaces = states.map(keyspaceStatistics)
        statistics.openSnapshots = snapshots
        statistics.memtableByteCount = statistics.keyspaces.reduce(0) { $0 + $1.memtableByteCount }
        statistics.lastSequence = visibleSequence.rawValue
        counters.fill(&statistics)
        let cache = cache.statistics
        statistics.cacheHits = cache.hits
        statistics.cacheMisses = cache.misses
        statistics.cacheByteCount = cache.byteCount
        statistics.cacheCapacity = cache.capacity
        if let segments = committer.log?.segments {
            statistics.logSegments = segments.count
            statistics.logByteCount = segments.reduce(0) { $0 + $1.byteCount }
        }
        return statistics
    }

    private func keyspaceStatistics(_ state: TreeState) -> Statistics.Keyspace {
        let summary = state.summary
        let isLeveled = state.tree.settings.style == .leveled
        let picker = CompactionPicker(policy: levelPolicy(state.tree.settings))
        let scores = isLeveled ? picker.scores(summary) : summary.levels.map { _ in 0 }
        let userBytes = state.tree.counters.userByteCount
        let written = state.tree.counters.bytesWritten
        func perUserByte(_ byteCount: UInt64) -> Double {
            userBytes == 0 ? 0 : Double(byteCount) / Double(userBytes)
        }
        var above: UInt64 = 0
        let levels = summary.levels.enumerated().map { number, tables in
            let byteCount = tables.totalByteCount
            above = above.addingSaturated(byteCount)
            return Statistics.Level(
                number: number, tables: tables.count, byteCount: byteCount,
                entries: tables.reduce(UInt64(0)) { $0.addingSaturated($1.entryCount) },
                deletions: tables.reduce(UInt64(0)) { $0.addingSaturated($1.deletionCount) },
                score: scores[number], bytesWritten: written[number], writeAmplification: perUserByte(written[number]),
                spaceAmplification: byteCount == 0 ? 1 : Double(above) / Double(byteCount))
        }
        let logged = state.tree.isEphemeral ? 0 : userBytes
        let total = levels.reduce(UInt64(0)) { $0.addingSaturated($1.byteCount) }
        let last = levels.last { $0.byteCount > 0 }?.byteCount ?? 0
        let blobBytes = summary.blobFiles.reduce(UInt64(0)) { $0.addingSaturated($1.recordByteCount) }
        let liveBlobBytes = BlobCollector.liveByteCounts(summary).values.reduce(UInt64(0)) { $0.addingSaturated($1) }
        return Statistics.Keyspace(
            name: state.tree.name, levels: levels, blobFiles: summary.blobFiles.count, blobByteCount: blobBytes,
            blobGarbageByteCount: blobBytes - Swift.min(blobBytes, liveBlobBytes),
            unflushedEntries: state.memtables.reduce(0) { $0 + $1.entryCount },
            memtableByteCount: state.memtables.reduce(0) { $0 + $1.byteCount },
            compactionDebt: isLeveled ? picker.debt(summary) : 0,
            readAmplification: state.memtables.count + levels[0].tables
                + levels.dropFirst().count { $0.tables > 0 },
            spaceAmplification: last == 0 ? 1 : Double(total) / Double(last), userBytesWritten: userBytes,
            writeAmplification: perUserByte(written.reduce(logged) { $0.addingSaturated($1) }))
    }
}
