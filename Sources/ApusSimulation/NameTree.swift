// The simulated disk's directories: which name stands for which file now, which would after a crash, and the changes in
// between. Files and directories are known by number, so that open files outlive their names.

/// One entry of a directory set or (nil) removed.
struct NameChange: Sendable {
    var directory: Int
    var name: String
    var node: Int?
}

/// Changes that reach the disk together: a rename sets one name and removes another, or does neither.
struct NameOperation: Sendable {
    var changes: [NameChange]
}

struct NameTree: Sendable {
    private struct Directory: Sendable {
        var current: [String: Int] = [:]
        var durable: [String: Int] = [:]
    }

    /// The root's number; every other node was created by an operation.
    static let root = 0

    private var directories: [Int: Directory] = [root: Directory()]
    /// Operations that no directory sync has made durable, oldest first.
    private(set) var unsynced: [NameOperation] = []

    func isDirectory(_ node: Int) -> Bool {
        directories[node] != nil
    }

    func node(_ name: String, in directory: Int) -> Int? {
        directories[directory]?.current[name]
    }

    /// The names in a directory, sorted: a dictionary's own order differs from run to run.
    func names(in directory: Int) -> [String] {
        directories[directory]?.current.keys.sorted() ?? []
    }

    mutating func addDirectory(_ node: Int) {
        directories[node] = Directory()
    }

    mutating func apply(_ operation: NameOperation) {
        for change in operation.changes { directories[change.directory]?.current[change.name] = change.node }
        unsynced.append(operation)
    }

    /// Makes the changes of one directory durable. An operation goes whole, and with it everything earlier in the
    /// directories it touches: a journal is written in order.
    mutating func synchronize(_ directory: Int) {
        var reached: Set<Int> = [directory]
        var durable: [NameOperation] = []
        var rest: [NameOperation] = []
        for operation in unsynced.reversed() {
            if operation.changes.contains(where: { reached.contains($0.directory) }) {
                for change in operation.changes { reached.insert(change.directory) }
                durable.append(operation)
            } else {
                rest.append(operation)
            }
        }
        for operation in durable.reversed() { applyDurably(operation) }
        unsynced = rest.reversed()
    }

    private mutating func applyDurably(_ operation: NameOperation) {
        for change in operation.changes { directories[change.directory]?.durable[change.name] = change.node }
    }

    /// Makes one change durable at once.
    mutating func settle(_ change: NameChange) {
        directories[change.directory]?.current[change.name] = change.node
        directories[change.directory]?.durable[change.name] = change.node
        for index in unsynced.indices {
            unsynced[index].changes.removeAll { $0.directory == change.directory && $0.name == change.name }
        }
    }

    /// A power loss: which of the unsynced operations survive, by the rules of a file system.
    mutating func crash(_ mode: CrashMode, _ generator: inout SeededGenerator) {
        switch mode {
        case .dropAll: break
        case .keepAll: keepAll()
        case .orderedNames: keepPrefixes(&generator)
        case .anyNames: keepSubset(&generator)
        }
        unsynced = []
        directories = directories.mapValues { Directory(current: $0.durable, durable: $0.durable) }
    }

    private mutating func keepAll() {
        for operation in unsynced { applyDurably(operation) }
    }

    /// Of each directory's operations the first few survive.
    private mutating func keepPrefixes(_ generator: inout SeededGenerator) {
        var left: [Int: Int] = [:]
        for operation in unsynced {
            for change in operation.changes { left[change.directory, default: 0] += 1 }
        }
        for directory in left.keys.sorted() { left[directory] = generator.below((left[directory] ?? 0) + 1) }
        for operation in unsynced {
            let survives = operation.changes.allSatisfy { left[$0.directory, default: 0] > 0 }
            for change in operation.changes {
                left[change.directory] = survives ? left[change.directory, default: 1] - 1 : 0
            }
            if survives { applyDurably(operation) }
        }
    }

    private mutating func keepSubset(_ generator: inout SeededGenerator) {
        let probability = [0.1, 0.5, 0.9][generator.below(3)]
        for operation in unsynced where generator.chance(probability) { applyDurably(operation) }
    }

    /// Forgets directories that neither a name nor an unsynced change can lead to any more, and returns every node
    /// that can still be reached.
    mutating func collect() -> Set<Int> {
        var reached: Set<Int> = [Self.root]
        var queue = [Self.root]
        func visit(_ node: Int?) {
            if let node, reached.insert(node).inserted { queue.append(node) }
        }
        for operation in unsynced {
            for change in operation.changes { visit(change.node) }
        }
        while let node = queue.popLast() {
            guard let directory = directories[node] else { continue }
            for child in directory.current.values { visit(child) }
            for child in directory.durable.values { visit(child) }
        }
        directories = directories.filter { reached.contains($0.key) }
        return reached
    }

    /// Every node that has a name now.
    var named: Set<Int> {
        directories.values.reduce(into: []) { $0.formUnion($1.current.values) }
    }

    /// The path and node of everything that has a name now, a directory before what is in it.
    var paths: [(path: String, node: Int)] {
        var found: [(path: String, node: Int)] = []
        func visit(_ directory: Int, _ path: String) {
            for name in names(in: directory) {
                guard let node = node(name, in: directory) else { continue }
                found.append((path + "/" + name, node))
                visit(node, path + "/" + name)
            }
        }
        visit(Self.root, "")
        return found
    }
}
