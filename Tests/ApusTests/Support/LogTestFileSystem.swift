// A disk in memory that knows what is durable: bytes after a sync of their file, names after a sync of their
// directory. `crashed` is what a power loss could leave; `fail` makes calls fail.

import ApusIO

/// A small deterministic random source (SplitMix64).
/// A call that failed, or is about to be made.
struct TestCall: Sendable, Equatable {
    var operation: IOError.Operation
    /// Last component of the path.
    var name: String
}

final class LogTestFileSystem: FileSystem {
    /// What goes wrong with a call.
    struct Fault: Sendable {
        var code: Int32
        /// For a write: half of it is done all the same.
        var isPartial = false
        static let inputOutput = Fault(code: 5)
        static let noSpace = Fault(code: 28)
        static let partial = Fault(code: 5, isPartial: true)
    }

    final class Inode: @unchecked Sendable {
        var bytes: [UInt8] = []
        var durable: [UInt8] = []
    }

    enum NameChange {
        case link(String, Inode)
        case unlink(String)
        case rename(String, String)
    }

    struct State {
        var directories: Set<String> = ["", ".", "/"]
        var names: [String: Inode] = [:]
        var durableNames: [String: Inode] = [:]
        var changes: [NameChange] = []
        var calls: [TestCall] = []
        var fail: ((TestCall, Int) -> Fault?)?
    }

    let state = Monitor(State())

    var calls: [TestCall] { state.withLock { $0.calls } }
    var fileNames: [String] { state.withLock { $0.names.keys.map { Self.name($0) }.sorted() } }
    func clearCalls() { state.withLock { $0.calls = [] } }

    /// Asked before each changing call, with its index since the last `clearCalls`.
    func setFault(_ fail: ((TestCall, Int) -> Fault?)?) {
        nonisolated(unsafe) let fail = fail
        state.withLock { $0.fail = fail }
    }

    func content(_ path: String) -> [UInt8] { state.withLock { $0.names[path]?.bytes ?? [] } }
    /// Changes a file behind the engine's back; nil removes it.
    func setContent(_ path: String, _ bytes: [UInt8]?) {
        state.withLock { state in
            guard let bytes else {
                state.names[path] = nil
                state.durableNames[path] = nil
                return
            }
            let inode = Inode()
            inode.bytes = bytes
            inode.durable = bytes
            state.names[path] = inode
            state.durableNames[path] = inode
        }
    }

    /// A copy of everything as it is, all of it durable.
    func copy() -> LogTestFileSystem {
        let copy = LogTestFileSystem()
        let (directories, files) = state.withLock { ($0.directories, $0.names.mapValues(\.bytes)) }
        copy.state.withLock { $0.directories = directories }
        for (path, bytes) in files { copy.setContent(path, bytes) }
        return copy
    }

    /// What a power loss leaves: any subset of the name changes since the last directory sync, and of each file's
    /// unsynced sectors any subset; of the others, what was written is missing, half there or garbage.
    func crashed(seed: UInt64) -> LogTestFileSystem {
        var random = TestRandom(seed: seed)
        let after = LogTestFileSystem()
        let (directories, names) = state.withLock { state in
            var names = state.durableNames
            let mode = random.below(3)
            for change in state.changes where mode == 0 || (mode == 2 && random.below(2) == 0) {
                switch change {
                case .link(let path, let inode): names[path] = inode
                case .unlink(let path): names[path] = nil
                case .rename(let path, let target):
                    if let inode = names.removeValue(forKey: path) { names[target] = inode }
                }
            }
            return (state.directories, names)
        }
        after.state.withLock { $0.directories = directories }
        for (path, inode) in names.sorted(by: { $0.key < $1.key }) {
            after.setContent(path, Self.survivor(of: inode, &random))
        }
        return after
    }

    private static func survivor(of inode: Inode, _ random: inout TestRandom) -> [UInt8] {
        let sector = 512
        var bytes = inode.durable
        if inode.bytes.count > bytes.count, random.below(2) == 0 {
            bytes += [UInt8](repeating: 0, count: inode.bytes.count - bytes.count)
        }
        let mode = random.below(4)
        for start in stride(from: 0, to: min(bytes.count, inode.bytes.count), by: sector) {
            let range = start..<min(start + sector, bytes.count, inode.bytes.count)
            guard bytes[range] != inode.bytes[range] else { continue }
            switch mode == 3 ? random.below(3) : mode {
            case 0: break
            case 1: bytes.replaceSubrange(range, with: inode.bytes[range])
            default:
                // Bytes that a write did not change are safe: a sector is written as a whole.
                for index in range where bytes[index] != inode.bytes[index] && (mode == 3 || random.below(2) == 0) {
                    bytes[index] = mode == 3 ? UInt8(truncatingIfNeeded: random.next()) : inode.bytes[index]
                }
            }
        }
        return bytes
    }

    // MARK: - FileSystem

    static func name(_ path: String) -> String { String(path.split(separator: "/").last ?? "") }
    static func parent(_ path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    }

    static func error(_ operation: IOError.Operation, _ path: String, _ code: Int32) -> IOError {
        IOError(operation, path: path, code: code)
    }

    /// Counts a changing call; throws if it is to fail without effect, returns true if half of it is done first.
    @discardableResult
    func call(_ operation: IOError.Operation, _ path: String) throws(IOError) -> Fault? {
        let call = TestCall(operation: operation, name: Self.name(path))
        let fault = state.withLock { state in
            state.calls.append(call)
            return state.fail?(call, state.calls.count - 1)
        }
        if let fault, !fault.isPartial { throw Self.error(operation, path, fault.code) }
        return fault
    }

    func open(_ path: String, _ mode: FileMode) throws(IOError) -> any File {
        switch mode {
        case .create:
            try call(.open, path)
            let inode = Inode()
            let isTaken = state.withLock { state in
                if state.names[path] != nil { return true }
                state.names[path] = inode
                state.changes.append(.link(path, inode))
                return false
            }
            if isTaken { throw Self.error(.open, path, 17) }
            return LogTestFile(self, path, inode)
        case .read, .update:
            guard let inode = state.withLock({ $0.names[path] }) else { throw Self.error(.open, path, 2) }
            return LogTestFile(self, path, inode)
        }
    }

    func createDirectory(_ path: String) throws(IOError) {
        try call(.createDirectory, path)
        let parentExists = state.withLock { $0.directories.contains(Self.parent(path)) }
        guard parentExists else { throw Self.error(.createDirectory, path, 2) }
        state.withLock { _ = $0.directories.insert(path) }
    }

    func list(_ directory: String) throws(IOError) -> [String] {
        state.withLock { $0.names.keys.filter { Self.parent($0) == directory }.map { Self.name($0) } }
    }

    func status(of path: String) throws(IOError) -> FileStatus? {
        state.withLock { state in
            if state.directories.contains(path) { return FileStatus(isDirectory: true, byteCount: 0) }
            return state.names[path].map { FileStatus(isDirectory: false, byteCount: UInt64($0.bytes.count)) }
        }
    }

    func rename(_ path: String, to target: String) throws(IOError) {
        try call(.rename, path)
        let isThere = state.withLock { state in
            guard let inode = state.names.removeValue(forKey: path) else { return false }
            state.names[target] = inode
            state.changes.append(.rename(path, target))
            return true
        }
        if !isThere { throw Self.error(.rename, path, 2) }
    }

    func remove(_ path: String) throws(IOError) {
        try call(.remove, path)
        let isThere = state.withLock { state in
            state.changes.append(.unlink(path))
            return state.names.removeValue(forKey: path) != nil
        }
        if !isThere { throw Self.error(.remove, path, 2) }
    }

    func synchronizeDirectory(_ path: String) throws(IOError) {
        try call(.synchronizeDirectory, path)
        state.withLock { state in
            state.durableNames = state.names
            state.changes = []
        }
    }

    func lock(_ path: String, exclusive: Bool, holder: String) throws(IOError) -> any FileLock {
        throw Self.error(.lock, path, 11)
    }
}

final class LogTestFile: File {
    private let fileSystem: LogTestFileSystem
    private let path: String
    private let inode: LogTestFileSystem.Inode

    init(_ fileSystem: LogTestFileSystem, _ path: String, _ inode: LogTestFileSystem.Inode) {
        self.fileSystem = fileSystem
        self.path = path
        self.inode = inode
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(IOError) -> Int {
        nonisolated(unsafe) let buffer = buffer
        return fileSystem.state.withLock { _ in
            guard offset < inode.bytes.count else { return 0 }
            let count = min(buffer.count, inode.bytes.count - Int(offset))
            inode.bytes.withUnsafeBytes { bytes in
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[Int(offset)..<(Int(offset) + count)]))
            }
            return count
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(IOError) {
        let fault = try fileSystem.call(.write, path)
        let written = Array(bytes.prefix(fault == nil ? bytes.count : bytes.count / 2))
        fileSystem.state.withLock { _ in
            let end = Int(offset) + written.count
            if inode.bytes.count < end { inode.bytes += [UInt8](repeating: 0, count: end - inode.bytes.count) }
            inode.bytes.replaceSubrange(Int(offset)..<end, with: written)
        }
        if let fault { throw LogTestFileSystem.error(.write, path, fault.code) }
    }

    func synchronize() throws(IOError) {
        try fileSystem.call(.synchronize, path)
        fileSystem.state.withLock { _ in inode.durable = inode.bytes }
    }

    func allocate(_ byteCount: UInt64) throws(IOError) {
        try fileSystem.call(.allocate, path)
        fileSystem.state.withLock { _ in
            let missing = Int(byteCount) - inode.bytes.count
            if missing > 0 { inode.bytes += [UInt8](repeating: 0, count: missing) }
        }
    }

    func truncate(to byteCount: UInt64) throws(IOError) {
        try fileSystem.call(.truncate, path)
        fileSystem.state.withLock { _ in inode.bytes = Array(inode.bytes.prefix(Int(byteCount))) }
    }

    func byteCount() throws(IOError) -> UInt64 { fileSystem.state.withLock { _ in UInt64(inode.bytes.count) } }
    func close() throws(IOError) {}
}
