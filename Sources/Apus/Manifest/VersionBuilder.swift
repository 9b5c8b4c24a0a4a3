// Applying version edits to a keyspace's tables. Checks everything that an edit could get wrong.

import ApusIO

/// Collects edits on top of a version. One thread at a time.
struct VersionBuilder {
    private let base: Version
    private var levels: [[FileNumber: Entry]]
    private var levelIsChanged = [Bool](repeating: false, count: VersionEdit.levelCount)
    private var blobFiles: [FileNumber: BlobFileMetadata]
    /// Named in errors.
    private let path: String

    private enum Entry {
        case open(Table)
        case added(TableMetadata)

        var metadata: TableMetadata {
            switch self {
            case .open(let table): table.metadata
            case .added(let metadata): metadata
            }
        }
    }

    /// - Parameter path: of the manifest that the edits come from or go to.
    init(_ base: Version, path: String) {
        self.base = base
        self.path = path
        levels = base.levels.map { level in
            Dictionary(uniqueKeysWithValues: level.map { ($0.metadata.number, Entry.open($0)) })
        }
        blobFiles = Dictionary(uniqueKeysWithValues: base.blobFiles.map { ($0.number, $0) })
    }

    /// Starts from what the manifest says of a keyspace.
    init(_ state: KeyspaceState, path: String) {
        self.init(Version(keyspace: state.id), path: path)
        for (level, tables) in state.tables.enumerated() {
            levels[level] = tables.mapValues { .added($0) }
            levelIsChanged[level] = !tables.isEmpty
        }
        blobFiles = state.blobFiles
    }

    /// Takes over what the edit says about this keyspace, removals first. After an error the builder is of no use.
    mutating func apply(_ edit: VersionEdit) throws(ApusError) {
        for change in edit.changes where !change.addsFile { try apply(change) }
        for change in edit.changes where change.addsFile { try apply(change) }
    }

    private mutating func apply(_ change: VersionEdit.Change) throws(ApusError) {
        switch change {
        case .tableAdded(base.keyspace, let level, let metadata):
            guard !levels.contains(where: { $0[metadata.number] != nil }) else {
                throw refusal("table \(metadata.number) is added twice")
            }
            levels[level][metadata.number] = .added(metadata)
            levelIsChanged[level] = true
        case .tableRemoved(base.keyspace, let level, let number):
            guard levels[level].removeValue(forKey: number) != nil else {
                throw refusal("table \(number) is removed from level \(level) but is not there")
            }
            levelIsChanged[level] = true
        case .blobAdded(base.keyspace, let metadata):
            guard blobFiles.updateValue(metadata, forKey: metadata.number) == nil else {
                throw refusal("blob file \(metadata.number) is added twice")
            }
        case .blobRemoved(base.keyspace, let number):
            guard blobFiles.removeValue(forKey: number) != nil else {
                throw refusal("blob file \(number) is removed but does not exist")
            }
        default: break
        }
    }

    /// The version that results. Tables that were open before are taken over, also where they moved to another level
    /// unchanged; others are made by `open`, which is cheap and does not touch the disk.
    func build(open: (TableMetadata) -> Table) throws(ApusError) -> Version {
        var moved: [FileNumber: Table] = [:]
        for (level, tables) in base.levels.enumerated() where levelIsChanged[level] {
            for table in tables { moved[table.metadata.number] = table }
        }
        var built: [[Table]] = []
        for (level, entries) in levels.enumerated() {
            guard levelIsChanged[level] else {
                built.append(base.levels[level])
                continue
            }
            let sorted = TableOrder.sorted(Array(entries.values), level: level) { $0.metadata }
            do throws(DecodingFailure) {
                try TableOrder.check(sorted.lazy.map(\.metadata), level: level, keyspace: base.keyspace)
            } catch {
                throw refusal(error.what)
            }
            built.append(
                sorted.map { entry in
                    switch entry {
                    case .open(let table): return table
                    case .added(let metadata):
                        if let table = moved[metadata.number], table.metadata == metadata { return table }
                        return open(metadata)
                    }
                }
            )
        }
        return Version(
            keyspace: base.keyspace,
            levels: built,
            blobFiles: blobFiles.values.sorted { $0.number < $1.number }
        )
    }

    private func refusal(_ what: String) -> ApusError {
        .corruption("impossible change of keyspace \(base.keyspace): \(what)", file: path)
    }
}
