// The one error type of the engine: a kind that tells the caller what to do, and where it happened.

import ApusIO

/// An error of the engine.
///
/// `kind` says what a caller can do about it; `description` is one sentence for people.
public struct ApusError: Error, Sendable, Equatable {
    /// What a caller can do about an error.
    public enum Kind: String, Sendable, CaseIterable {
        /// Bytes on disk are not what was written. `file` and `offset` say where. Restore, or open with salvage.
        case corruption
        /// A system call failed. The operation had no effect unless it was a commit (see `failed`).
        case io
        /// No room on the device. Nothing is lost; writes work again when there is room.
        case outOfSpace
        /// Another process (or another handle of this one) has the database open.
        case locked
        /// The transaction read something that another commit has changed since. Retry it.
        case conflict
        /// The database, keyspace or cursor was closed or dropped.
        case closed
        /// An append or sync of the log or manifest failed: writes are refused until the database is reopened.
        case failed
        /// The database was opened read-only, or the directory cannot be written.
        case readOnly
        /// An argument is outside its limits; nothing was written.
        case invalidArgument
        /// The directory has no database, or the keyspace does not exist.
        case notFound
        /// The directory holds files but no database, so none is created there.
        case notADatabase
        /// The files were written by a newer version, or by another program.
        case unsupportedFormat
        /// A merge operand has no operator that can apply it.
        case mergeFailed
    }

    public var kind: Kind
    public var message: String
    /// The file concerned, if any.
    public var file: String?
    /// The byte offset in `file`, if known.
    public var offset: UInt64?
    /// The system's error number behind `io` and `outOfSpace`.
    public var systemCode: Int32?

    public init(_ kind: Kind, _ message: String, file: String? = nil, offset: UInt64? = nil, systemCode: Int32? = nil) {
        self.kind = kind
        self.message = message
        self.file = file
        self.offset = offset
        self.systemCode = systemCode
    }
}

extension ApusError: CustomStringConvertible {
    public var description: String {
        var text = message
        if let file { text += " (file \(file)" + (offset.map { ", offset \($0)" } ?? "") + ")" }
        return text
    }
}

extension ApusError {
    /// The process or the system has too many files open, which passes.
    var isForWantOfDescriptors: Bool {
        systemCode == ErrorCode.tooManyOpenFiles || systemCode == ErrorCode.tooManyOpenFilesInSystem
    }

    /// The engine's error for a failed system call.
    init(_ error: IOError) {
        let kind: Kind =
            switch error.kind {
            case .outOfSpace: .outOfSpace
            case .locked: .locked
            case .notPermitted: .readOnly
            default: .io
            }
        self.init(kind, error.description, file: error.path, systemCode: error.code)
    }

    static func corruption(_ message: String, file: String, offset: UInt64? = nil) -> ApusError {
        ApusError(.corruption, message, file: file, offset: offset)
    }
}

/// Runs `body`, turning a system-call error into the engine's.
@inline(__always)
func io<Result>(_ body: () throws(IOError) -> Result) throws(ApusError) -> Result {
    do { return try body() } catch { throw ApusError(error) }
}
