// Open files for reading, a bounded number of them: a database may have more tables than the process may have
// descriptors. A file is opened when it is first read and closed when others need its place (CLOCK).

import ApusIO

/// Thread-safe. At most `limit` files are open, plus those being read at this moment.
final class FilePool: Sendable {
    private let fileSystem: any FileSystem
    private let limit: Int
    private let state = Monitor(State())

    /// The files that are open, or being opened, and the hand of the clock over them.
    private struct State {
        var open: [PooledFile] = []
        var hand = 0

        /// Takes an idle file out, preferring one not used since the hand last passed; nil if all are in use.
        mutating func evictOne() -> (any File)? {
            for _ in 0..<(open.count * 2) {
                if hand >= open.count { hand = 0 }
                let candidate = open[hand]
                if candidate.userCount == 0, let file = candidate.file {
                    if !candidate.isRecent {
                        candidate.file = nil
                        remove(at: hand)
                        return file
                    }
                    candidate.isRecent = false
                }
                hand += 1
            }
            return nil
        }

        mutating func remove(at index: Int) {
            open.swapAt(index, open.count - 1)
            open.removeLast()
        }
    }

    init(fileSystem: any FileSystem, limit: Int = 512) {
        precondition(limit > 0)
        self.fileSystem = fileSystem
        self.limit = limit
    }

    var openCount: Int { state.withLock { $0.open.count } }

    /// Closes every file that nobody is reading at this moment. A later read opens it again.
    func closeIdle() {
        let closing = state.withLock { state in
            var closing: [any File] = []
            while let file = state.evictOne() { closing.append(file) }
            return closing
        }
        for file in closing { Self.close(file) }
    }

    /// The open file behind `pooled`, which stays open until `giveBack`.
    fileprivate func borrow(_ pooled: PooledFile) throws(ApusError) -> any File {
        if let file = state.withLock({ _ in pooled.use() }) { return file }
        for file in state.withLock({ state in Self.makeRoom(&state, limit: limit) }) { Self.close(file) }
        let opened = try open(pooled.path)
        let file = state.withLock { state -> any File in
            if let file = pooled.use() { return file }
            pooled.file = opened
            state.open.append(pooled)
            return pooled.use()!
        }
        // Another thread opened it at the same time and was faster.
        if file !== opened { Self.close(opened) }
        return file
    }

    fileprivate func giveBack(_ pooled: PooledFile) {
        state.withLock { _ in pooled.userCount -= 1 }
    }

    fileprivate func close(_ pooled: PooledFile) {
        let file = state.withLock { state -> (any File)? in
            precondition(pooled.userCount == 0, "a file is closed while it is read")
            guard let file = pooled.file else { return nil }
            pooled.file = nil
            state.remove(at: state.open.firstIndex { $0 === pooled }!)
            return file
        }
        if let file { Self.close(file) }
    }

    private static func makeRoom(_ state: inout State, limit: Int) -> [any File] {
        var closing: [any File] = []
        while state.open.count >= limit, let file = state.evictOne() { closing.append(file) }
        return closing
    }

    /// Opens a file; when the system has no descriptor left, an idle file gives up its own first.
    private func open(_ path: String) throws(ApusError) -> any File {
        while true {
            do {
                return try fileSystem.open(path, .read)
            } catch {
                guard error.kind == .tooManyOpenFiles, let idle = state.withLock({ $0.evictOne() }) else {
                    throw ApusError(error)
                }
                Self.close(idle)
            }
        }
    }

    /// Nothing was written through it, so an error on closing loses nothing.
    private static func close(_ file: any File) {
        try? file.close()
    }
}

/// A file that is opened when it is read. Thread-safe.
///
/// Invariant: `file`, `userCount` and `isRecent` are touched with the pool's lock held only, which makes it sendable.
final class PooledFile: @unchecked Sendable {
    let path: String
    private let pool: FilePool
    fileprivate var file: (any File)?
    fileprivate var userCount = 0
    fileprivate var isRecent = false

    init(pool: FilePool, path: String) {
        self.pool = pool
        self.path = path
    }

    /// Fills `buffer` from `offset`; returns fewer bytes only where the file ends.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(ApusError) -> Int {
        let file = try pool.borrow(self)
        defer { pool.giveBack(self) }
        return try io { () throws(IOError) in try file.read(into: buffer, at: offset) }
    }

    func byteCount() throws(ApusError) -> UInt64 {
        let file = try pool.borrow(self)
        defer { pool.giveBack(self) }
        return try io { () throws(IOError) in try file.byteCount() }
    }

    /// Gives the descriptor back now. Nobody may be reading; a later read opens the file again.
    func close() {
        pool.close(self)
    }

    fileprivate func use() -> (any File)? {
        guard let file else { return nil }
        userCount += 1
        isRecent = true
        return file
    }
}
