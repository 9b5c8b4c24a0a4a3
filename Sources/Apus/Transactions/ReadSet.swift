// What a transaction has read, and the check that nothing of it has changed since.

import ApusIO

struct ReadSet {
    private struct Reads {
        let tree: Tree
        var keys: Set<[UInt8]> = []
        var ranges: [KeyRange] = []
    }

    private var trees: [UInt32: Reads] = [:]

    mutating func add(key: UnsafeRawBufferPointer, in tree: Tree) {
        trees[tree.id, default: Reads(tree: tree)].keys.insert([UInt8](key))
    }

    mutating func add(range: KeyRange, in tree: Tree) {
        trees[tree.id, default: Reads(tree: tree)].ranges.append(range)
    }

    /// Throws `conflict` if any key or range read has an entry newer than `snapshot`. Runs while no commit is in
    /// progress.
    func validate(since snapshot: SequenceNumber, engine: Engine) throws(ApusError) {
        for reads in trees.values {
            for key in reads.keys {
                let newest = try key.withBytes { (key) throws(ApusError) in
                    try engine.newestSequence(of: key, in: reads.tree)
                }
                if newest > snapshot { throw Self.conflict(reads.tree) }
            }
            for range in reads.ranges where try engine.hasEntry(in: range, newerThan: snapshot, tree: reads.tree) {
                throw Self.conflict(reads.tree)
            }
        }
    }

    private static func conflict(_ tree: Tree) -> ApusError {
        ApusError(
            .conflict, "another commit changed what this transaction read in keyspace \"\(tree.name)\"; run it again")
    }
}
