// Reads everything and believes nothing: every byte of every table and blob file, the order of every level and between
// levels, every reference to a separated value, the sealed part of the log, the manifest against the directory and
// against what the engine holds in memory. What cannot be read is a finding like damage: the rest is still checked.

import ApusIO

extension Engine {
    func verify() throws(ApusError) -> VerificationReport {
        var report = VerificationReport()
        let states = structure.withLock { $0.trees.values.sorted { $0.tree.id < $1.tree.id } }
        for state in states {
            try verify(state, &report)
        }
        try verifyDirectory(&report)
        try verifyLog(&report)
        return report
    }

    private func verify(_ state: TreeState, _ report: inout VerificationReport) throws(ApusError) {
        // Damaged files are reported once, here: what depends on them is checked in the others.
        var damagedTables: Set<FileNumber> = []
        var unreadableBlobFiles: Set<FileNumber> = []
        for (level, tables) in state.version.levels.enumerated() {
            for table in tables {
                try checkOpen()
                var problems: [ApusError] = []
                do throws(ApusError) {
                    try table.verify { problems.append($0) }
                } catch {
                    problems.append(error)
                }
                if !problems.isEmpty { damagedTables.insert(table.metadata.number) }
                report.problems += problems
                report.tables += 1
                report.byteCount += table.metadata.byteCount
                report.entries += table.metadata.entryCount
            }
            if level > 0 { checkOrder(tables.map(\.metadata), level, state.tree.name, &report) }
        }
        for file in state.version.blobFiles {
            try checkOpen()
            var problems: [ApusError] = []
            do throws(ApusError) {
                try file.verify(fileSystem: environment.fileSystem, path: path(.blob(file.number))) {
                    problems.append($0)
                }
            } catch {
                problems.append(error)
            }
            if problems.contains(where: { $0.kind != .corruption }) { unreadableBlobFiles.insert(file.number) }
            report.problems += problems
            report.blobFiles += 1
            report.byteCount += file.byteCount
        }
        checkBlobReferences(state, &report)
        try checkOpen()
        var verifier = EntryVerifier(
            state.version, keyspace: state.tree.name, without: damagedTables, unreadableBlobFiles, blobs)
        verifier.run { report.problems.append($0) }
    }

    /// From level 1 on no two tables may share a key.
    private func checkOrder(
        _ tables: [TableMetadata], _ level: Int, _ keyspace: String, _ report: inout VerificationReport
    ) {
        for (upper, lower) in zip(tables, tables.dropFirst())
        where !lower.smallest.withUnsafeBytes({ upper.ends(before: $0) }) {
            report.problems.append(
                .corruption(
                    "tables \(upper.number) and \(lower.number) of level \(level) of keyspace \"\(keyspace)\" overlap",
                    file: path(.table(lower.number))))
        }
    }

    private func checkBlobReferences(_ state: TreeState, _ report: inout VerificationReport) {
        let files = Dictionary(uniqueKeysWithValues: state.version.blobFiles.map { ($0.number, $0) })
        for (number, byteCount) in BlobCollector.liveByteCounts(state.summary) {
            guard let file = files[number] else {
                report.problems.append(
                    .corruption(
                        "tables of keyspace \"\(state.tree.name)\" refer to a blob file that is not there",
                        file: path(.blob(number))))
                continue
            }
            if byteCount > file.recordByteCount {
                report.problems.append(
                    .corruption("more bytes are referred to than the file holds", file: path(.blob(number))))
            }
        }
    }

    /// Reads the manifest back and compares it with the directory and with memory. The manifest's lock keeps both from
    /// changing meanwhile.
    private func verifyDirectory(_ report: inout VerificationReport) throws(ApusError) {
        try manifest.withLock { (manifest) throws(ApusError) in
            do throws(ApusError) {
                let content = try RecoveredState.read(directory: directory, fileSystem: environment.fileSystem)
                guard case .database(let found) = content else {
                    report.problems.append(.corruption("CURRENT is gone", file: path(.current)))
                    return
                }
                report.foreignNames = found.foreignNames
                report.leftovers =
                    isReadOnly
                    ? try found.leftovers(in: directory, on: environment.fileSystem).map(\.string) : []
                if let manifest, manifest.state.keyspaces != found.manifest.keyspaces {
                    report.problems.append(
                        .corruption(
                            "the manifest on disk is not what was written to it", file: path(.manifest(manifest.number))
                        ))
                }
                var state = found.manifest
                if isReadOnly { state.emptyWhatTheCrashHalved() }
                checkVersions(state, &report)
            } catch {
                report.problems.append(error)
            }
        }
    }

    private var isReadOnly: Bool { options.isReadOnly }

    private func checkVersions(_ state: ManifestState, _ report: inout VerificationReport) {
        let trees = structure.withLock { $0.trees }
        for (id, keyspace) in state.keyspaces {
            guard let tree = trees[id] else {
                report.problems.append(
                    .corruption("keyspace \"\(keyspace.name)\" is in the manifest only", file: path(.current)))
                continue
            }
            if tree.version.levels.map({ $0.map(\.metadata) }) != keyspace.levels {
                report.problems.append(
                    .corruption(
                        "the tables of keyspace \"\(keyspace.name)\" are not those of the manifest",
                        file: path(.current)))
            }
        }
    }

    /// The log is read only when nobody writes it: the segment in use ends somewhere in the middle of a commit.
    private func verifyLog(_ report: inout VerificationReport) throws(ApusError) {
        guard isReadOnly else {
            report.logSegments = committer.log?.segments.count ?? 0
            return
        }
        guard
            case .database(let found) = try? RecoveredState.read(
                directory: directory, fileSystem: environment.fileSystem)
        else { return }
        do throws(ApusError) {
            let replay = LogReplay(
                directory: directory, fileSystem: environment.fileSystem, manifest: found.manifest)
            let result = try replay.run { (_, payload) throws(ApusError) in
                do throws(DecodingFailure) {
                    var cursor = try BatchCursor(payload)
                    while try cursor.next() != nil {}
                } catch {
                    throw .corruption("a batch of the log: \(error.what)", file: directory)
                }
            }
            report.byteCount += result.byteCount
            report.discardedLogByteCount = result.discardedByteCount
            report.logSegments = found.manifest.logs.count
        } catch {
            report.problems.append(error)
        }
    }
}
