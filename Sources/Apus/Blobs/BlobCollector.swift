// Garbage in blob files, from the figures in the manifest alone. A table says how many bytes of which blob file it
// refers to; what no table refers to is garbage. A file without references is dropped. A file that is mostly garbage
// is emptied: compactions of the tables that refer to it write its live values elsewhere, until nothing refers to it.

enum BlobCollector {
    /// Below this percentage of live bytes a file is emptied.
    static let livePercentage: UInt64 = 50

    /// Live bytes per blob file. Files that nothing refers to are absent.
    static func liveByteCounts(_ tree: TreeSummary) -> [FileNumber: UInt64] {
        var live: [FileNumber: UInt64] = [:]
        for level in tree.levels {
            for table in level {
                for share in table.blobReferences { live[share.file] = (live[share.file] ?? 0).added(share.byteCount) }
            }
        }
        return live
    }

    /// Files that no table refers to. They can go with the edit that takes the last reference away.
    static func unreferenced(_ tree: TreeSummary) -> [FileNumber] {
        guard !tree.blobFiles.isEmpty else { return [] }
        let live = liveByteCounts(tree)
        return tree.blobFiles.map(\.number).filter { live[$0] == nil }
    }

    /// Files to be emptied. The newest file is left alone: it was written a moment ago, and what refers to it is about
    /// to be compacted anyway.
    static func collected(_ tree: TreeSummary) -> Set<FileNumber> {
        guard let newest = tree.blobFiles.map(\.number).max() else { return [] }
        let live = liveByteCounts(tree)
        var collected: Set<FileNumber> = []
        for file in tree.blobFiles where file.number != newest {
            let liveBytes = live[file.number] ?? 0
            if Double(liveBytes) * 100 < Double(file.recordByteCount) * Double(livePercentage) {
                collected.insert(file.number)
            }
        }
        return collected
    }
}
