// Everything a simulated disk knows, as one value behind its lock; copying the value copies the disk. What each call
// does is here; the protocol's face is SimulatedDisk.swift and SimulatedFile.swift.

import ApusIO

struct DiskState: Sendable {
    enum LockState: Sendable {
        case exclusive
        case shared(Int)
    }

    /// More than any test writes; a wild offset is an error instead of an exhausted memory.
    static let maximumFileByteCount: UInt64 = 1 << 30

    var names = NameTree()
    var files: [Int: FileContent] = [:]
    private var nextNode = NameTree.root + 1
    /// Open handles by node: an open file lives on without a name.
    var openCounts: [Int: Int] = [:]
    var locks: [Int: LockState] = [:]

    var generator: SeededGenerator
    let clock: SimulatedClock
    /// Bytes that fit, nil if there is no limit.
    var capacity: UInt64?

    /// Counts the starts of the machine; handles of earlier ones are dead.
    var generation = 0
    var isStopped = false
    var operationCount = 0
    var mutationCount = 0
    var faults: [Fault] = []
    var struckCount = 0
    var trace: [DiskOperation]?

    init(seed: UInt64, clock: SimulatedClock, capacity: UInt64?) {
        generator = SeededGenerator(seed: seed)
        self.clock = clock
        self.capacity = capacity
    }

    /// Takes over what the other disk holds, unsynced changes included.
    mutating func adopt(_ other: DiskState) {
        names = other.names
        files = other.files
        nextNode = other.nextNode
        startAgain()
    }

    // MARK: - Calls and faults

    /// Counts and records a call, and strikes it with the faults it meets. Returns what is left for the call to do
    /// about them.
    mutating func begin(
        _ kind: IOError.Operation,
        _ path: String,
        offset: UInt64 = 0,
        byteCount: UInt64 = 0,
        isMutation: Bool
    ) throws(IOError) -> Fault.Effect? {
        if isStopped { throw Self.stopped(kind, path) }
        let operation = DiskOperation(
            index: operationCount,
            kind: kind,
            path: path,
            offset: offset,
            byteCount: byteCount,
            isMutation: isMutation
        )
        operationCount += 1
        if isMutation { mutationCount += 1 }
        trace?.append(operation)
        for index in faults.indices where faults[index].strikes(operation, &generator) {
            struckCount += 1
            switch faults[index].effect {
            case .fail(let code): throw IOError(kind, path: path, code: code, detail: "injected")
            case .delay(let nanoseconds): clock.advance(nanoseconds: nanoseconds)
            case let effect: return effect
            }
        }
        return nil
    }

    static func stopped(_ kind: IOError.Operation, _ path: String) -> IOError {
        IOError(kind, path: path, code: ErrorCode.inputOutput, detail: "the simulated machine has stopped")
    }

    // MARK: - Paths

    struct Place {
        var directory: Int
        var name: String
    }

    /// The parts of a path; `.` and `..` are resolved, and a relative path starts at the root.
    private static func parts(_ path: String) -> [String] {
        var parts: [String] = []
        for part in path.utf8.split(separator: UInt8(ascii: "/")) {
            switch String(part) ?? "" {
            case ".": break
            case "..": _ = parts.popLast()
            case let name: parts.append(name)
            }
        }
        return parts
    }

    func node(at path: String) -> Int? {
        var node = NameTree.root
        for part in Self.parts(path) {
            guard let child = names.node(part, in: node) else { return nil }
            node = child
        }
        return node
    }

    /// Where a name stands or would stand. The directory must exist.
    func place(of path: String, _ kind: IOError.Operation) throws(IOError) -> Place {
        var parts = Self.parts(path)
        guard let name = parts.popLast() else { throw IOError(kind, path: path, code: ErrorCode.invalidArgument) }
        var directory = NameTree.root
        for part in parts {
            guard let child = names.node(part, in: directory) else {
                throw IOError(kind, path: path, code: ErrorCode.notFound)
            }
            guard names.isDirectory(child) else { throw IOError(kind, path: path, code: ErrorCode.notADirectory) }
            directory = child
        }
        return Place(directory: directory, name: name)
    }

    // MARK: - Names

    mutating func addNode(at place: Place) -> Int {
        let node = nextNode
        nextNode += 1
        names.apply(NameOperation(changes: [NameChange(directory: place.directory, name: place.name, node: node)]))
        return node
    }

    mutating func createFile(at place: Place) -> Int {
        let node = addNode(at: place)
        files[node] = FileContent()
        return node
    }

    mutating func open(_ path: String, _ mode: FileMode) throws(IOError) -> Int {
        let place = try place(of: path, .open)
        let existing = names.node(place.name, in: place.directory)
        let node: Int
        switch (mode, existing) {
        case (.create, nil): node = createFile(at: place)
        case (.create, _): throw IOError(.open, path: path, code: ErrorCode.alreadyExists)
        case (_, nil): throw IOError(.open, path: path, code: ErrorCode.notFound)
        case (_, let found?): node = found
        }
        if names.isDirectory(node) { throw IOError(.open, path: path, code: ErrorCode.isADirectory) }
        openCounts[node, default: 0] += 1
        return node
    }

    /// A handle is given back.
    mutating func release(_ node: Int) {
        guard let count = openCounts[node] else { return }
        openCounts[node] = count > 1 ? count - 1 : nil
    }

    mutating func createDirectory(_ path: String) throws(IOError) {
        if node(at: path) != nil { throw IOError(.createDirectory, path: path, code: ErrorCode.alreadyExists) }
        names.addDirectory(addNode(at: try place(of: path, .createDirectory)))
    }

    mutating func rename(_ path: String, to target: String) throws(IOError) {
        let from = try place(of: path, .rename)
        let to = try place(of: target, .rename)
        guard let node = names.node(from.name, in: from.directory) else {
            throw IOError(.rename, path: path, code: ErrorCode.notFound)
        }
        if let replaced = names.node(to.name, in: to.directory) {
            if replaced == node { return }
            switch (names.isDirectory(node), names.isDirectory(replaced)) {
            case (false, true): throw IOError(.rename, path: path, code: ErrorCode.isADirectory)
            case (true, false): throw IOError(.rename, path: path, code: ErrorCode.notADirectory)
            case (true, true) where !names.names(in: replaced).isEmpty:
                throw IOError(.rename, path: path, code: ErrorCode.notEmpty)
            default: break
            }
        }
        names.apply(
            NameOperation(changes: [
                NameChange(directory: to.directory, name: to.name, node: node),
                NameChange(directory: from.directory, name: from.name, node: nil),
            ])
        )
    }

    mutating func remove(_ path: String) throws(IOError) {
        let place = try place(of: path, .remove)
        guard let node = names.node(place.name, in: place.directory) else {
            throw IOError(.remove, path: path, code: ErrorCode.notFound)
        }
        guard names.names(in: node).isEmpty else { throw IOError(.remove, path: path, code: ErrorCode.notEmpty) }
        names.apply(NameOperation(changes: [NameChange(directory: place.directory, name: place.name, node: nil)]))
    }

    func directory(_ path: String, _ kind: IOError.Operation) throws(IOError) -> Int {
        guard let node = node(at: path) else { throw IOError(kind, path: path, code: ErrorCode.notFound) }
        guard names.isDirectory(node) else { throw IOError(kind, path: path, code: ErrorCode.notADirectory) }
        return node
    }

    /// Lets go of what nothing leads to any more.
    mutating func collect() {
        let reached = names.collect()
        files = files.filter { reached.contains($0.key) || openCounts[$0.key] != nil }
    }

    // MARK: - Space

    /// Bytes in files that have a name or are open.
    var usedByteCount: UInt64 {
        let named = names.named
        return files.reduce(0) { sum, file in
            named.contains(file.key) || openCounts[file.key] != nil ? sum + UInt64(file.value.bytes.count) : sum
        }
    }

    /// How long a file may become, up to `wanted`.
    func room(for wanted: Int, now length: Int) -> Int {
        guard let capacity, wanted > length else { return wanted }
        let used = usedByteCount
        return min(wanted, length + Int(clamping: capacity > used ? capacity - used : 0))
    }

    // MARK: - Power

    /// The machine starts again: whatever ran is gone, with its handles and locks.
    mutating func startAgain() {
        generation += 1
        isStopped = false
        openCounts = [:]
        locks = [:]
        collect()
    }

    mutating func crash(_ mode: CrashMode) {
        names.crash(mode, &generator)
        let survival: Survival =
            switch mode {
            case .dropAll: .nothing
            case .keepAll: .everything
            case .orderedNames, .anyNames: .some
            }
        for node in files.keys.sorted() { files[node]?.crash(survival, &generator) }
        startAgain()
    }
}
