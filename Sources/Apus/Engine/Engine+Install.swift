// Changing what a keyspace consists of: the edit becomes durable in the manifest first, then readers see it, then
// files that it dropped may go. In that order, so that a crash in between leaves at worst files nobody needs.

import ApusIO
import Synchronization

extension Engine {
    /// Makes `edit` durable and applies it to the keyspace `id`.
    ///
    /// - Parameters:
    ///   - edit: changes of that keyspace only.
    ///   - update: further changes of the keyspace's state that readers must see together with the new version.
    /// - Throws: what the manifest threw; writes are refused from then on, unless the device is full. `closed` if the
    ///   keyspace was dropped meanwhile: the caller removes the files it made.
    func install(
        _ edit: VersionEdit, in id: UInt32, _ update: (inout TreeState) -> Void
    ) throws(ApusError) {
        try manifest.withLock { (manifest) throws(ApusError) in
            guard let writer = manifest else { throw ApusError(.closed, "the database is closed") }
            let state = structure.withLock { $0.trees[id] }
            guard let state else { throw ApusError(.closed, "the keyspace was dropped") }
            var builder = VersionBuilder(state.version, path: path(.manifest(writer.number)))
            try builder.apply(edit)
            let version = try builder.build { self.makeTable($0) }
            if tuning.checksVersions { Invariants.check(version, "\(edit)") }
            var complete = edit
            complete.changes.append(.nextFileNumber(nextFileNumber.next))
            try append(complete, to: writer)
            let unreferenced = publish(version, in: id, update)
            markObsolete(edit, in: state, unreferenced)
        }
        structure.broadcast()
        // The view that was replaced holds memtables and files: they go now, or, if a reader is in the middle of a
        // lookup, with the next change.
        epochs.collect()
    }

    /// Appends an edit that concerns no tables. Throws `closed` if it is about a `tree` that was dropped meanwhile.
    func record(_ edit: VersionEdit, in tree: Tree? = nil) throws(ApusError) {
        try manifest.withLock { (manifest) throws(ApusError) in
            guard let writer = manifest else { throw ApusError(.closed, "the database is closed") }
            if let tree, structure.withLock({ $0.trees[tree.id] == nil }) {
                throw ApusError(.closed, "keyspace \"\(tree.name)\" was dropped")
            }
            try append(edit, to: writer)
        }
    }

    /// With the manifest's lock held. A failure other than a full device is final for writes.
    func append(_ edit: VersionEdit, to writer: ManifestWriter) throws(ApusError) {
        do throws(ApusError) {
            try writer.append(edit)
        } catch {
            if error.kind != .outOfSpace { fail(error) }
            throw error
        }
    }

    func publish(
        _ version: Version, in id: UInt32, _ update: (inout TreeState) -> Void
    ) -> [ObsoleteFiles.Lease] {
        structure.withLock { structure in
            update(&structure.trees[id]!)
            structure.trees[id]!.version = version
            var leases = structure.trees[id]!.blobFiles
            let live = Set(version.blobFiles.map(\.number))
            for number in live where leases[number] == nil {
                leases[number] = ObsoleteFiles.Lease(number, files: obsoleteFiles)
            }
            let unreferenced = leases.values.filter { !live.contains($0.number) }
            structure.trees[id]!.blobFiles = leases.filter { live.contains($0.key) }
            structure.trees[id]!.publish()
            updatePressure(structure.trees[id]!)
            weigh(structure)
            return unreferenced
        }
    }

    /// Gives the block cache what the memtables, and arenas kept for the next ones, leave free.
    func weigh(_ structure: Structure) {
        let memtables = structure.trees.values.reduce(0) { total, state in
            state.memtables.reduce(total) { $0 + $1.byteCount }
        }
        cache.setCapacity(tuning.cacheByteCount(memtables: memtables + arenas.byteCount))
    }

    private func markObsolete(_ edit: VersionEdit, in state: TreeState, _ blobFiles: [ObsoleteFiles.Lease]) {
        var removed = Set<FileNumber>()
        var added = Set<FileNumber>()
        for change in edit.changes {
            if case .tableRemoved(_, _, let number) = change { removed.insert(number) }
            if case .tableAdded(_, _, let metadata) = change { added.insert(metadata.number) }
        }
        for table in state.version.levels.joined()
        where removed.contains(table.metadata.number) && !added.contains(table.metadata.number) {
            table.markObsolete()
        }
        for lease in blobFiles { lease.markObsolete() }
    }

    func updatePressure(_ state: TreeState) {
        let pressure = WriteThrottle.pressure(
            levelZeroCount: state.tree.settings.style == .leveled ? state.version.levels[0].count : 0,
            debt: state.tree.settings.style == .leveled
                ? CompactionPicker(policy: tuning.levels).debt(state.summary) : 0,
            limits: tuning)
        state.tree.pressure.store(pressure, ordering: .relaxed)
    }

    func makeTable(_ metadata: TableMetadata) -> Table {
        Table(metadata: metadata, path: path(.table(metadata.number)), context: tableContext)
    }
}
