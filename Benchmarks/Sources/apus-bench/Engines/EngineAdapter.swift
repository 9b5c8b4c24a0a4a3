// What the loop asks of an engine. One adapter per engine conforms; the loop (Workloads/OperationLoop.swift) knows
// nothing else, so whatever an operation costs besides the engine's own call is the same for all of them.

import Glibc

/// When a write counts as done.
enum Durability: String, Codable, Sendable {
    /// Handed to the operating system: survives a crash of the process.
    case relaxed
    /// On the disk: survives a loss of power.
    case durable
}

/// What every engine is given. Each adapter turns it into the nearest settings that its engine has.
struct EngineSettings: Codable, Sendable {
    /// Bytes for write buffers and caches together.
    var memoryBudget: Int
    var durability: Durability
    var entries: Int
    var valueByteCount: Int
    /// Sessions that will work at the same time.
    var threads: Int
    /// What is written must still be in the log at the end: nothing may be flushed or checkpointed of its own accord.
    var keepsLog = false

    /// The share of the budget that engines with a memtable fill before they write a table: 64 MiB, or a quarter.
    var writeBufferByteCount: Int { keepsLog ? memoryBudget / 4 : min(64 << 20, memoryBudget / 4) }
    var cacheByteCount: Int { memoryBudget - writeBufferByteCount }

    /// From which size on values go to files of their own, where an engine has such files and its default is not to
    /// use them. Nil when the values are smaller.
    var separationThreshold: Int? { valueByteCount >= 4_096 ? 4_096 : nil }
}

enum ScanDirection {
    case forward
    case backward
}

/// An open database in a folder of its own.
protocol EngineAdapter: AnyObject {
    associatedtype Session: EngineSession

    /// How the engine is named on the command line and in results.
    static var name: String { get }
    /// The codec its data is stored with.
    static var compression: String { get }
    /// The settings in force, for people.
    static func describe(_ settings: EngineSettings) -> String
    /// The fastest way the engine offers to load sorted entries into an empty database, for people.
    static var bulkLoadMethod: String { get }
    /// The library that is measured; nil when it was built together with this tool.
    static var build: LibraryBuild? { get }

    /// Opens the database in the existing folder `path`, creating it when the folder is empty.
    init(path: String, settings: EngineSettings) throws

    var version: String { get }

    /// A session works on one thread at a time.
    func makeSession() throws -> Session

    /// Moves what is buffered in memory into the data files, where the engine has a call for that.
    func flush() throws

    /// Bytes that are still to be flushed or compacted, if the engine tells.
    func pendingByteCount() throws -> Int?

    /// Closes the database; its sessions are gone by then.
    func close() throws
}

extension EngineAdapter {
    static var bulkLoadMethod: String { "sorted batches of \(WorkloadKind.batchEntryCount)" }
    static var build: LibraryBuild? { nil }
    func pendingByteCount() -> Int? { nil }
}

/// One thread's access to an open database. Keys and values are borrowed for the call; the key given to `seek` stays
/// valid until the cursor is closed.
protocol EngineSession: AnyObject, SendableMetatype {
    func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws
    func delete(_ key: UnsafeRawBufferPointer) throws
    /// Removes every entry from `start` up to, and not including, `end`: all of them or none.
    func deleteRange(from start: UnsafeRawBufferPointer, to end: UnsafeRawBufferPointer) throws
    /// All entries or none.
    func write(_ batch: EntryBatch) throws

    /// Shows the value to `visit` where it lies, if the engine can do that; false when the key is not there.
    func get(_ key: UnsafeRawBufferPointer, _ visit: (UnsafeRawBufferPointer) -> Void) throws -> Bool

    /// Shows the values of those keys that are there, all as they are at one moment.
    func getMany(_ keys: KeyBatch, _ visit: (UnsafeRawBufferPointer) -> Void) throws

    /// Sorted entries for an empty database, by the engine's fastest way. Nothing else happens between begin and end.
    func beginBulkLoad() throws
    func appendInBulk(_ batch: EntryBatch) throws
    func endBulkLoad() throws

    /// A cursor over the newest state. One at a time.
    func openCursor(_ direction: ScanDirection) throws
    /// To the first entry at or after `key`; false at the end. Only for forward cursors.
    func seek(_ key: UnsafeRawBufferPointer) throws -> Bool
    /// To the first entry in the cursor's direction.
    func seekToStart() throws -> Bool
    /// To the next entry in the cursor's direction.
    func advance() throws -> Bool
    func withEntry(_ visit: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void) throws
    func closeCursor() throws
}

/// Engines without a way of their own load sorted batches.
extension EngineSession {
    func beginBulkLoad() {}
    func appendInBulk(_ batch: EntryBatch) throws { try write(batch) }
    func endBulkLoad() {}
}

/// Keys side by side.
struct KeyBatch {
    let bytes: UnsafeRawBufferPointer
    let keyByteCount: Int

    var count: Int { bytes.count / keyByteCount }

    @inline(__always)
    subscript(index: Int) -> UnsafeRawBufferPointer {
        let start = index * keyByteCount
        return UnsafeRawBufferPointer(rebasing: bytes[start..<start + keyByteCount])
    }
}

/// Entries for one atomic write: values lie anywhere in the value pool.
struct EntryBatch {
    let keys: KeyBatch
    let values: UnsafeBufferPointer<UnsafeRawBufferPointer>

    var count: Int { values.count }

    @inline(__always)
    subscript(index: Int) -> (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        (keys[index], values[index])
    }
}

/// A sentence for the person who ran the tool.
struct BenchmarkError: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) {
        self.description = description
    }
}

extension UnsafeRawBufferPointer {
    /// For C interfaces that take bytes as `char *`.
    @inline(__always)
    var characters: UnsafePointer<CChar>? {
        baseAddress?.assumingMemoryBound(to: CChar.self)
    }
}

/// Below, at or above zero as `left` sorts before, with or after `right`.
@inline(__always)
func compareBytes(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
    let common = min(left.count, right.count)
    if common > 0, let (left, right) = left.baseAddress.flatMap({ left in right.baseAddress.map { (left, $0) } }) {
        let order = memcmp(left, right, common)
        if order != 0 { return Int(order) }
    }
    return left.count - right.count
}
