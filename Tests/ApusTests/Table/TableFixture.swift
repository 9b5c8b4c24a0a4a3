// Tables in memory and the sorted array that they are compared with.

import ApusIO
import Testing

@testable import Apus

/// An entry as plain values; ordered as the engine orders.
struct TableEntry: Hashable, Comparable, CustomStringConvertible {
    var key: [UInt8]
    var trailer: Trailer
    var payload: [UInt8]

    init(_ key: [UInt8], _ sequence: UInt64, _ payload: [UInt8], kind: EntryKind = .value) {
        self.key = key
        trailer = Trailer(SequenceNumber(sequence), kind)
        self.payload = payload
    }

    static func < (a: TableEntry, b: TableEntry) -> Bool { a.isBefore(b.key, b.trailer) }

    func isBefore(_ key: [UInt8], _ trailer: Trailer) -> Bool {
        self.key.withUnsafeBytes { a in key.withUnsafeBytes { compareInternal(a, self.trailer, $0, trailer) < 0 } }
    }

    var description: String { "\(key.prefix(24))@\(trailer.sequence.rawValue)+\(payload.count)" }
}

/// A file system, a cache and the tables in them.
final class TableFixture {
    let fileSystem = MemoryFileSystem()
    let epochs = EpochDomain()
    let cache: BlockCache
    let pool: FilePool
    let context: TableContext

    init(
        cacheCapacity: Int = 64 << 20,
        fileLimit: Int = 512,
        onObsolete: @escaping @Sendable (FileNumber) -> Void = { _ in }
    ) {
        cache = BlockCache(capacity: cacheCapacity, epochs: epochs)
        pool = FilePool(fileSystem: fileSystem, limit: fileLimit)
        context = TableContext(cache: cache, epochs: epochs, filePool: pool, onObsolete: onObsolete)
    }

    func path(_ number: FileNumber) -> String { "db/\(number).table" }

    func write(
        _ entries: [TableEntry],
        number: FileNumber = 7,
        options: TableWriterOptions = .init(),
        rangeDeletions: [RangeDeletion] = []
    ) throws -> TableMetadata {
        let file = try fileSystem.open(path(number), .create)
        let writer = TableWriter(file: file, path: path(number), number: number, options: options, createdAt: 1234)
        for entry in entries {
            try entry.key.withUnsafeBytes { key in
                try entry.payload.withUnsafeBytes { try writer.add(key, entry.trailer, $0) }
            }
        }
        if !rangeDeletions.isEmpty { try writer.addRangeDeletions(RangeDeletions(rangeDeletions)) }
        return try writer.finish()
    }

    func open(_ metadata: TableMetadata) -> Table {
        Table(metadata: metadata, path: path(metadata.number), context: context)
    }

    func table(
        _ entries: [TableEntry],
        options: TableWriterOptions = .init(),
        rangeDeletions: [RangeDeletion] = []
    ) throws -> Table {
        open(try write(entries, options: options, rangeDeletions: rangeDeletions))
    }
}

extension Table {
    /// What a lookup finds, copied.
    func find(_ key: [UInt8], at sequence: UInt64, fill: Bool = true) throws -> TableEntry? {
        let pin = context.epochs.pin()
        defer { context.epochs.unpin(pin) }
        return try key.withUnsafeBytes { bytes -> TableEntry? in
            let seek = Trailer.seek(SequenceNumber(sequence))
            guard let found = try find(bytes, hash: KeyHash.of(bytes), seek, fill: fill) else { return nil }
            var entry = TableEntry(key, 0, [UInt8](found.payload))
            entry.trailer = found.trailer
            return entry
        }
    }

    /// What `verify` complains about.
    func problems() throws -> [ApusError] {
        var problems: [ApusError] = []
        try verify { problems.append($0) }
        return problems
    }
}

extension EntryCursor {
    /// The entry under the cursor, copied.
    var current: TableEntry? {
        guard isValid else { return nil }
        var entry = TableEntry([UInt8](key), 0, [UInt8](payload))
        entry.trailer = trailer
        return entry
    }

    func seek(_ key: [UInt8], _ trailer: Trailer) throws { try key.withUnsafeBytes { try seek($0, trailer) } }
    func seekBefore(_ key: [UInt8], _ trailer: Trailer) throws {
        try key.withUnsafeBytes { try seekBefore($0, trailer) }
    }
}

extension RawBuffer {
    borrowing func copy() -> [UInt8] { [UInt8](bytes) }
}
