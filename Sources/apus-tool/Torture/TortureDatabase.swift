// A tortured database as writer and verifier see it: its keyspaces, and where each thread stands.

import Apus
import Foundation

struct TortureDatabase {
    let database: Database
    let workload: TortureWorkload
    private let data: [Keyspace]
    let control: Keyspace
    let singles: Keyspace

    /// Opens for writing, which recovers, and creates what is not there yet.
    static func open(
        _ directory: String, _ workload: TortureWorkload, memoryBudget: Int, isSmall: Bool = false,
        createIfMissing: Bool
    ) throws -> TortureDatabase {
        var options = Options(memoryBudget: memoryBudget)
        if isSmall { options.makeSmall() }
        options.createIfMissing = createIfMissing
        // Often enough to be cut by a kill.
        options.syncInterval = .milliseconds(50)
        let database = try Database.open(at: directory, options: options)
        let data = try TortureKeyspace.allCases.map { try database.keyspace($0.name, options: $0.options) }
        let control = try database.keyspace(
            TortureControl.name,
            options: KeyspaceOptions(mergeOperator: .add)
        )
        let singles = try database.keyspace(TortureWorkload.singlesName)
        return TortureDatabase(
            database: database, workload: workload, data: data, control: control, singles: singles)
    }

    /// Opens without changing anything; nil if the creation of the database or of its keyspaces was cut short.
    static func openForReading(_ directory: String, _ workload: TortureWorkload) throws -> TortureDatabase? {
        var options = Options(memoryBudget: 16 << 20)
        options.isReadOnly = true
        let database = try Database.open(at: directory, options: options)
        let names = Set(database.keyspaceNames)
        let wanted = TortureKeyspace.allCases.map(\.name) + [TortureControl.name, TortureWorkload.singlesName]
        guard wanted.allSatisfy(names.contains) else { return nil }
        return TortureDatabase(
            database: database,
            workload: workload,
            data: try TortureKeyspace.allCases.map { try database.existingKeyspace($0.name) },
            control: try database.existingKeyspace(TortureControl.name),
            singles: try database.existingKeyspace(TortureWorkload.singlesName)
        )
    }

    subscript(_ keyspace: TortureKeyspace) -> Keyspace { data[keyspace.rawValue] }

    /// In the order of the model's entries.
    var keyspaces: [Keyspace] { data }

    /// Says in the database what is written to it, and opens the accounts: once, in one durable commit.
    func begin() throws {
        if let found = try control.get(TortureControl.workloadKey) {
            guard found == Array(workload.description.utf8) else {
                throw Failure(
                    "the database holds another workload: \(displayed(found)), not \(workload.description)",
                    code: 2
                )
            }
            return
        }
        try database.write(.durable) { batch in
            batch.put(TortureControl.workloadKey, workload.description, in: control)
            for account in 0..<TortureControl.accountCount {
                batch.put(TortureControl.accountKey(account), integerBytes(0), in: control)
            }
        }
    }

    /// How many commits of a thread there are.
    func position(_ thread: Int) throws -> Int {
        guard let bytes = try control.get(TortureControl.positionKey(thread)) else { return 0 }
        guard let position = integer(bytes), position > 0 else {
            throw Failure("the position of thread \(thread) is \(displayed(bytes))")
        }
        return position
    }

    /// Everything of a commit but a transaction's transfer.
    func write(_ commit: TortureCommit, seen: [Int], to sink: inout some CommitSink) {
        let thread = commit.thread
        for operation in commit.operations {
            switch operation {
            case .put(let keyspace, let slot, let value):
                sink.put(key(commit, slot), workload.bytes(value), self[keyspace])
            case .append(let slot, let value):
                sink.merge(key(commit, slot), workload.bytes(value), self[.lists])
            case .delete(let keyspace, let slot):
                sink.delete(key(commit, slot), self[keyspace])
            case .deleteSlots(let keyspace, let slots):
                let start = TortureWorkload.bound(thread, commit.generation, slots.lowerBound)
                let end = TortureWorkload.bound(thread, commit.generation, slots.upperBound)
                sink.deleteRange(start..<end, self[keyspace])
            case .clearRegion:
                let prefix = TortureWorkload.regionPrefix(thread, commit.generation)
                // "0" follows "/", so this is the region and nothing beside it.
                for keyspace in data { sink.deleteRange(prefix + "/"..<prefix + "0", keyspace) }
            }
        }
        let position = integerBytes(commit.number + 1)
        for keyspace in data + [control] {
            sink.put(Array(TortureControl.positionKey(thread).utf8), position, keyspace)
        }
        sink.put(Array(TortureControl.seenKey(thread).utf8), seen.flatMap { integerBytes($0) }, control)
        sink.merge(Array(TortureControl.totalKey.utf8), integerBytes(1), control)
    }

    private func key(_ commit: TortureCommit, _ slot: Int) -> [UInt8] {
        TortureWorkload.key(commit.thread, commit.generation, slot)
    }
}

extension TortureKeyspace {
    fileprivate var options: KeyspaceOptions {
        switch self {
        case .values: KeyspaceOptions()
        case .lists: KeyspaceOptions(compression: .lz4ThenZstd, mergeOperator: .append)
        case .blobs: KeyspaceOptions(compression: .zstd, valueSeparationThreshold: 2 << 10)
        }
    }
}

/// What batches and transactions have in common.
protocol CommitSink {
    mutating func put(_ key: [UInt8], _ value: [UInt8], _ keyspace: Keyspace)
    mutating func delete(_ key: [UInt8], _ keyspace: Keyspace)
    mutating func deleteRange(_ range: Range<String>, _ keyspace: Keyspace)
    mutating func merge(_ key: [UInt8], _ operand: [UInt8], _ keyspace: Keyspace)
}

struct BatchSink: CommitSink {
    var batch = WriteBatch()

    mutating func put(_ key: [UInt8], _ value: [UInt8], _ keyspace: Keyspace) { batch.put(key, value, in: keyspace) }
    mutating func delete(_ key: [UInt8], _ keyspace: Keyspace) { batch.delete(key, in: keyspace) }
    mutating func deleteRange(_ range: Range<String>, _ keyspace: Keyspace) { batch.deleteRange(range, in: keyspace) }
    mutating func merge(_ key: [UInt8], _ operand: [UInt8], _ keyspace: Keyspace) {
        batch.merge(key, operand, in: keyspace)
    }
}

struct TransactionSink: CommitSink {
    let transaction: Transaction

    func put(_ key: [UInt8], _ value: [UInt8], _ keyspace: Keyspace) { transaction.put(key, value, in: keyspace) }
    func delete(_ key: [UInt8], _ keyspace: Keyspace) { transaction.delete(key, in: keyspace) }
    func deleteRange(_ range: Range<String>, _ keyspace: Keyspace) { transaction.deleteRange(range, in: keyspace) }
    func merge(_ key: [UInt8], _ operand: [UInt8], _ keyspace: Keyspace) {
        transaction.merge(key, operand, in: keyspace)
    }
}
