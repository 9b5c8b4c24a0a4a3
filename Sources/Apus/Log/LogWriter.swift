// Writing frames to one file: a log segment, or a manifest.  FORMAT.md §3.2
//
//   append(…)      encodes a frame into a buffer            (memory only)
//   write()        hands everything buffered to the OS      (one write or store for a whole group of commits)
//   synchronize()  returns when all of it is durable
//
// The space was reserved before the header was written, so a write never extends the file. The first failure is
// final: what is on disk after it is unknown, and a failed sync may have dropped the pages that a second one would
// then report as clean. Nothing is retried; the caller reopens the database, which rewrites what it finds.

import ApusIO

/// Appends frames to a file whose header and space are in place.
///
/// One thread at a time (the commit leader, or the holder of the manifest's lock); not `Sendable`.
/// Invariant of the unsafe part: `buffer` is owned by the writer and freed with it; `bufferedByteCount` of its bytes
/// are initialised.
final class LogWriter {
    let number: FileNumber
    let path: String
    /// Bytes reserved for the file; frames never reach beyond.
    let capacity: UInt64
    /// Bytes handed to the OS, header included.
    private(set) var writtenByteCount: UInt64
    /// Bytes known to be durable.
    private(set) var syncedByteCount: UInt64
    /// The first sequence number appended, nil while there is none.
    private(set) var firstSequence: SequenceNumber?
    /// The last sequence number appended, or the predecessor's while there is none.
    private(set) var lastSequence: SequenceNumber
    /// Why the writer refuses to go on.
    private(set) var failure: ApusError?

    private let file: any File
    private let place: FramePlace
    private var buffer: UnsafeMutableRawBufferPointer
    private var bufferedByteCount = 0

    private static let initialBufferByteCount = 64 << 10
    /// A buffer that grew beyond this for one large batch is given back.
    private static let keptBufferByteCount = 4 << 20

    /// Goes on in a file that ends at `byteCount`, after a frame with `lastSequence` if it has any.
    ///
    /// - Precondition: the header, and all else up to `byteCount`, is written and durable.
    init(
        file: any File,
        path: String,
        header: SegmentHeader,
        byteCount: UInt64 = UInt64(SegmentHeader.byteCount),
        lastSequence: SequenceNumber? = nil
    ) {
        self.file = file
        self.path = path
        number = header.number
        capacity = header.capacity
        writtenByteCount = byteCount
        syncedByteCount = byteCount
        self.lastSequence = lastSequence ?? header.previousLastSequence
        place = FramePlace(header.databaseID, header.number)
        buffer = .allocate(byteCount: Self.initialBufferByteCount, alignment: 16)
    }

    deinit { buffer.deallocate() }

    /// Where the next frame will lie.
    var endOffset: UInt64 { writtenByteCount + UInt64(bufferedByteCount) }

    /// Whether frames with these payloads fit.
    func hasRoom(for payloadByteCounts: some Sequence<Int>) -> Bool {
        hasRoom(forFrameBytes: payloadByteCounts.reduce(0) { $0 + FrameHeader.frameByteCount(payloadByteCount: $1) })
    }

    /// Whether frames of that many bytes altogether fit (see `FrameHeader.frameByteCount`).
    func hasRoom(forFrameBytes byteCount: Int) -> Bool {
        UInt64(byteCount) <= capacity - endOffset
    }

    /// Encodes a frame into the buffer.
    ///
    /// - Parameters:
    ///   - sequence: of the batch's first entry (a batch payload starts with its entry count, from which the last
    ///     one follows), or the edit's ordinal. Larger than any before.
    /// - Precondition: `hasRoom(for:)` said yes.
    func append(
        _ payload: UnsafeRawBufferPointer,
        sequence: SequenceNumber,
        kind: FrameKind
    ) throws(ApusError) {
        var last = sequence
        if kind.isBatch {
            let count: UInt32 = payload.littleEndian(at: 0)
            precondition(count > 0, "an empty batch is not logged")
            last = SequenceNumber(sequence.rawValue + UInt64(count) - 1)
        }
        try append(payloadByteCount: payload.count, sequence: sequence, through: last, kind: kind) { body in
            if let source = payload.baseAddress { body.copyMemory(from: source, byteCount: payload.count) }
        }
    }

    /// Encodes a frame into the buffer whose payload `fill` writes, with the numbers from `sequence` to `last`.
    @inline(__always)
    func append(
        payloadByteCount: Int,
        sequence: SequenceNumber,
        through last: SequenceNumber,
        kind: FrameKind,
        _ fill: (UnsafeMutableRawPointer) -> Void
    ) throws(ApusError) {
        try check()
        let byteCount = FrameHeader.frameByteCount(payloadByteCount: payloadByteCount)
        precondition(hasRoom(forFrameBytes: byteCount), "a frame must fit its segment")
        precondition(sequence > lastSequence, "sequence numbers never go back")
        if bufferedByteCount + byteCount > buffer.count { growBuffer(by: byteCount) }
        FrameHeader.encode(
            payloadByteCount: payloadByteCount,
            sequence: sequence,
            kind: kind,
            syncedByteCount: syncedByteCount,
            at: endOffset,
            place,
            to: buffer.baseAddress! + bufferedByteCount,
            fill
        )
        bufferedByteCount += byteCount
        if firstSequence == nil { firstSequence = sequence }
        lastSequence = last
    }

    /// Hands everything appended to the operating system, in one write.
    ///
    /// - Parameter isBeforeSync: false if no sync follows at once. Then the bytes may be stored into a mapping, which is
    ///   much cheaper; but a sync of mapped pages takes up to three times as long as one of written bytes.
    func write(beforeSync isBeforeSync: Bool = true) throws(ApusError) {
        try check()
        guard bufferedByteCount > 0 else { return }
        let bytes = UnsafeRawBufferPointer(start: buffer.baseAddress, count: bufferedByteCount)
        do {
            if isBeforeSync {
                try file.write(bytes, at: writtenByteCount)
            } else {
                try file.store(bytes, at: writtenByteCount)
            }
        } catch {
            throw poison(error)
        }
        writtenByteCount += UInt64(bufferedByteCount)
        bufferedByteCount = 0
        if buffer.count > Self.keptBufferByteCount {
            buffer.deallocate()
            buffer = .allocate(byteCount: Self.initialBufferByteCount, alignment: 16)
        }
    }

    /// Returns when everything appended is durable; writes what is still buffered first.
    func synchronize() throws(ApusError) {
        try write()
        guard syncedByteCount < writtenByteCount else { return }
        do {
            try file.synchronize()
        } catch {
            throw poison(error)
        }
        syncedByteCount = writtenByteCount
    }

    /// Closes the file without writing or syncing anything. Further calls fail.
    func close() {
        if failure == nil { failure = ApusError(.closed, "the log is closed", file: path) }
        // Whatever was acknowledged is durable or was allowed to be lost: a close that fails changes neither.
        try? file.close()
    }

    private func check() throws(ApusError) {
        if let failure { throw failure }
    }

    private func poison(_ error: IOError) -> ApusError {
        let failed = ApusError(
            .failed,
            "\(error); nothing more is written until the database is reopened",
            file: path,
            systemCode: error.code
        )
        failure = failed
        return failed
    }

    private func growBuffer(by byteCount: Int) {
        let larger = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(2 * buffer.count, bufferedByteCount + byteCount),
            alignment: 16
        )
        larger.baseAddress!.copyMemory(from: buffer.baseAddress!, byteCount: bufferedByteCount)
        buffer.deallocate()
        buffer = larger
    }
}
