// What the manifest knows about a table and a blob file: identity, size, checksum, bounds, and the figures that
// compaction decides by.

import ApusIO

/// The number in a file's name. One counter serves logs, tables, blob files and manifests; never reused.
typealias FileNumber = UInt64

/// Everything known of a table without opening it.  FORMAT.md §6.3
struct TableMetadata: Sendable, Hashable {
    var number: FileNumber
    var byteCount: UInt64
    /// CRC32C of the whole file.
    var checksum: UInt32
    /// Smallest user key, range deletions included.
    var smallest: [UInt8]
    /// Largest user key, range deletions included.
    var largest: [UInt8]
    /// True if `largest` is the exclusive end of a range deletion and no entry of the table has that key.
    var largestIsExclusive: Bool
    var smallestSequence: SequenceNumber
    var largestSequence: SequenceNumber
    /// Entries of all kinds, without range deletions.
    var entryCount: UInt64
    var deletionCount: UInt64
    var rangeDeletionCount: UInt64
    /// Uncompressed key and value bytes of all entries.
    var rawByteCount: UInt64
    /// When the table was written, ms since 1970 (FIFO and periodic compaction go by it).
    var createdAt: UInt64
    /// Earliest expiry of any entry, 0 if none expires.
    var earliestExpiry: UInt64
    /// Referenced bytes per blob file, ascending by file.
    var blobReferences: [BlobFileShare]
}

/// How many stored bytes of a blob file a table refers to.
struct BlobFileShare: Sendable, Hashable {
    var file: FileNumber
    var byteCount: UInt64
    var valueCount: UInt64
}

/// What the manifest knows of a blob file.
struct BlobFileMetadata: Sendable, Hashable {
    var number: FileNumber
    var byteCount: UInt64
    var checksum: UInt32
    var valueCount: UInt64
    /// Bytes of all records (what the shares of all tables add up to while nothing is garbage).
    var recordByteCount: UInt64
}
