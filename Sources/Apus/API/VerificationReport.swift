// What `verify` looked at and what it found.

/// The result of reading a whole database.
public struct VerificationReport: Sendable {
    public var tables = 0
    public var blobFiles = 0
    public var logSegments = 0
    public var byteCount: UInt64 = 0
    public var entries: UInt64 = 0
    /// Everything that is not as it should be; empty if the database is sound.
    public var problems: [ApusError] = []
    /// Bytes of commits behind the end of the log, in a database that was not closed. A crash tore them, in which case
    /// none of them was acknowledged as durable, or they were damaged later: nobody can tell.
    public var discardedLogByteCount: UInt64 = 0
    /// Files with names of the engine's that nothing refers to: leftovers of a crash, removed by the next open for
    /// writing.
    public var leftovers: [String] = []
    /// Names that are none of the engine's.
    public var foreignNames: [String] = []

    public var isSound: Bool { problems.isEmpty }
}
