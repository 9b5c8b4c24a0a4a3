// What is counted, and what the counts must be.

#if ENGINE_APUS

import Apus
import FoundationEssentials
import Glibc

enum ApusAllocations {
    private static let entries = 10_000
    private static let rounds = 10_000

    /// Prints allocations per operation; false if a get into a closure allocates.
    static func run() throws -> Bool {
        let directory = "\(FileManager.default.temporaryDirectory.path)/apus-allocations-\(getpid())"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let database = try Database.open(at: "\(directory)/data.apus", options: Options(durability: .relaxed))
        let keyspace = try database.keyspace("allocations")
        let keys = (0..<entries).map { Array(String(1_000_000_000_000_000 + $0).utf8) }
        let value = [UInt8](repeating: 7, count: 100)

        try report("put", keys) { try keyspace.put($0, value) }
        let inMemtable = try report("get into a closure, from a memtable", keys) { try read($0, keyspace) }
        try database.flush()
        let inTable = try report("get into a closure, from a cached block", keys) { try read($0, keyspace) }
        let missing = keys.map { $0 + [0] }
        let absent = try report("get of an absent key", missing) { key in
            _ = try keyspace.withValue(for: key) { $0.byteCount }
        }
        try report("get as an array", keys) { _ = try keyspace.get($0) }
        let cursor = try keyspace.makeCursor()
        try cursor.seekToFirst()
        try report("cursor next", keys) { _ in try cursor.next() }
        try report("cursor made, sought and dropped", keys) { key in
            let cursor = try keyspace.makeCursor()
            try cursor.seek(key)
        }
        try database.close()
        return inMemtable == 0 && inTable == 0 && absent == 0
    }

    private static func read(_ key: [UInt8], _ keyspace: Keyspace) throws {
        let byteCount = try keyspace.withValue(for: key) { $0.byteCount }
        precondition(byteCount == 100)
    }

    /// Runs everything twice and counts the second time, when caches and the runtime's metadata are there. The least of
    /// several counts is reported: what background threads allocate meanwhile is no part of the operation.
    @discardableResult
    private static func report(_ name: String, _ keys: [[UInt8]], _ body: ([UInt8]) throws -> Void) throws -> Double {
        for key in keys { try body(key) }
        var least = Int.max
        for _ in 0..<3 {
            let counted = try Allocations.during { for key in keys { try body(key) } }
            least = min(least, counted)
        }
        let each = Double(least) / Double(keys.count)
        print("\(name): \(each) allocations")
        return each
    }
}

#endif
