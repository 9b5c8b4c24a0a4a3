// A disk in memory that keeps exactly what POSIX promises to keep, and loses the rest when a test cuts the power.

import ApusIO

/// What of the unsynced names survives a power loss. Unsynced bytes survive by sectors of 512, in any mix.
public enum CrashMode: Sendable, CaseIterable {
    /// Nothing that was not synced.
    case dropAll
    /// Everything, as if all of it had just been written back.
    case keepAll
    /// In each directory the first few of its changes, as on file systems that journal them in order (ext4).
    case orderedNames
    /// Any subset of the changes: all that POSIX promises.
    case anyNames
}

/// A file system in memory for tests: it tracks what was synced, loses what was not, and fails on request.
///
/// Everything follows from the seed and the order of the calls. Thread-safe.
///
/// ```swift
/// let disk = SimulatedDisk(seed: 7)
/// …                                    // open a database on it, write, and
/// disk.crash(.anyNames)                // cut the power: open files and locks die with the process
/// …                                    // open it again: is everything there that was acknowledged?
/// ```
public final class SimulatedDisk: FileSystem {
    let state: Monitor<DiskState>

    /// An empty disk. `capacity` limits the sum of all file lengths.
    public init(seed: UInt64, clock: SimulatedClock = SimulatedClock(), capacity: UInt64? = nil) {
        state = Monitor(DiskState(seed: seed, clock: clock, capacity: capacity))
    }

    private init(_ state: DiskState) {
        self.state = Monitor(state)
    }

    /// Makes one call: counts it, lets faults strike it, does its work.
    func perform<Result: Sendable>(
        _ kind: IOError.Operation,
        _ path: String,
        offset: UInt64 = 0,
        byteCount: UInt64 = 0,
        isMutation: Bool,
        generation: Int? = nil,
        ignored: Result? = nil,
        _ body: (inout DiskState, Fault.Effect?) throws(IOError) -> Result
    ) throws(IOError) -> Result {
        try state.withLock { state throws(IOError) in
            if let generation, generation != state.generation { throw DiskState.stopped(kind, path) }
            let effect = try state.begin(
                kind,
                path,
                offset: offset,
                byteCount: byteCount,
                isMutation: isMutation
            )
            let isSync = kind == .synchronize || kind == .synchronizeDirectory
            switch effect {
            case .ignore:
                if let ignored { return ignored }
            case .failDroppingUnsynced(let code) where kind != .synchronize,
                .failHalfway(let code) where kind != .write && kind != .allocate:
                throw IOError(kind, path: path, code: code, detail: "injected")
            case .stop:
                // What the call changes is there, but unsynced: the crash decides how much of it. A sync that the
                // power loss cuts off has promised nothing.
                state.isStopped = true
                if isMutation, !isSync { _ = try body(&state, nil) }
                throw DiskState.stopped(kind, path)
            default: break
            }
            let result = try body(&state, effect)
            if case .failAfterwards(let code) = effect {
                throw IOError(kind, path: path, code: code, detail: "injected")
            }
            return result
        }
    }

    // MARK: - FileSystem

    public func open(_ path: String, _ mode: FileMode) throws(IOError) -> any File {
        let (node, generation) = try perform(.open, path, isMutation: mode == .create) {
            state,
            effect throws(IOError) -> (Int, Int) in
            let node = try state.open(path, mode)
            // Whoever gets an error has no handle that could be closed.
            if case .failAfterwards = effect { state.release(node) }
            return (node, state.generation)
        }
        return SimulatedFile(
            disk: self,
            node: node,
            generation: generation,
            path: path,
            isWritable: mode != .read
        )
    }

    public func createDirectory(_ path: String) throws(IOError) {
        try perform(.createDirectory, path, isMutation: true, ignored: ()) { state, _ throws(IOError) in
            try state.createDirectory(path)
        }
    }

    public func list(_ directory: String) throws(IOError) -> [String] {
        try perform(.list, directory, isMutation: false) { state, _ throws(IOError) -> [String] in
            // Shuffled, because no file system promises an order.
            let names = state.names.names(in: try state.directory(directory, .list))
            return names.shuffled(using: &state.generator)
        }
    }

    public func status(of path: String) throws(IOError) -> FileStatus? {
        try perform(.status, path, isMutation: false) { state, _ throws(IOError) -> FileStatus? in
            guard let node = state.node(at: path) else { return nil }
            let isDirectory = state.names.isDirectory(node)
            return FileStatus(isDirectory: isDirectory, byteCount: UInt64(state.files[node]?.bytes.count ?? 0))
        }
    }

    public func rename(_ path: String, to target: String) throws(IOError) {
        try perform(.rename, path, isMutation: true, ignored: ()) { state, _ throws(IOError) in
            try state.rename(path, to: target)
        }
    }

    public func remove(_ path: String) throws(IOError) {
        try perform(.remove, path, isMutation: true, ignored: ()) { state, _ throws(IOError) in
            try state.remove(path)
        }
    }

    public func synchronizeDirectory(_ path: String) throws(IOError) {
        try perform(.synchronizeDirectory, path, isMutation: true, ignored: ()) { state, _ throws(IOError) in
            state.names.synchronize(try state.directory(path, .synchronizeDirectory))
            state.collect()
        }
    }

    public func lock(_ path: String, exclusive: Bool, holder: String) throws(IOError) -> any FileLock {
        let (node, generation) = try perform(.lock, path, isMutation: exclusive) {
            state,
            effect throws(IOError) -> (Int?, Int) in
            let node = try state.lock(path, exclusive: exclusive, holder: holder)
            if case .failAfterwards = effect, let node { state.unlock(node) }
            return (node, state.generation)
        }
        return SimulatedLock(disk: self, node: node, generation: generation)
    }

    // MARK: - Power

    /// Cuts the power and starts again: unsynced bytes and names survive or not as `mode` and the seed say; open
    /// files and locks are gone, and what still holds them gets errors.
    public func crash(_ mode: CrashMode = .anyNames) {
        state.withLock { $0.crash(mode) }
    }

    /// Kills the process, not the machine: everything written is still there (and still unsynced), open files and
    /// locks are gone.
    public func restart() {
        state.withLock { $0.startAgain() }
    }

    /// A disk in the same state, with its unsynced changes, but without open files, locks, faults and counts; with a
    /// seed of its own, so that one state can be crashed in many ways.
    public func clone(seed: UInt64, clock: SimulatedClock = SimulatedClock()) -> SimulatedDisk {
        let old = state.withLock { $0 }
        var new = DiskState(seed: seed, clock: clock, capacity: old.capacity)
        new.adopt(old)
        return SimulatedDisk(new)
    }

    // MARK: - Limits, faults and observation

    /// The sum of all file lengths beyond which there is no space; nil for no limit.
    public var capacity: UInt64? {
        get { state.withLock { $0.capacity } }
        set { state.withLock { $0.capacity = newValue } }
    }

    public var usedByteCount: UInt64 { state.withLock { $0.usedByteCount } }

    /// Files that are open now, counted once per handle.
    public var openFileCount: Int { state.withLock { $0.openCounts.values.reduce(0, +) } }

    /// Adds a fault; of several that strike the same call the first added wins (delays add up).
    public func inject(_ fault: Fault) {
        state.withLock { $0.faults.append(fault) }
    }

    public func removeFaults() {
        state.withLock { $0.faults = [] }
    }

    /// How often faults have struck.
    public var struckFaultCount: Int { state.withLock { $0.struckCount } }

    /// True after a `Fault.Effect.stop`, until `crash` or `restart`.
    public var isStopped: Bool { state.withLock { $0.isStopped } }

    /// Calls so far. Closing a file is not counted.
    public var operationCount: Int { state.withLock { $0.operationCount } }

    /// Calls so far that may change what a crash leaves.
    public var mutationCount: Int { state.withLock { $0.mutationCount } }

    /// Records every call from here on.
    public func startTrace() {
        state.withLock { $0.trace = [] }
    }

    /// The calls since `startTrace`, which ends.
    public func endTrace() -> [DiskOperation] {
        state.withLock { state in
            defer { state.trace = nil }
            return state.trace ?? []
        }
    }
}
