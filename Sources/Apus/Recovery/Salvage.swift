// Salvage: what can be read of a damaged database becomes a new, sound one.
//
//   1. Find out what there is (SalvageInventory).
//   2. Per keyspace: merge the sound entries of all its tables (SalvageCursor), every version with its sequence number,
//      into one sorted run at the last level. A FIFO keyspace lives by the age of its tables: there each becomes one of
//      its own at level 0.
//   3. Replay the log into memtables; a full one becomes a table at level 0. Entries that tables hold already are
//      skipped by the rule of every open, the keyspace's flushed sequence, and by what tables say that no manifest
//      lists (SalvageCoverage): batches that were flushed and compacted since must not come back beside what became
//      of them.
//   4. Write a manifest, as opening does, and close it in order.
//
// Until step 4 there is no CURRENT in the target, so what a crash leaves there is no database; an error removes it.

import ApusIO

struct Salvage {
    private let source: String
    private let target: String
    private let environment: Environment
    private let tuning: Tuning
    private let recorder = SalvageRecorder()
    private let numbers = FileNumberSource(next: 1)
    private let output: SalvageOutput
    private var inventory: SalvageInventory
    private var result: ManifestState
    /// The batches replayed since memtables were written last, by keyspace.
    private var memtables: [UInt32: Memtable] = [:]
    private var bufferedByteCount = 0
    /// Entries of the log, by keyspace, of which nobody can tell whether they are in tables.
    private var doubtfulCounts: [UInt32: UInt64] = [:]

    static func run(
        from source: String, to target: String, options: Options, environment given: Environment?
    ) throws(ApusError) -> SalvageReport {
        let environment = given ?? Environment.system()
        defer { if given == nil { environment.scheduler.shutDown() } }
        let fileSystem = environment.fileSystem
        let status = try io { () throws(IOError) in try fileSystem.status(of: source) }
        guard let status else { throw ApusError(.notFound, "there is no \(source)", file: source) }
        guard status.isDirectory else {
            throw ApusError(.notADatabase, "\(source) is not a directory", file: source)
        }
        let names = try io { () throws(IOError) in try fileSystem.list(source) }
        guard names.contains(where: { FileName($0) != nil }) else {
            throw ApusError(.notADatabase, "\(source) holds no file of a database", file: source)
        }
        var locks: [any FileLock] = []
        defer { for lock in locks { lock.release() } }
        if names.contains(FileName.lock.string) { locks.append(try lock(source, exclusive: false, fileSystem)) }
        try prepare(target, fileSystem)
        locks.append(try lock(target, exclusive: true, fileSystem))
        do throws(ApusError) {
            var salvage = try Salvage(source, target, options, environment)
            return try salvage.run()
        } catch {
            // The directory was empty: everything of ours in it was written here.
            for name in (try? fileSystem.list(target)) ?? [] where FileName(name) != nil {
                try? fileSystem.remove(target + "/" + name)
            }
            throw error
        }
    }

    private static func prepare(_ target: String, _ fileSystem: any FileSystem) throws(ApusError) {
        guard !target.isEmpty else { throw ApusError(.invalidArgument, "the target's path is empty") }
        let status = try io { () throws(IOError) in try fileSystem.status(of: target) }
        if let status {
            let refusal = ApusError(.invalidArgument, "the target is not an empty directory", file: target)
            guard status.isDirectory else { throw refusal }
            let names = try io { () throws(IOError) in try fileSystem.list(target) }
            guard names.isEmpty else { throw refusal }
        }
        try DatabaseDirectory.create(target, on: fileSystem)
    }

    private static func lock(
        _ directory: String, exclusive: Bool, _ fileSystem: any FileSystem
    ) throws(ApusError) -> any FileLock {
        let path = FileName.lock.path(in: directory)
        do {
            return try fileSystem.lock(path, exclusive: exclusive, holder: currentProcessDescription)
        } catch {
            guard error.kind == .locked else { throw ApusError(error) }
            let holder = error.detail.isEmpty ? "another process" : error.detail
            throw ApusError(.locked, "the database is open in \(holder)", file: path, systemCode: error.code)
        }
    }

    private init(
        _ source: String, _ target: String, _ options: Options, _ environment: Environment
    ) throws(ApusError) {
        self.source = source
        self.target = target
        self.environment = environment
        tuning = options.tuning ?? Tuning(memoryBudget: options.memoryBudget)
        inventory = try SalvageInventory(source, on: environment.fileSystem, recorder)
        result = ManifestState(
            databaseID: DatabaseID(first: environment.random.next(), second: environment.random.next()))
        let numbers = numbers
        output = SalvageOutput(
            CompactionEnvironment(
                fileSystem: environment.fileSystem, nextFileNumber: { numbers.take() },
                path: { $0.path(in: target) }),
            tuning, source: source, on: environment.fileSystem, recorder)
    }

    private mutating func run() throws(ApusError) -> SalvageReport {
        for id in inventory.state.keyspaces.keys.sorted() { try salvageTables(of: id) }
        try replayLog()
        try writeMemtables()
        try publish()
        return recorder.report
    }

    // MARK: - 2. Tables

    private mutating func salvageTables(of id: UInt32) throws(ApusError) {
        guard let keyspace = inventory.state.keyspaces[id] else { return }
        try create(keyspace)
        // What is never logged is gone after a crash, and half of it is worse than none.
        if keyspace.settings.isEphemeral && !inventory.wasClosed { return }
        var tables: [SalvageTable] = []
        for (number, metadata) in (inventory.tables[id] ?? [:]).sorted(by: { $0.key < $1.key }) {
            do throws(ApusError) {
                tables.append(
                    try SalvageTable.read(number, known: metadata, in: source, on: environment.fileSystem))
            } catch {
                guard error.isLoss || error.kind == .unsupportedFormat else { throw error }
                recorder.lose(error, in: source, keyspace: keyspace.name)
            }
        }
        guard case .fifo = keyspace.settings.style else {
            return try write(
                SalvageTable.runs(tables), of: keyspace, level: tuning.levels.lastLevel,
                createdAt: environment.clock.wallMilliseconds())
        }
        for table in tables {
            try write(
                [[table]], of: keyspace, level: 0,
                createdAt: table.metadata?.createdAt ?? environment.clock.wallMilliseconds())
        }
    }

    private mutating func write(
        _ runs: [[SalvageTable]], of keyspace: KeyspaceState, level: Int, createdAt: UInt64
    ) throws(ApusError) {
        let sources = runs.map { run in
            SalvageCursor(run, keyspace: keyspace.name, in: source, on: environment.fileSystem, recorder)
        }
        try apply(
            output.write(
                SalvageInput(
                    keyspace: keyspace.id, name: keyspace.name, settings: keyspace.settings, sources: sources,
                    rangeDeletions: RangeDeletions(runs.joined().flatMap(\.rangeDeletions)), level: level,
                    createdAt: createdAt)))
    }

    private mutating func create(_ keyspace: KeyspaceState) throws(ApusError) {
        recorder.recovered(keyspace.id, keyspace.name)
        try apply(VersionEdit([.keyspaceCreated(keyspace.id, name: keyspace.name, keyspace.settings)]))
    }

    private mutating func apply(_ edit: VersionEdit) throws(ApusError) {
        do throws(DecodingFailure) {
            try result.apply(edit)
        } catch {
            throw .corruption(error.what, file: source)
        }
    }

    // MARK: - 3. Log

    private mutating func replayLog() throws(ApusError) {
        let replay = LogReplay(
            directory: source, fileSystem: environment.fileSystem, manifest: inventory.state, mode: .salvage)
        var failure: ApusError?
        do throws(ApusError) {
            let end = try replay.run { (sequence, payload) throws(ApusError) in
                do throws(ApusError) {
                    try self.apply(payload, sequence)
                } catch {
                    failure = error
                    throw error
                }
            }
            for loss in end.losses { recorder.lose(loss) }
            reportDoubts()
            if end.discardedByteCount > 0, let (number, offset) = end.end {
                recorder.lose(
                    SalvageLoss(
                        file: FileName.log(number).path(in: source), offset: offset,
                        byteCount: end.discardedByteCount,
                        what: "the log ends in batches that a crash tore, or that were damaged"))
            }
            inventory.raiseLastSequence(to: end.lastSequence)
        } catch {
            guard failure == nil, error.isLoss else { throw error }
            recorder.lose(error, in: source)
        }
    }

    private mutating func apply(
        _ payload: UnsafeRawBufferPointer, _ first: SequenceNumber
    ) throws(ApusError) {
        do throws(DecodingFailure) {
            // All of a batch or nothing.
            var check = try BatchCursor(payload)
            while try check.next() != nil {}
        } catch {
            return recorder.lose(
                .corruption("the batch at sequence \(first.rawValue) of the log: \(error.what)", file: source),
                in: source)
        }
        var sequence = first
        guard var cursor = try? BatchCursor(payload) else { return }
        while let entry = (try? cursor.next()) ?? nil {
            defer { sequence = sequence.advanced(by: 1) }
            if inventory.state.keyspaces[entry.keyspace] == nil, inventory.isDamaged, entry.keyspace < UInt32.max {
                inventory.addKeyspace(entry.keyspace)
                try create(inventory.state.keyspaces[entry.keyspace]!)
            }
            guard let keyspace = inventory.state.keyspaces[entry.keyspace], !keyspace.settings.isEphemeral,
                sequence > keyspace.flushedSequence
            else { continue }
            inventory.raiseLastSequence(to: sequence)
            if let reference = entry.reference {
                recorder.lose(
                    .corruption(
                        "the log refers to a value that cannot be read",
                        file: FileName.blob(reference.file).path(in: source), offset: reference.offset),
                    in: source, keyspace: keyspace.name)
                continue
            }
            try replay(entry, sequence, in: keyspace)
        }
    }

    /// Leaves out what is in tables that nothing lists.
    private mutating func replay(
        _ entry: BatchEntry, _ sequence: SequenceNumber, in keyspace: KeyspaceState
    ) throws(ApusError) {
        guard let coverage = inventory.coverage[keyspace.id] else { return try insert(entry, sequence, in: keyspace) }
        guard entry.kind == .rangeDeletion else {
            switch coverage.finding(entry.key, sequence) {
            case .missing: try insert(entry, sequence, in: keyspace)
            case .unknown: doubtfulCounts[keyspace.id, default: 0] += 1
            case .held: break
            }
            return
        }
        for part in coverage.findings(from: [UInt8](entry.key), to: [UInt8](entry.payload), sequence) {
            switch part.finding {
            case .missing
            where Limits.keyByteCount.contains(part.start.count) && Limits.keyByteCount.contains(part.end.count):
                try part.start.withUnsafeBufferPointer { (start) throws(ApusError) in
                    try part.end.withUnsafeBufferPointer { (end) throws(ApusError) in
                        var clipped = entry
                        clipped.key = UnsafeRawBufferPointer(start)
                        clipped.payload = UnsafeRawBufferPointer(end)
                        try insert(clipped, sequence, in: keyspace)
                    }
                }
            // What follows the longest of keys begins with no key.
            case .missing, .unknown: doubtfulCounts[keyspace.id, default: 0] += 1
            case .held: break
            }
        }
    }

    private mutating func insert(
        _ entry: BatchEntry, _ sequence: SequenceNumber, in keyspace: KeyspaceState
    ) throws(ApusError) {
        try memtable(of: keyspace, for: entry).apply(entry, sequence)
        bufferedByteCount += entry.key.count + entry.payload.count
    }

    private func reportDoubts() {
        for (id, count) in doubtfulCounts.sorted(by: { $0.key < $1.key }) {
            recorder.lose(
                SalvageReport.Loss(
                    file: source, offset: 0,
                    what: "\(count) entries of the log are left out: tables that no manifest lists may hold them, and"
                        + " tell no sequence numbers",
                    keyspace: inventory.state.keyspaces[id]?.name))
        }
    }

    private mutating func memtable(of keyspace: KeyspaceState, for entry: BatchEntry) throws(ApusError) -> Memtable {
        let byteCount = entry.key.count + entry.payload.count
        if let memtable = memtables[keyspace.id], bufferedByteCount < tuning.writeBufferByteCount,
            memtable.hasRoom(forEntries: 1, byteCount: byteCount)
        {
            return memtable
        }
        if memtables[keyspace.id] != nil || bufferedByteCount >= tuning.writeBufferByteCount { try writeMemtables() }
        let memtable = Memtable(
            capacity: max(tuning.writeBufferByteCount, Memtable.capacity(forEntries: 1, byteCount: byteCount)),
            pool: nil)
        memtables[keyspace.id] = memtable
        return memtable
    }

    private mutating func writeMemtables() throws(ApusError) {
        for (id, memtable) in memtables.sorted(by: { $0.key < $1.key }) {
            guard let keyspace = inventory.state.keyspaces[id] else { continue }
            try apply(
                output.write(
                    SalvageInput(
                        keyspace: id, name: keyspace.name, settings: keyspace.settings,
                        sources: [memtable.makeCursor()],
                        rangeDeletions: memtable.rangeDeletions ?? RangeDeletions([]), level: 0,
                        createdAt: environment.clock.wallMilliseconds())))
        }
        memtables = [:]
        bufferedByteCount = 0
    }

    // MARK: - 4. The new database

    private mutating func publish() throws(ApusError) {
        let last = max(result.lastSequence, inventory.state.lastSequence)
        try apply(
            VersionEdit(
                [.lastSequence(last), .nextKeyspaceID(inventory.state.nextKeyspaceID)]
                    + result.keyspaces.keys.sorted().map { .flushedSequence($0, last) }))
        result.nextFileNumber = numbers.next
        let numbers = numbers
        let manifest = try ManifestWriter(
            ManifestWriter.Configuration(
                directory: target, fileSystem: environment.fileSystem, byteCount: tuning.manifestByteCount),
            result, allocateNumber: { numbers.take() })
        do throws(ApusError) {
            // Everything is in tables: there is no log.
            try manifest.close(CleanClose(lastSequence: last, logNumber: 0, logByteCount: 0))
        } catch {
            manifest.abandon()
            throw error
        }
    }
}
