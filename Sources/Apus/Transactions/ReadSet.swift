// What a transaction has read, and the check that nothing of it has changed since.

import ApusIO

struct ReadSet {
    private struct Reads {
        let tree: Tree
        var keys = KeySet()
        var ranges: [KeyRange] = []
    }

    /// Few: a transaction reads a handful of keyspaces.
    private var trees: [Reads] = []

    mutating func add(key: UnsafeRawBufferPointer, in tree: Tree) {
        trees[position(of: tree)].keys.insert(key)
    }

    mutating func add(range: KeyRange, in tree: Tree) {
        trees[position(of: tree)].ranges.append(range)
    }

    private mutating func position(of tree: Tree) -> Int {
        if let known = trees.firstIndex(where: { $0.tree === tree }) { return known }
        trees.append(Reads(tree: tree))
        return trees.count - 1
    }

    /// Throws `conflict` if any key or range read has an entry newer than `snapshot`. Runs while no commit is in
    /// progress.
    func validate(since snapshot: SequenceNumber, engine: Engine) throws(ApusError) {
        // Nearly always nobody has committed anything since.
        if engine.visibleSequence == snapshot { return }
        for reads in trees {
            try reads.keys.visit { (key) throws(ApusError) in
                if try engine.hasChange(of: key, newerThan: snapshot, in: reads.tree) {
                    throw Self.conflict(reads.tree)
                }
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
