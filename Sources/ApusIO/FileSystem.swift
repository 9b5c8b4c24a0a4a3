// The seam between the engine and the disk. The engine reaches files through these protocols only, so that a
// simulated disk can replace the real one and replay crashes, torn writes and failed syncs from a seed.
//
// Durability contract (what POSIX promises, no more):
// - bytes written are durable after `File.synchronize()` returned without an error;
// - a name created, renamed or removed is durable after `synchronizeDirectory` of its directory;
// - a failed `synchronize` may have dropped the dirty pages: the caller must never retry it on the same file.

/// How a file is opened.
public enum FileMode: Sendable {
    /// An existing file, for reading only.
    case read
    /// An existing file, for reading and writing.
    case update
    /// A new file, for reading and writing; fails with `alreadyExists` if the name is taken.
    case create
}

public struct FileStatus: Sendable, Equatable {
    public var isDirectory: Bool
    public var byteCount: UInt64
    public init(isDirectory: Bool, byteCount: UInt64) {
        self.isDirectory = isDirectory
        self.byteCount = byteCount
    }
}

/// Names, directories and locks. Paths are plain strings; implementations are thread-safe.
public protocol FileSystem: Sendable {
    func open(_ path: String, _ mode: FileMode) throws(IOError) -> any File
    /// Creates one directory; its parent must exist. Fails with `alreadyExists` if the name is taken.
    func createDirectory(_ path: String) throws(IOError)
    /// The names (not paths) in a directory, without `.` and `..`, in no particular order.
    func list(_ directory: String) throws(IOError) -> [String]
    /// nil if nothing has that name.
    func status(of path: String) throws(IOError) -> FileStatus?
    /// Atomically replaces `target` if it exists. Durable after `synchronizeDirectory`.
    func rename(_ path: String, to target: String) throws(IOError)
    /// Removes a file or an empty directory.
    func remove(_ path: String) throws(IOError)
    func synchronizeDirectory(_ path: String) throws(IOError)
    /// Takes an advisory lock, held until the returned lock is released or the process ends. Two handles of one
    /// process exclude each other too. An exclusive lock creates the file and writes `holder` into it; when the lock
    /// is taken the error has kind `locked` and carries the holder's text as `detail`.
    /// A shared lock needs no write permission; it is granted beside other shared locks.
    func lock(_ path: String, exclusive: Bool, holder: String) throws(IOError) -> any FileLock
}

/// An open file. Reads may run on any number of threads at once, also beside one writer.
public protocol File: AnyObject, Sendable {
    /// Fills `buffer` from `offset`; returns fewer bytes only where the file ends.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(IOError) -> Int
    /// Writes all of `bytes`, extending the file where needed, or throws; after a throw any part may be written.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(IOError)
    /// As `write`, for a log's many small pieces: into space that `allocate` has reserved, by one thread at a time, never
    /// beside `close`, and the file is not made shorter while it is open. A file may do it by mapping, which costs no call.
    func store(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(IOError)
    /// Returns when every byte written before is on stable storage (`fdatasync`; `F_FULLFSYNC` on Darwin).
    func synchronize() throws(IOError)
    /// Makes the file at least `byteCount` bytes long with space reserved; new bytes read as zero.
    func allocate(_ byteCount: UInt64) throws(IOError)
    func truncate(to byteCount: UInt64) throws(IOError)
    func byteCount() throws(IOError) -> UInt64
    /// Further calls are a caller error. Errors are reported, and the descriptor is gone either way.
    func close() throws(IOError)
}

extension File {
    public func store(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(IOError) {
        try write(bytes, at: offset)
    }
}

public protocol FileLock: AnyObject, Sendable {
    func release()
}
