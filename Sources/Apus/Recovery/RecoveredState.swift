// Finding out what is in a database directory, without changing anything. Opening is a second step.
//
// 1. List the directory. Without CURRENT it is fresh, foreign, the remains of a creation that was interrupted, or
//    damaged: a database is never created beside data.
// 2. Read CURRENT and the manifest that it names.
// 3. Check that every file the manifest lists is there, in its size, and that no file is there that it ought to list.
//
// The log itself is read by `LogReplay`.

import ApusIO

/// What a directory holds.
enum DatabaseDirectoryContent: Sendable {
    /// No database: a new one may be created, after removing what an interrupted creation left. The first manifest
    /// and the first log segment have to get the numbers 1 and 2, in whatever order.
    case fresh(leftovers: [FileName])
    case database(RecoveredState)
}

/// Everything about a database that can be learnt without reading tables and log.
struct RecoveredState: Sendable {
    var current: CurrentFile
    /// Keyspaces, tables, blob files, live log segments.
    var manifest: ManifestState
    /// Above every number in the manifest and in the directory.
    var nextFileNumber: FileNumber
    /// Files of ours that nothing refers to: to be removed after opening, by a writer.
    var obsoleteFiles: [FileName]
    /// Names that are none of ours; left alone.
    var foreignNames: [String]
    /// Only in salvage mode.
    var losses: [SalvageLoss]

    var databaseID: DatabaseID { manifest.databaseID }

    /// The obsolete files without those that the log still needs: values of batches that are in no table yet. Reads the
    /// whole log.
    func leftovers(in directory: String, on fileSystem: any FileSystem) throws(ApusError) -> [FileName] {
        let values = try LogReplay(directory: directory, fileSystem: fileSystem, manifest: manifest).valueFileNumbers()
        return obsoleteFiles.filter { name in
            if case .blob(let number) = name { return !values.contains(number) }
            return true
        }
    }

    /// No new file gets a number that the log knows: a loss of power may leave a batch, and not the name of the file in
    /// which its values were. A file that recovery wrote under the same number could have an older value of the same key
    /// at the same place, and the torn batch would look whole. Reads the whole log.
    mutating func skipNumbersInLog(of directory: String, on fileSystem: any FileSystem) throws(ApusError) {
        let values = try LogReplay(directory: directory, fileSystem: fileSystem, manifest: manifest).valueFileNumbers()
        if let highest = values.max() { nextFileNumber = max(nextFileNumber, highest &+ 1) }
    }

    /// Reads the database in `directory`, which need not exist.
    static func read(
        directory: String,
        fileSystem: any FileSystem,
        mode: RecoveryMode = .strict
    ) throws(ApusError) -> DatabaseDirectoryContent {
        guard let status = try io({ () throws(IOError) in try fileSystem.status(of: directory) }) else {
            return .fresh(leftovers: [])
        }
        guard status.isDirectory else {
            throw ApusError(.notADatabase, "\(directory) is not a directory", file: directory)
        }
        let names = try io { () throws(IOError) in try fileSystem.list(directory) }
        return try Discovery(directory, names, on: fileSystem, mode).run()
    }

    /// Whether there is a database in `directory`, which exists: before its lock is taken, since taking it writes.
    /// Throws what `read` would throw about CURRENT, or about a directory that lacks it.
    static func isDatabase(_ directory: String, on fileSystem: any FileSystem) throws(ApusError) -> Bool {
        var names = try io { () throws(IOError) in try fileSystem.list(directory) }
        var attempts = 0
        while true {
            do throws(ApusError) {
                return try Discovery(directory, names, on: fileSystem, .strict).hasCurrent()
            } catch {
                // Without the lock somebody else may be creating a database at this moment.
                let before = Set(names)
                names = try io { () throws(IOError) in try fileSystem.list(directory) }
                attempts += 1
                if before == Set(names) || attempts == 5 { throw error }
            }
        }
    }
}

extension ManifestState {
    /// What is never logged is gone after a crash. Half of a cache is worse than none: older values would reappear. The
    /// files of such a keyspace are orphans from here on.
    mutating func emptyWhatTheCrashHalved() {
        guard cleanClose == nil else { return }
        for (id, keyspace) in keyspaces where keyspace.settings.isEphemeral {
            keyspaces[id]?.tables = KeyspaceState(id: id, name: "", settings: keyspace.settings).tables
            keyspaces[id]?.blobFiles = [:]
        }
    }
}

/// One reading of a directory.
private struct Discovery {
    let directory: String
    let fileSystem: any FileSystem
    let mode: RecoveryMode
    let files: [FileName]
    let foreignNames: [String]

    init(_ directory: String, _ names: [String], on fileSystem: any FileSystem, _ mode: RecoveryMode) {
        self.directory = directory
        self.fileSystem = fileSystem
        self.mode = mode
        let names = names.sorted()
        files = names.compactMap { FileName($0) }
        foreignNames = names.filter { FileName($0) == nil }
    }

    private var missingCurrent: ApusError {
        .corruption("CURRENT is missing beside the files of a database", file: FileName.current.path(in: directory))
    }

    /// False if there is room for a new database.
    func hasCurrent() throws(ApusError) -> Bool {
        if files.contains(.current), try CurrentFile.read(in: directory, on: fileSystem) != nil { return true }
        guard try contentWithoutCurrent() != nil else { throw missingCurrent }
        return false
    }

    func run() throws(ApusError) -> DatabaseDirectoryContent {
        var losses: [SalvageLoss] = []
        guard files.contains(.current) else {
            if let content = try contentWithoutCurrent() { return content }
            let damage = missingCurrent
            guard mode == .salvage else { throw damage }
            losses.append(SalvageLoss(file: damage.file ?? "", offset: 0, byteCount: nil, what: damage.message))
            return .database(try state(newestManifest(damage), &losses))
        }
        do throws(ApusError) {
            guard let current = try CurrentFile.read(in: directory, on: fileSystem) else {
                throw .corruption("CURRENT is missing", file: FileName.current.path(in: directory))
            }
            return .database(try state(current, &losses))
        } catch {
            guard mode == .salvage, error.kind == .corruption else { throw error }
            losses = [
                SalvageLoss(file: error.file ?? "", offset: error.offset ?? 0, byteCount: nil, what: error.message)
            ]
            return .database(try state(newestManifest(error), &losses))
        }
    }

    // MARK: - Without CURRENT

    /// nil if there is a database that lost its CURRENT.
    private func contentWithoutCurrent() throws(ApusError) -> DatabaseDirectoryContent? {
        let creation = InterruptedCreation(directory: directory, fileSystem: fileSystem)
        var strangers = foreignNames
        for file in files {
            switch try creation.finding(file) {
            case .leftover: continue
            case .data: return nil
            case .foreign: strangers.append(file.string)
            }
        }
        guard strangers.isEmpty else {
            throw ApusError(.notADatabase, "\(directory) holds files, but no database", file: directory)
        }
        return .fresh(leftovers: files.filter { $0 != .lock })
    }

    /// For salvage: the newest manifest that can be read, as if CURRENT named it and vouched for nothing.
    private func newestManifest(_ damage: ApusError) throws(ApusError) -> CurrentFile {
        let numbers = files.compactMap { if case .manifest(let number) = $0 { number } else { nil } }
        for number in numbers.sorted(by: >) {
            let current = CurrentFile(manifest: number, state: .open, manifestByteCount: 0, lastSequence: .zero)
            do throws(ApusError) {
                let content = try ManifestReader.read(current, in: directory, on: fileSystem, mode: .salvage)
                if content.editCount > 0 { return current }
            } catch {
                guard error.kind == .corruption else { throw error }
            }
        }
        throw damage
    }

    // MARK: - With CURRENT

    private func state(_ current: CurrentFile, _ losses: inout [SalvageLoss]) throws(ApusError) -> RecoveredState {
        var content = try ManifestReader.read(current, in: directory, on: fileSystem, mode: mode)
        losses += content.losses
        try checkFiles(&content.state, &losses)
        try checkLogs(content.state, &losses)
        let highest = files.compactMap(\.number).max() ?? 0
        return RecoveredState(
            current: current,
            manifest: content.state,
            nextFileNumber: max(content.state.nextFileNumber, highest + 1, current.manifest + 1),
            obsoleteFiles: obsoleteFiles(current, content.state),
            foreignNames: foreignNames,
            losses: losses
        )
    }

    /// Every file that the manifest lists has to be there in its size. In salvage mode a missing one is taken off.
    private func checkFiles(_ state: inout ManifestState, _ losses: inout [SalvageLoss]) throws(ApusError) {
        for keyspace in state.keyspaces.values.sorted(by: { $0.id < $1.id }) {
            for (level, tables) in keyspace.tables.enumerated() {
                for table in tables.values.sorted(by: { $0.number < $1.number }) {
                    let isThere = try check(.table(table.number), table.byteCount, keyspace.name, &losses)
                    if !isThere { state.keyspaces[keyspace.id]?.tables[level][table.number] = nil }
                }
            }
            for blobFile in keyspace.blobFiles.values.sorted(by: { $0.number < $1.number }) {
                let isThere = try check(.blob(blobFile.number), blobFile.byteCount, keyspace.name, &losses)
                if !isThere { state.keyspaces[keyspace.id]?.blobFiles[blobFile.number] = nil }
            }
        }
    }

    private func check(
        _ name: FileName,
        _ byteCount: UInt64,
        _ keyspace: String,
        _ losses: inout [SalvageLoss]
    ) throws(ApusError) -> Bool {
        let path = name.path(in: directory)
        let status = try io { () throws(IOError) in try fileSystem.status(of: path) }
        if status?.byteCount == byteCount, status?.isDirectory == false { return true }
        let found = status.map { "has \($0.byteCount) bytes instead of \(byteCount)" } ?? "is missing"
        let damage = ApusError.corruption("\(name.string) of keyspace \(keyspace) \(found)", file: path)
        guard mode == .salvage else { throw damage }
        losses.append(SalvageLoss(file: path, offset: 0, byteCount: byteCount, what: damage.message))
        return status != nil
    }

    /// Live segments have to be there, and none that came into use may be unknown: a segment newer than all the
    /// manifest knows of proves that the manifest lost the edit that registered it.
    private func checkLogs(_ state: ManifestState, _ losses: inout [SalvageLoss]) throws(ApusError) {
        guard mode == .strict else { return }
        for number in state.logNumbers where !files.contains(.log(number)) {
            throw .corruption(
                "\(FileName.log(number).string) is missing",
                file: FileName.log(number).path(in: directory)
            )
        }
        // Closed without a log: what is left of one is a removal that did not become durable.
        if state.cleanClose?.logNumber == 0 { return }
        let newest = state.logNumbers.last ?? 0
        for case .log(let number) in files where number > newest {
            let reader = try SegmentReader(.log(number), in: directory, on: fileSystem)
            if let former = try reader.formerNumber(), former < number { continue }
            guard case .header(let header) = try reader.start(.log), header.databaseID == state.databaseID else {
                continue
            }
            throw .corruption(
                "the log came into use, but the manifest does not know it: the manifest lost its end",
                file: reader.path,
                offset: 0
            )
        }
    }

    private func obsoleteFiles(_ current: CurrentFile, _ state: ManifestState) -> [FileName] {
        var live: Set<FileName> = [.current, .lock, .manifest(current.manifest)]
        live.formUnion(state.logs.keys.map { .log($0) })
        for keyspace in state.keyspaces.values {
            for tables in keyspace.tables { live.formUnion(tables.keys.map { .table($0) }) }
            live.formUnion(keyspace.blobFiles.keys.map { .blob($0) })
        }
        return files.filter { !live.contains($0) }
    }
}
