// apus stats: the tree of every keyspace, level by level, and what the engine has done.

import Apus
import ArgumentParser

struct StatsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "Shows the tree of every keyspace and the figures of the database.",
        discussion: """
            Counters of reads, commits, syncs and stalls start when a database is opened, so they say most inside a \
            running program (Database.statistics); the tree is what is on disk.
            """
    )

    @OptionGroup var database: DatabaseArgument
    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let database = try database.openForReading()
        let statistics = database.statistics
        let output = ByteOutput()
        if json {
            try output.writeLine(jsonText(StatisticsReport(statistics)))
        } else {
            for line in treeLines(statistics) + [""] + figureLines(statistics) { try output.writeLine(line) }
        }
        try output.flush()
    }
}

/// One line per level that holds something, and a total per keyspace.
func treeLines(_ statistics: Statistics) -> [String] {
    var table = AlignedTable(["keyspace", "level", "tables", "size", "entries", "deletions", "score"])
    for keyspace in statistics.keyspaces {
        let name = displayed(keyspace.name.utf8)
        if keyspace.unflushedEntries > 0 {
            let size = byteSize(keyspace.memtableByteCount)
            table.add([name, "memory", "-", size, grouped(keyspace.unflushedEntries), "-", "-"])
        }
        for level in keyspace.levels where level.tables > 0 {
            table.add([
                name, "\(level.number)", grouped(level.tables), byteSize(level.byteCount),
                grouped(level.entries), grouped(level.deletions), hundredths(level.score),
            ])
        }
        if keyspace.blobFiles > 0 {
            let size = byteSize(keyspace.blobByteCount)
            table.add([name, "blobs", grouped(keyspace.blobFiles), size, "-", "-", "-"])
        }
        table.add([
            name, "total", grouped(keyspace.levels.reduce(0) { $0 + $1.tables }),
            byteSize(keyspace.tableByteCount + keyspace.blobByteCount), grouped(keyspace.entries),
            grouped(keyspace.levels.reduce(0) { $0 + $1.deletions }), "-",
        ])
    }
    return table.lines
}

/// The figures beside the tree.
func figureLines(_ statistics: Statistics) -> [String] {
    var lines: [String] = []
    for keyspace in statistics.keyspaces {
        lines.append(
            "\(displayed(keyspace.name.utf8)): space amplification \(hundredths(keyspace.spaceAmplification)), "
                + "read amplification \(keyspace.readAmplification), "
                + "write amplification \(hundredths(keyspace.writeAmplification)), "
                + "compaction debt \(byteSize(keyspace.compactionDebt))"
        )
    }
    let latency = statistics.syncLatency
    lines += [
        "write amplification  \(hundredths(statistics.writeAmplification)) "
            + "(\(byteSize(statistics.userBytesWritten)) written by the user, \(byteSize(statistics.flushedBytes)) "
            + "flushed, \(byteSize(statistics.compactionBytesWritten)) by compaction)",
        "block cache          \(byteSize(statistics.cacheByteCount)) of \(byteSize(statistics.cacheCapacity)), "
            + "hit rate \(hundredths(100 * statistics.cacheHitRate)) %",
        "memtables            \(byteSize(statistics.memtableByteCount))",
        "log                  \(statistics.logSegments) segments, \(byteSize(statistics.logByteCount))",
        "syncs                \(grouped(statistics.syncs)), p50 \(latency.p50.readable), p99 \(latency.p99.readable), "
            + "p99.9 \(latency.p999.readable), longest \(latency.maximum.readable)",
        "stalls               \(grouped(statistics.stalls)), \(statistics.stallTime.readable) in all",
        "commits              \(grouped(statistics.commits)) of \(grouped(statistics.entriesWritten)) entries; "
            + "\(grouped(statistics.flushes)) flushes, \(grouped(statistics.compactions)) compactions",
        "last sequence        \(grouped(statistics.lastSequence))",
    ]
    return lines
}

private func hundredths(_ value: Double) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return "∞" }
    let scaled = Int((value * 100).rounded())
    let fraction = "\(scaled % 100)"
    return "\(scaled / 100)." + (fraction.count < 2 ? "0" : "") + fraction
}
