// What is probed: the operations, the database they run on, and how they are made ready.

#if ENGINE_APUS

import Apus
import FoundationEssentials
import Glibc

enum Operation: String, CaseIterable {
    case put
    case get
    case getFromMemtable = "get_memtable"
    case getAbsent = "get_absent"
    case getArray = "get_array"
    case next
    case previous
    case seek
    case commit

    var summary: String {
        switch self {
        case .put: "a new key"
        case .get: "into a closure, from a cached block"
        case .getFromMemtable: "into a closure, from a memtable"
        case .getAbsent: "a key that lies between those that are there"
        case .getArray: "the value as an array, from a cached block"
        case .next: "a cursor's step"
        case .previous: "a cursor's step back"
        case .seek: "a cursor made, sought and dropped"
        case .commit: "a batch of \(ProbedDatabase.batchEntryCount) puts"
        }
    }

    /// Does the work of many.
    var isLarge: Bool { self == .commit }
}

/// A database of its own for one operation.
final class ProbedDatabase {
    static let batchEntryCount = 100
    private static let entries = 10_000
    /// No divisor of the number of entries, so that its multiples visit all of them.
    private static let stride = 7_919

    private let database: Database
    private let keyspace: Keyspace
    /// Made before anything is counted.
    private let keys: [[UInt8]]
    private let value = [UInt8](repeating: 7, count: 100)

    static func with<Result>(isClosed: Bool = true, _ body: (ProbedDatabase) throws -> Result) throws -> Result {
        let directory = "\(FileManager.default.temporaryDirectory.path)/apus-probe-\(getpid())"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let probed = try ProbedDatabase(directory: directory)
        if !isClosed { _ = Unmanaged.passRetained(probed) }
        let result = try body(probed)
        if isClosed { try probed.database.close() }
        return result
    }

    private init(directory: String) throws {
        database = try Database.open(at: "\(directory)/data.apus", options: Options(durability: .relaxed))
        keyspace = try database.keyspace("probe")
        keys = (0..<8 * Self.entries).map { Array(String(1_000_000_000_000_000 + $0).utf8) }
    }

    func prepare(_ operation: Operation) throws -> PreparedOperation {
        let (database, keyspace, keys, value) = (database, keyspace, keys, value)
        func key(_ index: Int) -> [UInt8] { keys[index &* Self.stride % Self.entries] }
        func read(_ index: Int) throws {
            let byteCount = try keyspace.withValue(for: key(index)) { $0.byteCount }
            precondition(byteCount == value.count)
        }
        switch operation {
        case .put:
            return PreparedOperation(operation) { try keyspace.put(keys[$0 % keys.count], value) }
        case .commit:
            return PreparedOperation(operation) { index in
                try database.write { changes in
                    for entry in index * Self.batchEntryCount..<(index + 1) * Self.batchEntryCount {
                        changes.put(keys[entry % keys.count], value, in: keyspace)
                    }
                }
            }
        case .getFromMemtable:
            try fill()
            return PreparedOperation(operation, body: read)
        case .get:
            try fillTable()
            return PreparedOperation(operation, body: read)
        case .getAbsent:
            try fillTable()
            let absent = (0..<Self.entries).map { key($0) + [0] }
            return PreparedOperation(operation) { index in
                let found: Void? = try keyspace.withValue(for: absent[index % absent.count]) { _ in }
                precondition(found == nil)
            }
        case .getArray:
            try fillTable()
            return PreparedOperation(operation) { _ = try keyspace.get(key($0)) }
        case .seek:
            try fillTable()
            return PreparedOperation(operation) { index in
                let cursor = try keyspace.makeCursor()
                try cursor.seek(key(index))
            }
        case .next:
            try fillTable()
            let cursor = try keyspace.makeCursor()
            return PreparedOperation(operation) { _ in
                if cursor.isValid { try cursor.next() } else { try cursor.seekToFirst() }
            }
        case .previous:
            try fillTable()
            let cursor = try keyspace.makeCursor()
            return PreparedOperation(operation) { _ in
                if cursor.isValid { try cursor.previous() } else { try cursor.seekToLast() }
            }
        }
    }

    private func fill() throws {
        for key in keys.prefix(Self.entries) { try keyspace.put(key, value) }
    }

    /// Everything in one table, its blocks cached.
    private func fillTable() throws {
        try fill()
        try database.flush()
        for key in keys.prefix(Self.entries) { _ = try keyspace.withValue(for: key) { $0.byteCount } }
    }
}

struct PreparedOperation {
    let operation: Operation
    private let body: (Int) throws -> Void

    init(_ operation: Operation, body: @escaping (Int) throws -> Void) {
        self.operation = operation
        self.body = body
    }

    func perform(_ indices: Range<Int>) throws {
        for index in indices { try body(index) }
    }
}

#endif
