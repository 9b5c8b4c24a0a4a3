// Creating, finding, changing and dropping keyspaces.

import ApusIO

extension Engine {
    /// The tree of that name. With `create`, one that is missing is made, durably, before the call returns.
    func tree(named name: String, options: KeyspaceOptions?, create: Bool) throws(ApusError) -> Tree {
        try checkOpen()
        guard Limits.keyspaceNameByteCount.contains(name.utf8.count) else {
            throw ApusError(
                .invalidArgument,
                "a keyspace name has 1 to \(Limits.keyspaceNameByteCount.upperBound) bytes, not \(name.utf8.count)")
        }
        if let existing = structure.withLock({ $0.tree(named: name)?.tree }) {
            if let options { try change(existing, to: options) }
            return existing
        }
        guard create else { throw ApusError(.notFound, "there is no keyspace \"\(name)\"") }
        try checkWritable()
        let settings = try KeyspaceSettings(options ?? KeyspaceOptions())
        return try createTree(name, settings, options?.mergeOperator)
    }

    private func createTree(
        _ name: String, _ settings: KeyspaceSettings, _ mergeOperator: (any MergeOperator)?
    ) throws(ApusError) -> Tree {
        try manifest.withLock { (manifest) throws(ApusError) in
            guard let writer = manifest else { throw ApusError(.closed, "the database is closed") }
            // Another thread may have made it since the look outside the lock.
            if let existing = structure.withLock({ $0.tree(named: name)?.tree }) { return existing }
            let id = try structure.withLock { (structure) throws(ApusError) -> UInt32 in
                guard structure.nextKeyspaceID < UInt32.max else {
                    throw ApusError(.failed, "all numbers of keyspaces are used up")
                }
                defer { structure.nextKeyspaceID += 1 }
                return structure.nextKeyspaceID
            }
            try append(VersionEdit([.keyspaceCreated(id, name: name, settings)]), to: writer)
            let state = makeTreeState(
                id: id, name: name, settings: settings, mergeOperator: mergeOperator, version: Version(keyspace: id))
            structure.withLock { $0.trees[id] = state }
            return state.tree
        }
    }

    /// A tree with an empty memtable.
    func makeTreeState(
        id: UInt32, name: String, settings: KeyspaceSettings, mergeOperator: (any MergeOperator)?, version: Version
    ) -> TreeState {
        let memtable = Memtable(capacity: memtableCapacity(), pool: arenas)
        var leases: [FileNumber: ObsoleteFiles.Lease] = [:]
        for file in version.blobFiles { leases[file.number] = ObsoleteFiles.Lease(file.number, files: obsoleteFiles) }
        let view = ReadView(
            memtables: [memtable], version: version, blobFiles: Array(leases.values), previous: nil)
        let tree = Tree(
            id: id, name: name, settings: settings, mergeOperator: mergeOperator, engineID: self.id, clock: clock,
            blobs: blobs, epochs: epochs, active: memtable, view: view)
        return TreeState(tree: tree, memtables: [memtable], version: version, blobFiles: leases)
    }

    private func change(_ tree: Tree, to options: KeyspaceOptions) throws(ApusError) {
        var settings = try KeyspaceSettings(options)
        let operatorName = tree.settings.mergeOperatorName
        // Operands that are there already can be read by the operator that they were written for only.
        if options.mergeOperator == nil { settings.mergeOperatorName = operatorName }
        guard operatorName.isEmpty || settings.mergeOperatorName == operatorName else {
            throw ApusError(
                .invalidArgument,
                "keyspace \"\(tree.name)\" has the merge operator \"\(operatorName)\", which cannot be changed to "
                    + "\"\(settings.mergeOperatorName)\"; drop it first")
        }
        guard settings.isEphemeral == tree.isEphemeral else {
            throw ApusError(
                .invalidArgument, "keyspace \"\(tree.name)\" cannot change between ephemeral and logged; drop it first")
        }
        if settings != tree.settings {
            try checkWritable()
            try record(VersionEdit([.keyspaceChanged(tree.id, settings)]), in: tree)
        }
        tree.configure(settings, mergeOperator: options.mergeOperator)
        // The style decides whether writers wait for compaction.
        structure.withLock { structure in
            if let state = structure.trees[tree.id] { updatePressure(state) }
        }
        structure.broadcast()
    }

    /// Removes a keyspace with everything in it. Runs as an exclusive request: no commit is half-way into it.
    func dropTree(named name: String) throws(ApusError) {
        try checkWritable()
        guard let tree = structure.withLock({ $0.tree(named: name)?.tree }) else {
            throw ApusError(.notFound, "there is no keyspace \"\(name)\"")
        }
        try pipeline.perform(
            CommitRequest(
                .exclusive { () throws(ApusError) in
                    try self.drop(tree)
                }))
        structure.broadcast()
        epochs.collect()
    }

    private func drop(_ tree: Tree) throws(ApusError) {
        try manifest.withLock { (manifest) throws(ApusError) in
            guard let writer = manifest else { throw ApusError(.closed, "the database is closed") }
            guard let state = structure.withLock({ $0.trees[tree.id] }) else { return }
            try append(VersionEdit([.keyspaceDropped(tree.id)]), to: writer)
            tree.markDropped()
            dropValueFile(of: tree.active)
            for memtable in state.sealed { memtable.valueFile?.lease.markObsolete() }
            structure.withLock { structure in _ = structure.trees.removeValue(forKey: tree.id) }
            for table in state.version.levels.joined() { table.markObsolete() }
            for lease in state.blobFiles.values { lease.markObsolete() }
            // The tree may live on in handles; its files and memory need not.
            tree.active = Memtable(capacity: 0, pool: nil)
            tree.replaceView(memtables: [], version: Version(keyspace: tree.id), blobFiles: [])
        }
    }
}

extension KeyspaceSettings {
    /// The settings that the options ask for; throws if they are out of range.
    init(_ options: KeyspaceOptions) throws(ApusError) {
        self.init()
        switch options.compression {
        case .none: (codec, bottomCodec) = (.none, .none)
        case .lz4: (codec, bottomCodec) = (.lz4, .lz4)
        case .lz4ThenZstd: (codec, bottomCodec) = (.lz4, .zstd)
        case .zstd: (codec, bottomCodec) = (.zstd, .zstd)
        }
        if let duration = options.timeToLive {
            timeToLive = duration.wholeMilliseconds
            guard timeToLive > 0 else { throw ApusError(.invalidArgument, "a time to live must be longer than zero") }
        }
        mergeOperatorName = options.mergeOperator?.name ?? ""
        guard mergeOperatorName.utf8.count <= 255 else {
            throw ApusError(.invalidArgument, "a merge operator's name has at most 255 bytes")
        }
        switch options.compaction {
        case .leveled:
            style = .leveled
        case .fifo(let maximumByteCount, let maximumAge):
            guard maximumByteCount > 0 else {
                throw ApusError(.invalidArgument, "a FIFO keyspace needs a maximum size above zero")
            }
            style = .fifo(
                maximumByteCount: UInt64(maximumByteCount), maximumAge: maximumAge?.wholeMilliseconds ?? 0)
        }
        guard (0...32).contains(options.filterBitsPerKey) else {
            throw ApusError(.invalidArgument, "filter bits per key range from 0 to 32, not \(options.filterBitsPerKey)")
        }
        filterBitsPerKey = UInt8(options.filterBitsPerKey)
        if let threshold = options.valueSeparationThreshold {
            guard (1...Limits.valueByteCount.upperBound).contains(threshold) else {
                throw ApusError(.invalidArgument, "a value separation threshold must be between 1 byte and 1 GiB")
            }
            separationThreshold = UInt32(threshold)
        }
        isEphemeral = options.isEphemeral
    }
}
