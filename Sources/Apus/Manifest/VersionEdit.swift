// One atomic change of what the database consists of: the unit that the manifest logs.
//
// The changes of one edit take effect together. Their order matters only in that removals go first: a table that
// moves to another level is removed and added by the same edit.

import ApusIO

/// Where the log ended when the database was closed cleanly.
struct CleanClose: Sendable, Hashable {
    var lastSequence: SequenceNumber
    /// The segment that was current; 0 if everything is in tables and no log is left.
    var logNumber: FileNumber
    /// Bytes in use in it, header included.
    var logByteCount: UInt64
}

/// A list of changes, applied completely or not at all.
struct VersionEdit: Sendable, Hashable {
    enum Change: Sendable, Hashable {
        /// First of every manifest.
        case databaseID(DatabaseID)
        /// Every file number below may be taken.
        case nextFileNumber(FileNumber)
        /// Every keyspace id below may have been used: batches in the log may still carry it.
        case nextKeyspaceID(UInt32)
        case lastSequence(SequenceNumber)
        case keyspaceCreated(UInt32, name: String, KeyspaceSettings)
        case keyspaceChanged(UInt32, KeyspaceSettings)
        case keyspaceDropped(UInt32)
        case tableAdded(UInt32, level: Int, TableMetadata)
        case tableRemoved(UInt32, level: Int, FileNumber)
        case blobAdded(UInt32, BlobFileMetadata)
        case blobRemoved(UInt32, FileNumber)
        /// Of this keyspace the tables hold every logged entry up to this one.
        case flushedSequence(UInt32, SequenceNumber)
        /// The log segment exists, with that many bytes reserved, under a durable name.
        case logCreated(FileNumber, byteCount: UInt64)
        case logDeleted(FileNumber)
        /// Nothing follows it in a manifest that was closed cleanly.
        case cleanClose(CleanClose)
    }

    var changes: [Change]

    init(_ changes: [Change] = []) { self.changes = changes }
}

extension VersionEdit.Change {
    /// Whether the change names a file that has to be in the directory from then on.
    var addsFile: Bool {
        switch self {
        case .tableAdded, .blobAdded, .logCreated: true
        default: false
        }
    }
}
