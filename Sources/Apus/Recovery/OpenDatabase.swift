// Opening a database.
//
//   1. See that the directory is a database, or fit to become one, and take the lock, which is the first write.
//   2. Read what is there (RecoveredState); nothing is changed yet.
//   3. Replay the log into memtables, skipping what tables already hold.
//   4. Write the memtables as tables: new files, synced. An old log is never continued and never synced again: after
//      a failed sync the page cache may show what the disk does not have.
//   5. Write a new manifest that names those tables and a new, empty log; swap CURRENT. Now the new state holds.
//   6. Remove what nothing refers to any more.
//
// A crash at any point leaves either the old state or the new one, and files that the next open removes. A read-only
// open does 1 (shared), 2 and 3.

import ApusIO
import Logging
import Synchronization

struct OpenDatabase {
    let engine: Engine
    private let options: Options
    private var state: ManifestState
    private let content: RecoveredState?

    static func run(
        directory: String, options: Options, environment given: Environment?
    ) throws(ApusError) -> Engine {
        try check(options, directory)
        let environment = given ?? Environment.system()
        do {
            return try open(directory, options, environment, ownsScheduler: given == nil)
        } catch {
            if given == nil { environment.scheduler.shutDown() }
            throw error
        }
    }

    private static func check(_ options: Options, _ directory: String) throws(ApusError) {
        guard !directory.isEmpty else { throw ApusError(.invalidArgument, "the directory's path is empty") }
        guard options.memoryBudget >= 1 << 20 else {
            throw ApusError(
                .invalidArgument, "a memory budget of \(options.memoryBudget) bytes is less than 1 MiB")
        }
        guard options.memoryBudget <= 1 << 48 else {
            throw ApusError(
                .invalidArgument, "a memory budget of \(options.memoryBudget) bytes is more than any machine has")
        }
        guard options.syncInterval > .zero else {
            throw ApusError(.invalidArgument, "the sync interval must be longer than zero")
        }
    }

    private static func open(
        _ directory: String, _ options: Options, _ environment: Environment, ownsScheduler: Bool
    ) throws(ApusError) -> Engine {
        let fileSystem = environment.fileSystem
        try prepareDirectory(directory, options, fileSystem)
        let lock = try lock(directory, options, fileSystem)
        do throws(ApusError) {
            do throws(ApusError) {
                return try open(directory, options, environment, lock, ownsScheduler: ownsScheduler)
            } catch {
                guard error.kind == .outOfSpace, !options.isReadOnly, try Leftovers.reclaim(directory, environment)
                else {
                    throw error
                }
                return try open(directory, options, environment, lock, ownsScheduler: ownsScheduler)
            }
        } catch {
            lock.release()
            throw error
        }
    }

    private static func open(
        _ directory: String, _ options: Options, _ environment: Environment, _ lock: any FileLock, ownsScheduler: Bool
    ) throws(ApusError) -> Engine {
        let fileSystem = environment.fileSystem
        var opening: OpenDatabase
        switch try RecoveredState.read(directory: directory, fileSystem: fileSystem) {
        case .fresh(let leftovers):
            guard !options.isReadOnly, options.createIfMissing else {
                throw ApusError(.notFound, "there is no database in \(directory)", file: directory)
            }
            for name in leftovers {
                try io { () throws(IOError) in try fileSystem.remove(name.path(in: directory)) }
            }
            opening = OpenDatabase(
                directory, options, environment, lock, ownsScheduler: ownsScheduler, content: nil)
        case .database(var recovered):
            if !options.isReadOnly { try recovered.skipNumbersInLog(of: directory, on: fileSystem) }
            guard recovered.nextFileNumber < FileName.numberLimit / 2 else {
                throw .corruption(
                    "the manifest leaves no numbers for new files: \(recovered.nextFileNumber) is the next",
                    file: directory)
            }
            opening = OpenDatabase(
                directory, options, environment, lock, ownsScheduler: ownsScheduler, content: recovered)
        }
        do throws(ApusError) {
            try opening.recover()
            try opening.adopt()
        } catch {
            opening.engine.link.cut()
            throw error
        }
        return opening.engine
    }

    // MARK: - 1. Directory and lock

    private static func prepareDirectory(
        _ directory: String, _ options: Options, _ fileSystem: any FileSystem
    ) throws(ApusError) {
        let status = try io { () throws(IOError) in try fileSystem.status(of: directory) }
        guard let status else {
            guard !options.isReadOnly, options.createIfMissing else {
                throw ApusError(.notFound, "there is no database in \(directory)", file: directory)
            }
            try DatabaseDirectory.create(directory, on: fileSystem)
            return
        }
        guard status.isDirectory else {
            throw ApusError(.notADatabase, "\(directory) is not a directory", file: directory)
        }
        // Taking the lock writes: nothing is put into a directory that is somebody else's, or where nothing is created.
        if try !RecoveredState.isDatabase(directory, on: fileSystem), options.isReadOnly || !options.createIfMissing {
            throw ApusError(.notFound, "there is no database in \(directory)", file: directory)
        }
        if !options.isReadOnly { try DatabaseDirectory.create(directory, on: fileSystem) }
    }

    private static func lock(
        _ directory: String, _ options: Options, _ fileSystem: any FileSystem
    ) throws(ApusError) -> any FileLock {
        let path = FileName.lock.path(in: directory)
        do {
            return try fileSystem.lock(
                path, exclusive: !options.isReadOnly, holder: currentProcessDescription)
        } catch {
            guard error.kind == .locked else { throw ApusError(error) }
            let holder = error.detail.isEmpty ? "another process" : error.detail
            throw ApusError(.locked, "the database is open in \(holder)", file: path, systemCode: error.code)
        }
    }

    // MARK: - The engine, empty

    private init(
        _ directory: String, _ options: Options, _ environment: Environment, _ lock: any FileLock,
        ownsScheduler: Bool, content: RecoveredState?
    ) {
        self.options = options
        self.content = content
        state =
            content?.manifest
            ?? ManifestState(
                databaseID: DatabaseID(first: environment.random.next(), second: environment.random.next()))
        let numbers = FileNumberSource(next: content?.nextFileNumber ?? 1)
        let tuning = options.tuning ?? Tuning(memoryBudget: options.memoryBudget)
        let parts = EngineParts(
            directory: directory, options: options, tuning: tuning, environment: environment,
            ownsScheduler: ownsScheduler, nextFileNumber: numbers, lock: lock)
        let link = EngineLink()
        let log: LogSet? =
            options.isReadOnly
            ? nil
            : LogSet(
                LogSet.Configuration(
                    directory: directory, fileSystem: environment.fileSystem, databaseID: state.databaseID,
                    segmentByteCount: tuning.logSegmentByteCount),
                allocateNumber: { numbers.take() },
                register: { (number, byteCount) throws(ApusError) in
                    guard let engine = link.engine else { throw ApusError(.closed, "the database is closed") }
                    try engine.record(VersionEdit([.logCreated(number, byteCount: byteCount)]))
                },
                unregister: { (numbers) throws(ApusError) in
                    guard let engine = link.engine else { throw ApusError(.closed, "the database is closed") }
                    try engine.record(VersionEdit(numbers.map { .logDeleted($0) }))
                },
                synchronizeValues: { () throws(ApusError) in try link.engine?.committer.synchronizeValues() })
        engine = Engine(parts, committer: Committer(log: log, lastSequence: .zero), link: link)
    }

    // MARK: - 3. Recovery

    private mutating func recover() throws(ApusError) {
        guard let content else { return }
        let path = engine.path(.manifest(content.current.manifest))
        state.emptyWhatTheCrashHalved()
        for keyspace in state.keyspaces.values.sorted(by: { $0.id < $1.id }) {
            let version = try VersionBuilder(keyspace, path: path).build { engine.makeTable($0) }
            let treeState = engine.makeTreeState(
                id: keyspace.id, name: keyspace.name, settings: keyspace.settings,
                mergeOperator: try mergeOperator(keyspace), version: version)
            engine.structure.withLock { $0.trees[keyspace.id] = treeState }
        }
        engine.structure.withLock { $0.nextKeyspaceID = state.nextKeyspaceID }
        let replay = LogReplay(
            directory: engine.directory, fileSystem: engine.environment.fileSystem, manifest: state)
        let result = try replay.run { (sequence, payload) throws(ApusError) in try apply(payload, sequence) }
        let last = Swift.max(state.lastSequence, Swift.max(result.lastSequence, content.current.lastSequence))
        state.lastSequence = last
        engine.committer.lastSequence = last
        engine.visible.store(last.rawValue, ordering: .releasing)
        if result.discardedByteCount > 0 || result.batchCount > 0 {
            engine.logger.notice(
                "log replayed",
                metadata: [
                    "batches": "\(result.batchCount)", "bytes": "\(result.byteCount)",
                    "discarded": "\(result.discardedByteCount)",
                ])
        }
    }

    private func mergeOperator(_ keyspace: KeyspaceState) throws(ApusError) -> (any MergeOperator)? {
        let name = keyspace.settings.mergeOperatorName
        if name.isEmpty { return nil }
        // Without its operator a keyspace can still be opened: only reading merge operands fails, and says so.
        let builtIn: [any MergeOperator] = [
            AddMergeOperator(), AppendMergeOperator(), MaximumMergeOperator(), SetIfAbsentMergeOperator(),
        ]
        return (options.mergeOperators + builtIn).first { $0.name == name }
    }

    private mutating func apply(
        _ payload: UnsafeRawBufferPointer, _ first: SequenceNumber
    ) throws(ApusError) {
        var sequence = first
        do throws(DecodingFailure) {
            var cursor = try BatchCursor(payload)
            // Every memtable that the batch could go to has room for it as a whole.
            while let entry = try cursor.next() {
                defer { sequence = sequence.advanced(by: 1) }
                guard let keyspace = state.keyspaces[entry.keyspace] else {
                    if entry.keyspace < state.nextKeyspaceID { continue }
                    throw DecodingFailure(what: "a batch names keyspace \(entry.keyspace), which never existed")
                }
                if keyspace.settings.isEphemeral || sequence <= keyspace.flushedSequence { continue }
                guard entry.kind != .separatedValue, entry.kind != .expiringSeparatedValue else {
                    throw DecodingFailure(what: "a reference to a value stands where the value belongs")
                }
                do throws(ApusError) {
                    let tree = try treeWithRoom(keyspace.id, entry, sequence)
                    tree.active.apply(entry, sequence)
                } catch {
                    throw DecodingFailure(what: error.description, underlying: error)
                }
            }
        } catch {
            if let underlying = error.underlying { throw underlying }
            throw .corruption(
                "the batch at sequence \(first.rawValue) of the log: \(error.what)", file: engine.directory)
        }
    }

    private mutating func treeWithRoom(
        _ id: UInt32, _ entry: BatchEntry, _ sequence: SequenceNumber
    ) throws(ApusError) -> Tree {
        let tree = engine.structure.withLock { $0.trees[id]!.tree }
        let byteCount = entry.key.count + entry.payload.count
        if tree.active.hasRoom(forEntries: 1, byteCount: byteCount) { return tree }
        engine.visible.store(sequence.rawValue, ordering: .releasing)
        engine.seal(tree, forEntries: 1, byteCount: byteCount, flushing: false)
        if !options.isReadOnly { try flush(id) }
        return tree
    }

    // MARK: - 4. Tables

    /// Writes the sealed memtables of a keyspace as tables and notes them in the state to be.
    private mutating func flush(_ id: UInt32) throws(ApusError) {
        let current = engine.structure.withLock { $0.trees[id]! }
        let sealed = Array(current.sealed)
        guard let last = sealed.map(\.lastSequence).max() else { return }
        let output = try engine.write(sealed, of: current.tree, above: current.summary)
        var edit = VersionEdit()
        for metadata in output.tables { edit.changes.append(.tableAdded(id, level: 0, metadata)) }
        for metadata in output.blobFiles { edit.changes.append(.blobAdded(id, metadata)) }
        edit.changes.append(.flushedSequence(id, last))
        try adopt(edit, in: id, current) { state in state.memtables.removeLast(sealed.count) }
    }

    private mutating func adopt(
        _ edit: VersionEdit, in id: UInt32, _ current: TreeState, _ update: (inout TreeState) -> Void
    ) throws(ApusError) {
        let path = engine.path(.current)
        var builder = VersionBuilder(current.version, path: path)
        try builder.apply(edit)
        let version = try builder.build { engine.makeTable($0) }
        if engine.tuning.checksVersions { Invariants.check(version, "\(edit)") }
        do throws(DecodingFailure) {
            try state.apply(edit)
        } catch {
            throw .corruption(error.what, file: path)
        }
        _ = engine.publish(version, in: id, update)
    }

    // MARK: - 5. The new state

    private mutating func adopt() throws(ApusError) {
        guard !options.isReadOnly else { return }
        guard let log = engine.committer.log else { preconditionFailure("a writable database has a log") }
        engine.committer.lastSequence = state.lastSequence
        for id in state.keyspaces.keys.sorted() {
            let tree = engine.structure.withLock { $0.trees[id]!.tree }
            if !tree.active.isEmpty { engine.seal(tree, flushing: false) }
            try flush(id)
        }
        let oldLogs = state.logNumbers
        let first = try log.prepareFirst()
        state.logs = [first.number: first.capacity]
        let numbers = engine.nextFileNumber
        state.nextFileNumber = numbers.next
        let manifest = try ManifestWriter(
            ManifestWriter.Configuration(
                directory: engine.directory, fileSystem: engine.environment.fileSystem,
                byteCount: engine.tuning.manifestByteCount),
            state, allocateNumber: { numbers.take() })
        engine.manifest.withLock { $0 = manifest }
        try log.start(after: state.lastSequence)
        removeObsoleteFiles(oldLogs)
        for treeState in engine.structure.withLock({ Array($0.trees.values) }) { engine.updatePressure(treeState) }
        engine.scheduleCompaction()
        engine.scheduleUpkeep()
    }

    // MARK: - 6. Leftovers

    /// What cannot be removed now is removed by the next open.
    private func removeObsoleteFiles(_ oldLogs: [FileNumber]) {
        guard let content else { return }
        var names = content.obsoleteFiles + oldLogs.map { .log($0) } + [.manifest(content.current.manifest)]
        for (id, keyspace) in content.manifest.keyspaces {
            let kept = state.keyspaces[id]
            for (level, tables) in keyspace.tables.enumerated() {
                names += tables.keys.filter { kept?.tables[level][$0] == nil }.map { .table($0) }
            }
            names += keyspace.blobFiles.keys.filter { kept?.blobFiles[$0] == nil }.map { .blob($0) }
        }
        for path in names.map({ engine.path($0) }).sorted() {
            try? engine.environment.fileSystem.remove(path)
        }
    }
}
