// The JSON form of a database's statistics. Names and units here are what scripts rely on: bytes, microseconds.

import Apus

struct StatisticsReport: Encodable {
    struct Level: Encodable {
        var level: Int
        var tables: Int
        var bytes: UInt64
        var entries: UInt64
        var deletions: UInt64
        var score: Double
        var bytesWritten: UInt64
        var writeAmplification: Double
        var spaceAmplification: Double
    }

    struct Keyspace: Encodable {
        var name: String
        var levels: [Level]
        var blobFiles: Int
        var blobBytes: UInt64
        var blobGarbageBytes: UInt64
        var unflushedEntries: Int
        var memtableBytes: Int
        var compactionDebtBytes: UInt64
        var readAmplification: Int
        var spaceAmplification: Double
        var userBytesWritten: UInt64
        var writeAmplification: Double
    }

    struct SyncBucket: Encodable {
        var atMostMicroseconds: Double
        var count: UInt64
    }

    struct SyncLatency: Encodable {
        var p50Microseconds: Double
        var p99Microseconds: Double
        var p999Microseconds: Double
        var maximumMicroseconds: Double
        var histogram: [SyncBucket]
    }

    var keyspaces: [Keyspace]
    var reads: UInt64
    var commits: UInt64
    var entriesWritten: UInt64
    var userBytesWritten: UInt64
    var flushes: UInt64
    var flushedBytes: UInt64
    var compactions: UInt64
    var compactionBytesRead: UInt64
    var compactionBytesWritten: UInt64
    var stalls: UInt64
    var stallMicroseconds: Double
    var syncs: UInt64
    var syncLatency: SyncLatency
    var cacheHits: UInt64
    var cacheMisses: UInt64
    var cacheHitRate: Double
    var cacheBytes: Int
    var cacheCapacityBytes: Int
    var memtableBytes: Int
    var logSegments: Int
    var logBytes: UInt64
    var openSnapshots: Int
    var lastSequence: UInt64
    var writeAmplification: Double

    init(_ statistics: Statistics) {
        keyspaces = statistics.keyspaces.map { keyspace in
            Keyspace(
                name: keyspace.name,
                levels: keyspace.levels.map {
                    Level(
                        level: $0.number,
                        tables: $0.tables,
                        bytes: $0.byteCount,
                        entries: $0.entries,
                        deletions: $0.deletions,
                        score: $0.score,
                        bytesWritten: $0.bytesWritten,
                        writeAmplification: $0.writeAmplification,
                        spaceAmplification: $0.spaceAmplification
                    )
                },
                blobFiles: keyspace.blobFiles,
                blobBytes: keyspace.blobByteCount,
                blobGarbageBytes: keyspace.blobGarbageByteCount,
                unflushedEntries: keyspace.unflushedEntries,
                memtableBytes: keyspace.memtableByteCount,
                compactionDebtBytes: keyspace.compactionDebt,
                readAmplification: keyspace.readAmplification,
                spaceAmplification: keyspace.spaceAmplification,
                userBytesWritten: keyspace.userBytesWritten,
                writeAmplification: keyspace.writeAmplification
            )
        }
        reads = statistics.reads
        commits = statistics.commits
        entriesWritten = statistics.entriesWritten
        userBytesWritten = statistics.userBytesWritten
        flushes = statistics.flushes
        flushedBytes = statistics.flushedBytes
        compactions = statistics.compactions
        compactionBytesRead = statistics.compactionBytesRead
        compactionBytesWritten = statistics.compactionBytesWritten
        stalls = statistics.stalls
        stallMicroseconds = statistics.stallTime.seconds * 1e6
        syncs = statistics.syncs
        let latency = statistics.syncLatency
        syncLatency = SyncLatency(
            p50Microseconds: latency.p50.seconds * 1e6,
            p99Microseconds: latency.p99.seconds * 1e6,
            p999Microseconds: latency.p999.seconds * 1e6,
            maximumMicroseconds: latency.maximum.seconds * 1e6,
            histogram: latency.histogram.map {
                SyncBucket(atMostMicroseconds: $0.bound.seconds * 1e6, count: $0.count)
            }
        )
        cacheHits = statistics.cacheHits
        cacheMisses = statistics.cacheMisses
        cacheHitRate = statistics.cacheHitRate
        cacheBytes = statistics.cacheByteCount
        cacheCapacityBytes = statistics.cacheCapacity
        memtableBytes = statistics.memtableByteCount
        logSegments = statistics.logSegments
        logBytes = statistics.logByteCount
        openSnapshots = statistics.openSnapshots
        lastSequence = statistics.lastSequence
        writeAmplification = statistics.writeAmplification
    }
}
