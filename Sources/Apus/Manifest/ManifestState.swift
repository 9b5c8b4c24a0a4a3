// What the manifest says the database consists of: the sum of all its edits. Pure values; the reader builds one from
// a file, the writer keeps one so that it can write a whole new manifest.

import ApusIO

/// One keyspace, as the manifest knows it.
struct KeyspaceState: Sendable, Equatable {
    var id: UInt32
    var name: String
    var settings: KeyspaceSettings
    /// The tables of each level, by number.
    var tables = [[FileNumber: TableMetadata]](repeating: [:], count: VersionEdit.levelCount)
    var blobFiles: [FileNumber: BlobFileMetadata] = [:]
    /// The tables hold every logged entry up to this one.
    var flushedSequence = SequenceNumber.zero

    /// Level 0 newest first, the others ascending by key.
    var levels: [[TableMetadata]] {
        tables.indices.map { level in TableOrder.sorted(Array(tables[level].values), level: level) { $0 } }
    }
}

/// Everything that the manifest says.
struct ManifestState: Sendable, Equatable {
    var databaseID: DatabaseID
    /// Above every number that was ever given to a file, as far as the manifest knows.
    var nextFileNumber: FileNumber = 1
    /// Above every id that a keyspace ever had.
    var nextKeyspaceID: UInt32 = 1
    /// At least as high as any sequence number that is in a table.
    var lastSequence = SequenceNumber.zero
    var keyspaces: [UInt32: KeyspaceState] = [:]
    /// Capacity of each live log segment, by number.
    var logs: [FileNumber: UInt64] = [:]
    /// The highest number that a log segment ever had, as far as this manifest tells.
    private var lastLogNumber: FileNumber = 0
    private var names: Set<String> = []
    /// Set if the last edit closed the database.
    var cleanClose: CleanClose?

    init(databaseID: DatabaseID) { self.databaseID = databaseID }

    /// Live log segments in the order in which they were used.
    var logNumbers: [FileNumber] { logs.keys.sorted() }

    /// Applies an edit. Throws if it is impossible in this state, which is then of no further use.
    mutating func apply(_ edit: VersionEdit) throws(DecodingFailure) {
        try apply(edit) { (_, failure) throws(DecodingFailure) in throw failure }
    }

    /// Applies what is possible of an edit, and reports every change that is not, unless `report` throws.
    mutating func apply<Failure: Error>(
        _ edit: VersionEdit,
        _ report: (VersionEdit.Change, DecodingFailure) throws(Failure) -> Void
    ) throws(Failure) {
        cleanClose = nil
        for addsFiles in [false, true] {
            for change in edit.changes where change.addsFile == addsFiles {
                do throws(DecodingFailure) { try apply(change) } catch { try report(change, error) }
            }
        }
    }

    private mutating func apply(_ change: VersionEdit.Change) throws(DecodingFailure) {
        switch change {
        case .databaseID(let id):
            guard id == databaseID else { throw DecodingFailure(what: "the edits belong to database \(id)") }
        case .nextFileNumber(let number): nextFileNumber = max(nextFileNumber, number)
        case .nextKeyspaceID(let id): nextKeyspaceID = max(nextKeyspaceID, id)
        case .lastSequence(let sequence): lastSequence = max(lastSequence, sequence)
        case .keyspaceCreated(let id, let name, let settings):
            try createKeyspace(id, name, settings)
        case .keyspaceChanged(let id, let settings):
            try withKeyspace(id) { $0.settings = settings }
        case .keyspaceDropped(let id):
            guard let dropped = keyspaces.removeValue(forKey: id) else {
                throw DecodingFailure(what: "keyspace \(id) is dropped but does not exist")
            }
            names.remove(dropped.name)
        case .tableAdded(let keyspace, let level, let metadata):
            try withKeyspace(keyspace) { (state) throws(DecodingFailure) in try state.add(metadata, level: level) }
            nextFileNumber = max(nextFileNumber, metadata.number + 1)
            lastSequence = max(lastSequence, metadata.largestSequence)
        case .tableRemoved(let keyspace, let level, let number):
            try withKeyspace(keyspace) { (state) throws(DecodingFailure) in
                guard state.tables[level].removeValue(forKey: number) != nil else {
                    throw DecodingFailure(what: "table \(number) is removed from level \(level) but is not there")
                }
            }
        case .blobAdded(let keyspace, let metadata):
            try withKeyspace(keyspace) { (state) throws(DecodingFailure) in
                guard state.blobFiles.updateValue(metadata, forKey: metadata.number) == nil else {
                    throw DecodingFailure(what: "blob file \(metadata.number) is added twice")
                }
            }
            nextFileNumber = max(nextFileNumber, metadata.number + 1)
        case .blobRemoved(let keyspace, let number):
            try withKeyspace(keyspace) { (state) throws(DecodingFailure) in
                guard state.blobFiles.removeValue(forKey: number) != nil else {
                    throw DecodingFailure(what: "blob file \(number) is removed but does not exist")
                }
            }
        case .flushedSequence(let keyspace, let sequence):
            try withKeyspace(keyspace) { $0.flushedSequence = max($0.flushedSequence, sequence) }
            lastSequence = max(lastSequence, sequence)
        case .logCreated(let number, let byteCount):
            guard number > lastLogNumber else {
                throw DecodingFailure(what: "log \(number) is created after log \(lastLogNumber)")
            }
            lastLogNumber = number
            logs[number] = byteCount
            nextFileNumber = max(nextFileNumber, number + 1)
        case .logDeleted(let number):
            guard logs.removeValue(forKey: number) != nil else {
                throw DecodingFailure(what: "log \(number) is deleted but does not exist")
            }
        case .cleanClose(let close):
            cleanClose = close
            lastSequence = max(lastSequence, close.lastSequence)
        }
    }

    /// The edits that build this state from nothing, none of them much longer than `byteCount`.
    func snapshot(byteCount: Int = 1 << 20) -> [VersionEdit] {
        var changes: [VersionEdit.Change] = [
            .databaseID(databaseID), .nextFileNumber(nextFileNumber), .nextKeyspaceID(nextKeyspaceID),
            .lastSequence(lastSequence),
        ]
        for keyspace in keyspaces.values.sorted(by: { $0.id < $1.id }) {
            changes.append(.keyspaceCreated(keyspace.id, name: keyspace.name, keyspace.settings))
            changes.append(.flushedSequence(keyspace.id, keyspace.flushedSequence))
            for blobFile in keyspace.blobFiles.values.sorted(by: { $0.number < $1.number }) {
                changes.append(.blobAdded(keyspace.id, blobFile))
            }
            for (level, tables) in keyspace.levels.enumerated() {
                for table in tables { changes.append(.tableAdded(keyspace.id, level: level, table)) }
            }
        }
        for number in logNumbers { changes.append(.logCreated(number, byteCount: logs[number] ?? 0)) }
        return Self.split(changes, byteCount: byteCount)
    }

    private static func split(_ changes: [VersionEdit.Change], byteCount: Int) -> [VersionEdit] {
        var edits = [VersionEdit()]
        var size = 0
        for change in changes {
            size += VersionEdit([change]).encoded.count
            if size > byteCount && !edits[edits.count - 1].changes.isEmpty {
                edits.append(VersionEdit())
                size = 0
            }
            edits[edits.count - 1].changes.append(change)
        }
        return edits
    }

    private mutating func createKeyspace(
        _ id: UInt32,
        _ name: String,
        _ settings: KeyspaceSettings
    ) throws(DecodingFailure) {
        guard keyspaces[id] == nil else { throw DecodingFailure(what: "keyspace \(id) is created twice") }
        guard id < UInt32.max else { throw DecodingFailure(what: "no keyspace has id \(id)") }
        guard names.insert(name).inserted else {
            throw DecodingFailure(what: "two keyspaces are named \(name)")
        }
        keyspaces[id] = KeyspaceState(id: id, name: name, settings: settings)
        nextKeyspaceID = max(nextKeyspaceID, id + 1)
    }

    private mutating func withKeyspace(
        _ id: UInt32,
        _ body: (inout KeyspaceState) throws(DecodingFailure) -> Void
    ) throws(DecodingFailure) {
        guard let index = keyspaces.index(forKey: id) else {
            throw DecodingFailure(what: "keyspace \(id) does not exist")
        }
        try body(&keyspaces.values[index])
    }
}

extension KeyspaceState {
    fileprivate mutating func add(_ metadata: TableMetadata, level: Int) throws(DecodingFailure) {
        guard !tables.contains(where: { $0[metadata.number] != nil }) else {
            throw DecodingFailure(what: "table \(metadata.number) is added twice")
        }
        tables[level][metadata.number] = metadata
    }
}
