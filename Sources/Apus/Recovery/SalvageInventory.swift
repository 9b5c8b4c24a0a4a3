// What there is to salvage: keyspaces, tables and logs, by the manifest as far as it can be read, and by the files
// themselves where it cannot.
//
// A sound manifest has the last word: files that it does not list are garbage. If any of it is damaged, every table in
// the directory takes part, since the edit that listed it may be what was lost; the properties of a table tell its
// keyspace. And so does every log of this database, of which only those entries are left out that a table has: a table
// that nothing lists does not prove that its keyspace was flushed so far (see SalvageCoverage).

import ApusIO

struct SalvageInventory {
    /// What the manifest said, with logs and keyspaces that were found besides.
    private(set) var state: ManifestState
    /// The tables of each keyspace, newest first, with what the manifest says of them.
    private(set) var tables: [UInt32: [FileNumber: TableMetadata?]] = [:]
    /// Whether the database was closed in order, so that keyspaces which are never logged are whole.
    private(set) var wasClosed = false
    /// What the tables that the manifest does not list hold of the log.
    private(set) var coverage: [UInt32: SalvageCoverage] = [:]
    /// Whether part of the manifest is missing.
    private(set) var isDamaged = false

    private let directory: String
    private let fileSystem: any FileSystem
    private let files: [FileName]

    /// Reads manifest and directory. Throws if there is no database.
    init(
        _ directory: String,
        on fileSystem: any FileSystem,
        _ recorder: SalvageRecorder
    ) throws(ApusError) {
        self.directory = directory
        self.fileSystem = fileSystem
        files = try io { () throws(IOError) in try fileSystem.list(directory) }.sorted().compactMap { FileName($0) }
        state = ManifestState(databaseID: DatabaseID(first: 0, second: 0))
        try readManifest(recorder)
        try findLogs(recorder)
        if isDamaged { try findTables(recorder) }
    }

    // MARK: - Manifest

    private mutating func readManifest(_ recorder: SalvageRecorder) throws(ApusError) {
        do throws(ApusError) {
            let content = try RecoveredState.read(directory: directory, fileSystem: fileSystem, mode: .salvage)
            guard case .database(let recovered) = content else {
                throw ApusError(.notFound, "there is no database in \(directory)", file: directory)
            }
            state = recovered.manifest
            wasClosed = state.cleanClose != nil
            let manifest = FileName.manifest(recovered.current.manifest).path(in: directory)
            isDamaged = recovered.losses.contains { $0.file == manifest }
            for loss in recovered.losses { recorder.lose(loss) }
        } catch {
            guard error.isLoss else { throw error }
            recorder.lose(error, in: directory)
            isDamaged = true
        }
        for keyspace in state.keyspaces.values {
            for level in keyspace.tables {
                for table in level.values { add(table, to: keyspace.id) }
            }
        }
    }

    /// Adds a table that the manifest lists.
    private mutating func add(_ table: TableMetadata, to id: UInt32) {
        tables[id, default: [:]].updateValue(table, forKey: table.number)
        // The log's entries up to here are in tables: whatever was flushed, was flushed in the order of the log, and
        // the tables of a flush are listed together.
        if let flushed = state.keyspaces[id]?.flushedSequence {
            state.keyspaces[id]?.flushedSequence = max(flushed, table.largestSequence)
            raiseLastSequence(to: table.largestSequence)
        }
    }

    // MARK: - Logs

    private mutating func findLogs(_ recorder: SalvageRecorder) throws(ApusError) {
        var headers: [SegmentHeader] = []
        for case .log(let number) in files where state.logs[number] == nil {
            do throws(ApusError) {
                let reader = try SegmentReader(.log(number), in: directory, on: fileSystem)
                if case .header(let header) = try reader.start(.log) { headers.append(header) }
            } catch {
                guard error.isLoss else { throw error }
                // Whether it was in use at all, only a manifest could tell.
            }
        }
        if isDamaged, state.keyspaces.isEmpty, state.logs.isEmpty, let id = mostCommonID(headers) {
            // The manifest did not even tell its own id.
            state.databaseID = id
        }
        let newest = state.logNumbers.last ?? 0
        headers.removeAll { $0.databaseID != state.databaseID }
        if !isDamaged, state.cleanClose?.logNumber != 0, let unknown = headers.first(where: { $0.number > newest }) {
            isDamaged = true
            recorder.lose(
                .corruption(
                    "log \(unknown.number) came into use, but the manifest does not know it: it lost its end",
                    file: FileName.current.path(in: directory)
                ),
                in: directory
            )
        }
        if isDamaged {
            for header in headers { state.logs[header.number] = header.capacity }
        }
    }

    private func mostCommonID(_ headers: [SegmentHeader]) -> DatabaseID? {
        var counts: [DatabaseID: Int] = [:]
        for header in headers { counts[header.databaseID, default: 0] += 1 }
        return counts.max { ($0.value, $0.key.first) < ($1.value, $1.key.first) }?.key
    }

    // MARK: - Tables that nothing lists

    private mutating func findTables(_ recorder: SalvageRecorder) throws(ApusError) {
        let listed = Set(tables.values.flatMap(\.keys))
        var unlisted: [UInt32: [TableMetadata]] = [:]
        for case .table(let number) in files where !listed.contains(number) {
            do throws(ApusError) {
                let table = try SalvageTable.read(number, in: directory, on: fileSystem)
                let isTold = table.keyspace > 0 && table.keyspace < UInt32.max
                let id = isTold ? table.keyspace : unusedID()
                addKeyspace(id, named: isTold ? nil : "table-\(number)")
                tables[id, default: [:]].updateValue(table.metadata, forKey: number)
                if let metadata = table.metadata {
                    unlisted[id, default: []].append(metadata)
                    raiseLastSequence(to: metadata.largestSequence)
                }
            } catch {
                guard error.isLoss || error.kind == .unsupportedFormat else { throw error }
                recorder.lose(error, in: directory)
            }
        }
        coverage = unlisted.mapValues { SalvageCoverage($0) }
    }

    // MARK: - Keyspaces that nothing lists

    private func unusedID() -> UInt32 {
        // Far above the ids that the log may name.
        var id: UInt32 = 1 << 30
        while state.keyspaces[id] != nil { id += 1 }
        return id
    }

    /// Makes sure that there is a keyspace of that id.
    mutating func addKeyspace(_ id: UInt32, named wanted: String? = nil) {
        guard state.keyspaces[id] == nil else { return }
        var name = wanted ?? "keyspace-\(id)"
        while state.keyspaces.values.contains(where: { $0.name == name }) { name += "-recovered" }
        // The defaults are valid settings.
        let settings = (try? KeyspaceSettings(KeyspaceOptions())) ?? KeyspaceSettings()
        state.keyspaces[id] = KeyspaceState(id: id, name: name, settings: settings)
        state.nextKeyspaceID = max(state.nextKeyspaceID, id + 1)
    }

    /// Sequence numbers go on behind every one that was found.
    mutating func raiseLastSequence(to sequence: SequenceNumber) {
        state.lastSequence = max(state.lastSequence, sequence)
    }
}
