// What is known of a live segment of the log. See LogSet.

/// One live segment.
struct LogSegment: Sendable, Hashable {
    var number: FileNumber
    var capacity: UInt64
    /// Bytes in use, header included.
    var byteCount: UInt64
    /// nil if it holds no batch.
    var firstSequence: SequenceNumber?
    /// Of this segment, or of the last one before it that holds a batch.
    var lastSequence: SequenceNumber
}
